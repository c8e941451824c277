// The key-value state machine: executes commands, in the order of the log, on an ordered store. Its
// keys are those of kUserSpace (src/kv/store.h).
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

// Collects the effects of a run of commands into one Batch. Later commands see what earlier ones of
// the same run did, though nothing is written yet.
class StateMachine {
 public:
  explicit StateMachine(OrderedStore& store) : store_(store) {}

  // Starts a run. `batch` must outlive it, and must not be cleared within it.
  void begin(Batch& batch);
  // Executes the command of the entry at `index`. The batch borrows from `payload`, which must live
  // until it is written. Errors: corrupt or unsupported (no command; the batch is as it was), those
  // of the store.
  [[nodiscard]] Result<Outcome> execute(std::uint64_t index, std::string_view payload);

  // Reads a key from what has been written. Usable from another thread than begin() and execute()
  // if the store is.
  [[nodiscard]] static Result<std::optional<Value>> get(OrderedStore& store, std::string_view key);
  // The same where it has to wait for nothing; nullopt: it would have to.
  [[nodiscard]] static std::optional<Result<std::optional<Value>>> get_at_once(
      OrderedStore& store, std::string_view key);

 private:
  [[nodiscard]] Result<bool> exists(std::string_view key);

  OrderedStore& store_;
  Batch* batch_ = nullptr;
  // This run's keys, there or deleted: those of the batch's first `known_` operations. Only a
  // Delete asks, so a run of Sets never fills it.
  std::map<std::string_view, bool> touched_;
  std::size_t known_ = 0;
  std::string stored_key_;  // kept for its memory
};

}  // namespace raftkv::kv
