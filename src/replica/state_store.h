// StateStore: applies committed entries to the ordered store, each batch together with what says
// how far it is: applied index and term, configuration, prefix hash of the log, running digest.
// Never synced per write: the log can redo it.
//
// Beside the user's keys the store holds one record: the empty key in kv::kMetaSpace. Its stamp is
// the applied index; layout of its bytes (little-endian):
//    0  u64  checksum, XXH3-64 of all bytes behind it, seeded with the applied index
//    8  u8   version (1), then 3 zero bytes
//   12  u64  applied term        20  u64  index of the configuration's entry
//   28  u64  prefix hash         36  u64  digest
//   44       configuration, encoded (src/raft/configuration.h)
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/result.h"
#include "src/kv/state_machine.h"
#include "src/kv/store.h"
#include "src/raft/configuration.h"
#include "src/raft/entry.h"

namespace raftkv::replica {

inline constexpr std::uint8_t kStateVersion = 1;

struct StateMeta {
  raft::Index applied;
  raft::Term applied_term;
  raft::Index configuration_index;
  raft::Configuration configuration;  // in force at `applied`
  std::uint64_t prefix_hash = 0;      // chain64 over the checksums of all entries through `applied`
  std::uint64_t digest = 0;  // chain64 over twice the index, plus 1 if it deleted, of all commands

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

  // Reads the record; what an empty store gives is StateMeta{}. Errors: corrupt, unsupported (a
  // newer version), those of the store.
  [[nodiscard]] Result<StateMeta> load();
  // Applies entries that follow the applied one without a gap, in one batch. Checks every entry's
  // checksum once more. Errors: corrupt or unsupported (then nothing was written), those of the
  // store. Apply worker only.
  [[nodiscard]] Result<ApplyResult> apply(std::span<const raft::Entry> entries);
  // Any thread but not during load().
  [[nodiscard]] Result<std::optional<kv::Value>> get(std::string_view key);
  // Makes all that was applied durable. Apply worker only.
  [[nodiscard]] Status sync();

 private:
  [[nodiscard]] Result<kv::Outcome> apply_one(const raft::Entry& entry, StateMeta& meta);

  kv::OrderedStore& store_;
  kv::StateMachine machine_;
  kv::Batch batch_;
  std::string record_;  // kept for its memory
  StateMeta meta_;
};

}  // namespace raftkv::replica
