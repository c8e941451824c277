#include "src/raft/snapshot_stream.h"

#include <algorithm>

#include "src/base/check.h"

namespace raftkv::raft {

void SnapshotStream::opened(SnapshotMeta snapshot, Time now) {
  CHECK(!snapshot_);
  CHECK(snapshot.last_included_index >= behind_, "a view is older than what was applied");
  behind_ = snapshot.last_included_index;
  snapshot_ = std::move(snapshot);
  moved_at_ = now;
}

std::optional<std::uint64_t> SnapshotStream::next_to_read(const Options& options) {
  const bool wanted = snapshot_ && !reading_ && !read_to_the_end_ &&
                      window_.size() < options.snapshot_window_chunks;
  if (!wanted) return std::nullopt;
  reading_ = true;
  return acknowledged_ + window_.size();
}

bool SnapshotStream::read(SnapshotChunk chunk) {
  if (!reading_ || chunk.chunk != acknowledged_ + window_.size()) return false;
  reading_ = false;
  read_to_the_end_ = chunk.last;
  window_.push_back(std::move(chunk));
  return true;
}

const SnapshotChunk* SnapshotStream::next_to_send(Time now) {
  if (unsent_ >= acknowledged_ + window_.size()) return nullptr;
  sent_at_ = now;
  return &window_[unsent_++ - acknowledged_];
}

// An answer may be late, and says then less than is known; it may not speak of what was never read.
void SnapshotStream::acknowledged(std::uint64_t next_chunk, Time now) {
  if (next_chunk <= acknowledged_ || next_chunk > acknowledged_ + window_.size()) return;
  for (; acknowledged_ < next_chunk; ++acknowledged_) window_.pop_front();
  unsent_ = std::max(unsent_, acknowledged_);
  moved_at_ = now;
}

bool SnapshotStream::resend_after(Duration quiet, Time now) {
  if (unsent_ == acknowledged_ || now - std::max(moved_at_, sent_at_) < quiet) return false;
  unsent_ = acknowledged_;
  return true;
}

bool SnapshotStream::over(const Options& options, Time now) const {
  return now - moved_at_ >= options.snapshot_stall_max ||
         now - opened_at_ >= options.snapshot_life_max;
}

}  // namespace raftkv::raft
