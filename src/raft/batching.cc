#include "src/raft/batching.h"

#include <algorithm>

namespace raftkv::raft {

void Batching::begin_term(Index noop, Duration wait_max, Time now) {
  *this = Batching();
  end_ = noop.prev();
  leave(noop, wait_max, now);
  size_ = 0;  // nobody proposed it
}

Batching::Verdict Batching::decide(Index last, Index committed, bool fills_a_message,
                                   Duration wait_max, Time now) {
  const std::uint64_t waiting = last - end_;
  if (under_way_ && end_ <= committed) {
    under_way_ = false;
    wanted_ = waiting + expected_again();
    // Who does not come back within another such time is not one who asks again and again.
    deadline_ = now + std::min(now - left_, wait_max);
  }
  if (waiting == 0) return Verdict::nothing_new;
  const bool complete = !under_way_ && waiting >= wanted_;
  const bool at_once = complete || fills_a_message || wait_max == Duration(0);
  if (!at_once && now < deadline_)
    return under_way_ ? Verdict::waits_for_commit : Verdict::waits_for_clients;
  const Verdict verdict = at_once      ? Verdict::leaves
                          : under_way_ ? Verdict::leaves_overdue
                                       : Verdict::leaves_without_some;
  leave(last, wait_max, now);
  return verdict;
}

void Batching::leave(Index last, Duration wait_max, Time now) {
  size_ = last - end_;
  end_ = last;
  left_ = now;
  deadline_ = now + wait_max;
  under_way_ = true;
}

}  // namespace raftkv::raft
