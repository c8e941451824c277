#include "src/replica/readiness.h"

namespace raftkv::replica {

void CommitHistory::note(raft::Index commit_index, Time now) {
  const std::int64_t number = now.time_since_epoch() / kSlice;
  if (commit_index <= slices_[newest_].commit_index) return;
  if (slices_[newest_].number != number) {
    newest_ = (newest_ + 1) % slices_.size();
    before_ = slices_[newest_].commit_index;
    slices_[newest_].number = number;
  }
  slices_[newest_].commit_index = commit_index;
}

raft::Index CommitHistory::before_lag(Time now) const {
  const std::int64_t newest_that_counts = (now - kReadyLagMax).time_since_epoch() / kSlice;
  for (std::size_t i = 0; i < slices_.size(); ++i) {
    const Slice& slice = slices_[(newest_ + slices_.size() - i) % slices_.size()];
    if (slice.number <= newest_that_counts) return slice.commit_index;
  }
  return before_;
}

}  // namespace raftkv::replica
