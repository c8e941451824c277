#include "src/raft/progress.h"

#include <algorithm>

#include "src/base/check.h"

namespace raftkv::raft {

bool Progress::window_open(const Options& options) const {
  if (state_ == State::probe) return !probe_sent_;
  if (state_ == State::snapshot) return false;
  return inflight_.size() < options.inflight_messages_max &&
         inflight_bytes_ < options.inflight_bytes_max;
}

void Progress::sent(Index last, std::size_t bytes) {
  if (state_ == State::probe) {
    probe_sent_ = true;
    return;
  }
  if (!last) return;
  CHECK(state_ == State::replicate);
  CHECK(last >= next_index_);
  next_index_ = last.next();
  inflight_.push_back({.last = last, .bytes = bytes});
  inflight_bytes_ += bytes;
}

bool Progress::acknowledged(Index match) {
  const bool news = match > match_index_;
  if (news) match_index_ = match;
  if (next_index_ <= match_index_) next_index_ = match_index_.next();
  free_through(match_index_);
  if (state_ != State::replicate && match_index_.next() == next_index_) {
    state_ = State::replicate;
    probe_sent_ = false;
  }
  return news;
}

bool Progress::refused(Index prev, Index hint) {
  if (prev <= match_index_) return false;       // answers an old request: it has matched since
  if (state_ == State::snapshot) return false;  // known
  if (state_ == State::probe && prev.next() != next_index_) return false;
  const Index next = std::min(prev, hint.next());
  probe_again();
  next_index_ = std::max(match_index_.next(), next);
  return true;
}

bool Progress::await_snapshot(Index first) {
  CHECK(first > match_index_);
  const bool news = state_ != State::snapshot;
  if (news) {
    probe_again();
    state_ = State::snapshot;
    snapshot_due = true;
  }
  next_index_ = first;
  return news;
}

void Progress::probe_again() {
  if (state_ == State::snapshot) return;
  state_ = State::probe;
  probe_sent_ = false;
  inflight_.clear();
  inflight_bytes_ = 0;
  fetching = false;
  next_index_ = match_index_.next();
}

void Progress::restarted() {
  const Index next = match_index_.next();
  match_index_ = Index();
  acknowledged_round_ = ReadRound();
  snapshot_wanted = catching_up = false;
  probe_again();
  // Most likely it still has what it acknowledged; the probe finds out.
  if (state_ != State::snapshot) next_index_ = next;
}

void Progress::free_through(Index match) {
  while (!inflight_.empty() && inflight_.front().last <= match) {
    inflight_bytes_ -= inflight_.front().bytes;
    inflight_.pop_front();
  }
}

}  // namespace raftkv::raft
