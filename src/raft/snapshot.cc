// Snapshots (§7, Figure 13).
#include <algorithm>

#include "src/raft/raft.h"

namespace raftkv::raft {

void Raft::state_synced(Index index, Time /*now*/) {
  synced_ = std::max(synced_, index);
}

// --- the leader's side ---

// An answer to a stream that has ended means nothing.
void Raft::snapshot_opened(StreamId /*stream*/, std::optional<SnapshotMeta> /*snapshot*/,
                           Time /*now*/) {}

void Raft::snapshot_read(StreamId /*stream*/, std::optional<SnapshotChunk> /*chunk*/,
                         Time /*now*/) {}

void Raft::on(const Envelope& /*envelope*/, const InstallSnapshotReply& /*reply*/, Time /*now*/) {}

// --- the follower's side ---

void Raft::on(const Envelope& /*envelope*/, const InstallSnapshot& /*request*/, Time /*now*/) {}

void Raft::snapshot_received(StreamId /*stream*/, std::uint64_t /*chunk*/,
                             SnapshotReceipt /*receipt*/, Time /*now*/) {}

}  // namespace raftkv::raft
