// StateStore: applies committed entries to the ordered store, each batch together with what says
// how far it is: applied index and term, configuration, prefix hash of the log, running digest.
// Never synced per write: the log can redo it.
//
// It is also where snapshots are read from and received into (src/replica/snapshot_stream.h): what
// is received goes into a store of its own, which takes the place of the state when it is adopted.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/result.h"
#include "src/kv/state_machine.h"
#include "src/kv/store.h"
#include "src/raft/entry.h"
#include "src/replica/snapshot_stream.h"
#include "src/replica/state_record.h"

namespace raftkv::replica {

struct ApplyResult {
  std::vector<kv::Outcome> outcomes;  // one per entry; of use for commands only
  StateMeta meta;                     // after the batch
};

class StateStore {
 public:
  // `store` must outlive this. load() first.
  explicit StateStore(kv::ReplaceableStore& store);

  // Reads the record; what an empty store gives is StateMeta{}. Errors: corrupt, unsupported (a
  // newer version), those of the store.
  [[nodiscard]] Result<StateMeta> load();
  // Applies entries that follow the applied one without a gap, in one batch. Checks every entry's
  // checksum once more. Errors: corrupt or unsupported (then nothing was written), those of the
  // store. Apply worker only.
  [[nodiscard]] Result<ApplyResult> apply(std::span<const raft::Entry> entries);
  // They can be applied now in a few microseconds and without waiting for a disk: few bytes, and
  // nothing that has to be read. Any thread.
  [[nodiscard]] bool applies_at_once(std::span<const raft::Entry> entries);
  // Any thread but not during load().
  [[nodiscard]] Result<std::optional<kv::Value>> get(std::string_view key);
  // The same where it has to wait for nothing; nullopt: it is a worker's.
  [[nodiscard]] std::optional<Result<std::optional<kv::Value>>> get_at_once(std::string_view key);
  // So much of what was applied is in memory only that sync() should come soon. Any thread.
  [[nodiscard]] bool wants_sync() { return store_.wants_sync(); }
  // Makes all that was applied before the call durable. Any thread, while others use this.
  [[nodiscard]] Status sync();

  // The state as it is now, to be sent. Any thread. Errors: not_found (nothing was applied yet),
  // corrupt, unsupported, fatal.
  [[nodiscard]] Result<std::unique_ptr<SnapshotReader>> open_snapshot();

  // --- receiving a snapshot; apply worker ---
  // The next chunk of it. `first`: what was received before is of no use any more. Errors: corrupt,
  // invalid (no chunk of a snapshot: another one must begin); those of the store.
  [[nodiscard]] Status receive(std::string_view data, bool first);
  // The last chunk has been received: holds the whole against its digest, and makes it durable.
  // Gives what it is. Errors: as receive().
  [[nodiscard]] Result<StateMeta> complete(std::uint64_t contents_digest);
  [[nodiscard]] Status discard();
  // What is complete becomes the state. Its place in the promise must be durable
  // (LogStore::append). Errors: corrupt, unsupported, those of the store.
  [[nodiscard]] Result<StateMeta> adopt();

 private:
  [[nodiscard]] Result<kv::Outcome> apply_one(const raft::Entry& entry, StateMeta& meta);

  kv::ReplaceableStore& store_;
  std::unique_ptr<SnapshotWriter> incoming_;
  kv::StateMachine machine_;
  kv::Batch batch_;
  std::string record_;  // kept for its memory
  StateMeta meta_;
};

}  // namespace raftkv::replica
