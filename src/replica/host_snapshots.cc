#include <utility>

#include "src/base/check.h"
#include "src/replica/host_impl.h"

namespace raftkv::replica {

void Host::Impl::carry_out_snapshots() {
  if (effects_.log_cut) cuts_.push(*effects_.log_cut);
  for (raft::SnapshotWork& work : effects_.snapshot_work) {
    if (auto* receive = std::get_if<raft::SnapshotReceive>(&work)) {
      intake_.push(std::move(*receive));
    } else if (const auto* discard = std::get_if<raft::SnapshotDiscard>(&work)) {
      intake_.push(*discard);
    } else if (const auto* open = std::get_if<raft::SnapshotOpen>(&work)) {
      streams_.push(*open);
    } else if (const auto* read = std::get_if<raft::SnapshotRead>(&work)) {
      streams_.push(*read);
    } else {
      streams_.push(std::get<raft::SnapshotClose>(work));
    }
  }
}

// False: it ended its stream, or the node.
bool Host::Impl::went_well(const Status& status) {
  if (status) return true;
  if (status.error().code == ErrorCode::fatal) {
    fail(status.error());
  } else {
    ports_.observer.observe(SnapshotFailed{status.error().message});
  }
  return false;
}

// A state that cannot be sent because it is damaged: who leads with it keeps the others waiting.
void Host::Impl::snapshot_opened(const Status& status, SnapshotStreams::Opened opened) {
  wake();
  if (!takes_part()) return;
  if (!status && status.error().code == ErrorCode::corrupt) return fail(status.error());
  (void)went_well(status);
  if (!fatal_) raft_.snapshot_opened(opened.stream, std::move(opened.snapshot), now());
}

void Host::Impl::snapshot_read(const Status& status, SnapshotStreams::Read read) {
  wake();
  if (!takes_part()) return;
  if (!status && status.error().code == ErrorCode::corrupt) return fail(status.error());
  if (went_well(status)) ports_.observer.observe(ChunkSent{read.chunk->data.size()});
  if (!fatal_) raft_.snapshot_read(read.stream, std::move(read.chunk), now());
}

void Host::Impl::snapshot_received(const Status& status, const SnapshotIntake::Received& received) {
  wake();
  if (!takes_part()) return;
  if (went_well(status) && received.bytes > 0) {
    ports_.observer.observe(ChunkReceived{received.bytes});
  }
  if (fatal_ || !received.stream) return;
  raft_.snapshot_received(received.stream, received.chunk, received.receipt, now());
}

// The core has counted all of it as applied since it gave out the log write.
void Host::Impl::snapshot_adopted(const Result<StateMeta>& meta) {
  wake();
  if (fatal_) return;
  if (!meta) return fail(meta.error());
  CHECK(meta->applied > applied_.applied || !applied_.applied, "a snapshot of what was there");
  applied_ = *meta;
  reads_.applied(applied_.applied);
  handles_.clear();
  pending_.skipped(applied_.applied, handles_);
  if (!handles_.empty()) mark(Mark::write_skipped_by_a_snapshot);
  for (const Handle handle : handles_) {
    abandon(handle, Problem::leadership_lost,
            "this node lost the leadership, and has its state from another since");
  }
  ports_.observer.observe(Applied{.index = applied_.applied, .digest = applied_.digest});
}

}  // namespace raftkv::replica
