#include "src/raft/stable.h"

#include <algorithm>

#include "src/base/check.h"

namespace raftkv::raft {

WriteId Stable::begin(Index through, Time now) {
  const WriteId id = next_id_;
  ++next_id_;
  pending_.push_back({.id = id, .through = through, .since = now, .clipped = false});
  return id;
}

bool Stable::truncated(Index from) {
  const Index kept = from.prev();
  index_ = std::min(index_, kept);
  bool clipped = false;
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    if (pending_[i].through <= kept) continue;
    pending_[i].through = kept;
    pending_[i].clipped = clipped = true;
  }
  return clipped;
}

bool Stable::written(WriteId id) {
  CHECK(id < next_id_, "a log write is reported that was never handed out");
  bool clipped = false;
  while (!pending_.empty() && pending_.front().id <= id) {
    index_ = std::max(index_, pending_.front().through);
    clipped = clipped || pending_.front().clipped;
    pending_.pop_front();
  }
  return clipped;
}

}  // namespace raftkv::raft
