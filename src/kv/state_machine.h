// The key-value state machine: executes commands, in the order of the log, on an ordered store.
//
// In the store a user's key K is the key "k" + K, and its value is the index of its last change (u64,
// little-endian) followed by the bytes. Other prefixes belong to the caller ("m": src/replica/state_store.h).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "src/base/result.h"
#include "src/kv/command.h"
#include "src/kv/store.h"

namespace raftkv::kv {

// A value and the log index of its last change (its ETag).
struct Value {
  std::string bytes;
  std::uint64_t index = 0;
  bool operator==(const Value&) const = default;
};

// Collects the effects of a run of commands into one Batch. Later commands see what earlier ones of the same run
// did, though nothing is written yet.
class StateMachine {
 public:
  explicit StateMachine(OrderedStore& store) : store_(store) {}

  // Starts a run. `batch` must outlive it.
  void begin(Batch& batch);
  // Executes the command of the entry at `index`. Errors: corrupt or unsupported (no command), those of the store.
  [[nodiscard]] Result<Outcome> execute(std::uint64_t index, std::string_view payload);

  // Reads a key from what has been written. Usable from another thread than begin() and execute().
  [[nodiscard]] static Result<std::optional<Value>> get(OrderedStore& store, std::string_view key);

 private:
  [[nodiscard]] Result<bool> exists(std::string_view key);

  OrderedStore& store_;
  Batch* batch_ = nullptr;
  std::map<std::string, bool, std::less<>> touched_;  // this run's keys: there or deleted
};

// XXH3-64 over all user keys and values with their indexes, in order: the same on nodes with the same contents.
[[nodiscard]] Result<std::uint64_t> contents_digest(OrderedStore& store);

}  // namespace raftkv::kv
