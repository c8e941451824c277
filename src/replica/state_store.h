// StateStore: applies committed entries to the ordered store, each batch together with what says
// how far it is: applied index and term, configuration, prefix hash of the log, running digest.
// Never synced per write: the log can redo it.
//
// Beside the user's keys ("k…", src/kv/state_machine.h) the store holds one record under "m":
// version, applied index, applied term, configuration index, prefix hash, digest, encoded
// configuration.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/base/result.h"
#include "src/kv/state_machine.h"
#include "src/kv/store.h"
#include "src/raft/configuration.h"
#include "src/raft/entry.h"

namespace raftkv::replica {

struct StateMeta {
  raft::Index applied;
  raft::Term applied_term;
  raft::Index configuration_index;
  raft::Configuration configuration;  // in force at `applied`
  std::uint64_t prefix_hash = 0;      // chain64 over the checksums of all entries through `applied`
  std::uint64_t digest = 0;  // chain over index and outcome of all commands through `applied`

  bool operator==(const StateMeta&) const = default;
};

struct ApplyResult {
  std::vector<kv::Outcome> outcomes;  // one per entry; of use for commands only
  StateMeta meta;                     // after the batch
};

class StateStore {
 public:
  // `store` must outlive this. load() first.
  explicit StateStore(kv::OrderedStore& store);

  // Reads the record. Errors: corrupt, unsupported, those of the store.
  [[nodiscard]] Result<StateMeta> load();
  // Applies entries that follow the applied one without a gap, in one batch. Checks every entry's
  // checksum once more. Errors: corrupt (then nothing was written), those of the store. Apply
  // worker only.
  [[nodiscard]] Result<ApplyResult> apply(std::span<const raft::Entry> entries);
  // Any thread but not during load().
  [[nodiscard]] Result<std::optional<kv::Value>> get(std::string_view key);
  // Makes all that was applied durable.
  [[nodiscard]] Status sync();

 private:
  kv::OrderedStore& store_;
  kv::StateMachine machine_;
  kv::Batch batch_;
  StateMeta meta_;
};

}  // namespace raftkv::replica
