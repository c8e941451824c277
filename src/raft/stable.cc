#include "src/raft/stable.h"

#include <algorithm>

#include "src/base/check.h"

namespace raftkv::raft {

WriteId Stable::begin(Index through, Time now) {
  const WriteId id = next_id_;
  ++next_id_;
  pending_.push_back({.id = id, .through = through, .since = now});
  return id;
}

void Stable::truncated(Index from) {
  const Index kept = from.prev();
  index_ = std::min(index_, kept);
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    pending_[i].through = std::min(pending_[i].through, kept);
  }
}

void Stable::written(WriteId id) {
  CHECK(id < next_id_, "a log write is reported that was never handed out");
  while (!pending_.empty() && pending_.front().id <= id) {
    index_ = std::max(index_, pending_.front().through);
    pending_.pop_front();
  }
}

}  // namespace raftkv::raft
