// The abstract ordered store under the state machine: LevelDB in production (src/storage), a map in
// tests and in most simulated runs (MemoryStore). Keys order as unsigned bytes.
//
// A stored key is one byte that says whose it is (a *space*: kUserSpace, kMetaSpace), then the key.
// A stored value is the bytes, then the log index of their last change (u64, little-endian): behind
// the bytes, so that a reader cuts it off without moving them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/result.h"

namespace raftkv::kv {

inline constexpr char kUserSpace = 'k';  // what clients write
inline constexpr char kMetaSpace = 'm';  // of src/replica/state_store.h
inline constexpr std::size_t kStampSize = 8;

// Writes to be done together, in order. It borrows keys and bytes: they must live until the batch
// is written or cleared. Reusable: clear() keeps memory.
class Batch {
 public:
  struct Operation {
    char space;
    std::string_view key;
    std::optional<std::string_view> bytes;  // nullopt: erase
    std::uint64_t index;                    // of the log entry that changes it
  };
  void put(char space, std::string_view key, std::string_view bytes, std::uint64_t index) {
    operations_.push_back({space, key, bytes, index});
  }
  void erase(char space, std::string_view key) { operations_.push_back({space, key, {}, 0}); }
  void clear() { operations_.clear(); }
  [[nodiscard]] const std::vector<Operation>& operations() const { return operations_; }
  [[nodiscard]] bool empty() const { return operations_.empty(); }

 private:
  std::vector<Operation> operations_;
};

// The stored key and value of an operation, written over what `out` holds.
void stored_key(char space, std::string_view key, std::string& out);
void stored_value(std::string_view bytes, std::uint64_t index, std::string& out);
// A stored value's parts. Errors: corrupt (shorter than the index).
struct StoredValue {
  std::string_view bytes;
  std::uint64_t index = 0;
};
[[nodiscard]] Result<StoredValue> parse_stored_value(std::string_view stored);

// One thread writes; others may read at the same time.
class OrderedStore {
 public:
  virtual ~OrderedStore() = default;

  // The value of a stored key; nullopt: not there. Errors: corrupt, fatal.
  [[nodiscard]] virtual Result<std::optional<std::string>> get(std::string_view key) = 0;
  // All of it or nothing, in order; survives the death of the process, but a power failure only
  // after sync().
  [[nodiscard]] virtual Status write(const Batch& batch) = 0;
  // Makes everything written before durable.
  [[nodiscard]] virtual Status sync() = 0;
  // Calls `visit` for each stored pair with begin <= key < end (empty end: to the last) over one
  // consistent view, until it returns false. The views are valid during the call.
  [[nodiscard]] virtual Status scan(
      std::string_view begin, std::string_view end,
      const std::function<bool(std::string_view, std::string_view)>& visit) = 0;
};

// In memory. For one thread: nobody may read while another writes.
class MemoryStore final : public OrderedStore {
 public:
  [[nodiscard]] Result<std::optional<std::string>> get(std::string_view key) override;
  [[nodiscard]] Status write(const Batch& batch) override;
  [[nodiscard]] Status sync() override { return {}; }
  [[nodiscard]] Status scan(
      std::string_view begin, std::string_view end,
      const std::function<bool(std::string_view, std::string_view)>& visit) override;
  [[nodiscard]] const std::map<std::string, std::string, std::less<>>& contents() const {
    return contents_;
  }

 private:
  std::map<std::string, std::string, std::less<>> contents_;
};

}  // namespace raftkv::kv
