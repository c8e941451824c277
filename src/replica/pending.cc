#include "src/replica/pending.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "src/base/check.h"

namespace raftkv::replica {

void PendingProposals::add_other(const Pending& pending) {
  const auto at = std::upper_bound(
      others_.begin(), others_.end(), pending.place.index,
      [](raft::Index index, const Pending& other) { return index < other.place.index; });
  others_.insert(at, pending);
}

void PendingProposals::add(const raft::Proposed& place, Handle handle) {
  const Pending pending{.place = place, .handle = handle};
  // Not so: a membership change that is fulfilled by an entry that somebody else proposed before.
  if (in_order_.empty() || in_order_.back().place.index < place.index) {
    in_order_.push_back(pending);
  } else {
    add_other(pending);
  }
}

void PendingProposals::leadership_lost(Time give_up) {
  const auto index_of = [](const Pending& pending) { return pending.place.index; };
  std::vector<Pending> lost;
  for (; !in_order_.empty(); in_order_.pop_front()) lost.push_back(in_order_.front());
  std::vector<Pending> merged;
  merged.reserve(others_.size() + lost.size());
  std::ranges::merge(others_, lost, std::back_inserter(merged), {}, index_of, index_of);
  others_ = std::move(merged);
  for (Pending& other : others_) {
    if (other.give_up == kNever) other.give_up = give_up;
  }
  if (!others_.empty()) next_give_up_ = std::min(next_give_up_, give_up);
}

void PendingProposals::applied(std::span<const raft::Entry> entries, std::vector<Resolved>& out) {
  if (entries.empty()) return;
  const raft::Index first = entries.front().index();
  const raft::Index last = entries.back().index();
  const auto resolve = [&](const Pending& pending) {
    CHECK(pending.place.index >= first, "a proposal was overlooked when its index was applied");
    const std::size_t position = pending.place.index - first;
    const bool same = entries[position].term() == pending.place.term;
    out.push_back({.handle = pending.handle, .applied = same, .position = position});
  };
  for (; !in_order_.empty() && in_order_.front().place.index <= last; in_order_.pop_front()) {
    resolve(in_order_.front());
  }
  auto end = others_.begin();
  for (; end != others_.end() && end->place.index <= last; ++end) resolve(*end);
  others_.erase(others_.begin(), end);
  if (others_.empty()) next_give_up_ = kNever;
}

void PendingProposals::skipped(raft::Index through, std::vector<Handle>& out) {
  for (; !in_order_.empty() && in_order_.front().place.index <= through; in_order_.pop_front()) {
    out.push_back(in_order_.front().handle);
  }
  auto end = others_.begin();
  for (; end != others_.end() && end->place.index <= through; ++end) out.push_back(end->handle);
  others_.erase(others_.begin(), end);
  if (others_.empty()) next_give_up_ = kNever;
}

void PendingProposals::expire(Time now, std::vector<Handle>& out) {
  if (now < next_give_up_) return;
  next_give_up_ = kNever;
  std::erase_if(others_, [&](const Pending& other) {
    if (other.give_up <= now) {
      out.push_back(other.handle);
      return true;
    }
    next_give_up_ = std::min(next_give_up_, other.give_up);
    return false;
  });
}

}  // namespace raftkv::replica
