// What clients want done to the store, and what came of it. A command is the payload of one log entry.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "src/base/result.h"

namespace raftkv::kv {

inline constexpr std::size_t kKeySizeMax = 2048;             // bytes; at least 1
inline constexpr std::size_t kValueSizeMaxDefault = 1 << 20;  // bytes; serve --value-size-max
// Room in front of an encoded command for the header that the log puts there (src/raft/entry.h).
inline constexpr std::size_t kCommandHeadroom = 32;

// Sets all pairs at once, in order. At least one; keys are distinct.
struct Set {
  std::vector<std::pair<std::string, std::string>> pairs;
  bool operator==(const Set&) const = default;
};
struct Delete {
  std::string key;
  bool operator==(const Delete&) const = default;
};
using Command = std::variant<Set, Delete>;

// The same, borrowed from the bytes it was decoded from.
struct SetView {
  std::vector<std::pair<std::string_view, std::string_view>> pairs;
};
struct DeleteView {
  std::string_view key;
};
using CommandView = std::variant<SetView, DeleteView>;

// An encoded command with kCommandHeadroom bytes of room in front. Layout: docs/storage.md, "Commands".
[[nodiscard]] std::string encode(const Command& command);
// Encodes a Set of one pair without building it first.
[[nodiscard]] std::string encode_set(std::string_view key, std::string_view value);
// Decodes an entry's payload (no headroom). Errors: corrupt, unsupported (a newer version).
[[nodiscard]] Result<CommandView> decode(std::string_view payload);

// What executing one command yielded. The same on every node.
struct Outcome {
  bool deleted = false;  // Delete: the key was there
  bool operator==(const Outcome&) const = default;
};

}  // namespace raftkv::kv
