// What clients want done to the store, and what came of it. A command is the payload of one log
// entry.
//
// Layout (little-endian):
//    0  u8   version (1)
//    1  u8   kind: 1 set, 2 delete
//    2  u16  zero
//    4       set: u32 number of pairs, then of each pair u32 key size, key, u32 value size, value
//            delete: u32 key size, key
#pragma once

#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "src/base/result.h"

namespace raftkv::kv {

inline constexpr std::size_t kKeySizeMax = 2048;              // bytes; at least 1
inline constexpr std::size_t kValueSizeMaxDefault = 1 << 20;  // bytes; serve --value-size-max
// Room in front of an encoded command for the header that the log puts there (src/raft/entry.h).
inline constexpr std::size_t kCommandHeadroom = 32;
inline constexpr std::uint8_t kCommandVersion = 1;

// Sets all pairs at once, in order. At least one; the router refuses a key that is named twice.
struct Set {
  std::vector<std::pair<std::string, std::string>> pairs;
  bool operator==(const Set&) const = default;
};
struct Delete {
  std::string key;
  bool operator==(const Delete&) const = default;
};
using Command = std::variant<Set, Delete>;

// A Set in the bytes it was decoded from, which must outlive it. Walking it allocates nothing:
//   for (const auto& [key, value] : set) …
class SetView {
 public:
  using Pair = std::pair<std::string_view, std::string_view>;

  class Iterator {
   public:
    using value_type = Pair;
    using difference_type = std::ptrdiff_t;

    Iterator() = default;
    explicit Iterator(std::string_view rest) : rest_(rest) { read(); }
    const Pair& operator*() const { return pair_; }
    Iterator& operator++() {
      read();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return pair_.first.empty(); }

   private:
    void read();
    std::string_view rest_;
    Pair pair_;  // without a key: behind the last
  };

  [[nodiscard]] Iterator begin() const { return Iterator(pairs_); }
  [[nodiscard]] std::default_sentinel_t end() const { return {}; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  friend class CommandDecoder;
  SetView(std::size_t size, std::string_view pairs) : size_(size), pairs_(pairs) {}

  std::size_t size_;
  std::string_view pairs_;  // checked
};
struct DeleteView {
  std::string_view key;
};
using CommandView = std::variant<SetView, DeleteView>;

// An encoded command with kCommandHeadroom bytes of room in front. CHECKs what a Command promises:
// keys of a legal size, at least one pair, sizes below 4 GiB.
[[nodiscard]] std::string encode(const Command& command);
// Encodes a Set of one pair without building it first: one copy of the value.
[[nodiscard]] std::string encode_set(std::string_view key, std::string_view value);
// Checks and borrows an entry's payload (no headroom). Errors: corrupt, unsupported (a newer
// version or a kind that this build does not know).
[[nodiscard]] Result<CommandView> decode(std::string_view payload);

// What executing one command yielded. The same on every node.
struct Outcome {
  bool deleted = false;  // Delete: the key was there
  bool operator==(const Outcome&) const = default;
};

}  // namespace raftkv::kv
