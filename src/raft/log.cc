#include "src/raft/log.h"

#include <algorithm>
#include <utility>

#include "src/base/check.h"

namespace raftkv::raft {
namespace {

// One sample for this many bytes that are on disk only.
constexpr std::uint64_t kSampleBytes = 256u << 10;

}  // namespace

RaftLog::RaftLog(FoundLog found)
    : first_(found.first),
      prev_term_(found.prev_term),
      last_(found.last),
      runs_(std::move(found.terms)),
      bytes_before_cache_(found.bytes_before_tail) {
  CHECK(first_);
  CHECK((first_ == Index(1)) == !prev_term_, "only the first entry of all has none before it");
  CHECK(last_ >= prev_index());
  CHECK(runs_.empty() == (last_ == prev_index()));
  CHECK(runs_.empty() || (runs_.front().first == first_ && runs_.front().term >= prev_term_));
  CHECK(found.tail.empty() || found.tail.back().index() == last_);
  for (Entry& entry : found.tail) {
    CHECK(term(entry.index()) == entry.term());
    push(std::move(entry));
  }
  CHECK(cached_from() >= first_);
}

std::optional<Term> RaftLog::term(Index index) const {
  if (index == prev_index()) return prev_term_;
  if (index > last_) return std::nullopt;
  // Nearly always the last run or the one before it.
  const auto run = std::find_if(runs_.rbegin(), runs_.rend(),
                                [index](const TermRun& r) { return r.first <= index; });
  if (run == runs_.rend()) return std::nullopt;
  return run->term;
}

Index RaftLog::last_index_not_above(Index at_most, Term term) const {
  Index end = std::min(at_most, last_);
  if (end < prev_index()) return end;
  for (auto run = runs_.rbegin(); run != runs_.rend() && end; ++run) {
    if (run->first > end) continue;
    if (run->term <= term) return end;
    end = run->first.prev();
  }
  return end == prev_index() && prev_term_ <= term ? end : Index();
}

bool RaftLog::is_up_to_date(Index other_last_index, Term other_last_term) const {
  if (other_last_term != last_term()) return other_last_term > last_term();
  return other_last_index >= last_;
}

void RaftLog::append(Entry entry) {
  CHECK(entry.index() == last_.next());
  CHECK(entry.term() >= last_term());
  if (runs_.empty() || runs_.back().term != entry.term())
    runs_.push_back({entry.term(), entry.index()});
  ++last_;
  push(std::move(entry));
}

void RaftLog::push(Entry entry) {
  const std::uint64_t before = cache_.empty() ? bytes_before_cache_ : cache_.back().bytes_through;
  const std::uint64_t through = before + entry.size();
  cache_.push_back({std::move(entry), through});
}

void RaftLog::truncate_from(Index from) {
  CHECK(from >= cached_from());
  while (last_ >= from) {
    cache_.pop_back();
    last_ = last_.prev();
  }
  while (!runs_.empty() && runs_.back().first > last_) runs_.pop_back();
}

void RaftLog::evict(Index applied, std::size_t bytes_max) {
  while (!cache_.empty() && cache_.front().entry.index() <= applied &&
         cache_.back().bytes_through - bytes_before_cache_ > bytes_max) {
    evict_front();
  }
}

void RaftLog::evict_front() {
  const Index index = cache_.front().entry.index();
  bytes_before_cache_ = cache_.front().bytes_through;
  cache_.pop_front();
  const std::uint64_t sampled =
      samples_.empty() ? bytes_before_first_ : samples_.back().bytes_through;
  if (bytes_before_cache_ - sampled >= kSampleBytes) {
    samples_.push_back({.index = index, .bytes_through = bytes_before_cache_});
  }
}

void RaftLog::cut_before(Index first) {
  CHECK(first >= first_);
  CHECK(first <= last_.next());
  if (first == first_) return;
  prev_term_ = term(first.prev()).value();
  bytes_before_first_ = bytes_through(first.prev());
  while (cached_from() < first) evict_front();
  while (!samples_.empty() && samples_.front().index < first) samples_.pop_front();
  first_ = first;
  const auto kept = std::find_if(runs_.rbegin(), runs_.rend(),
                                 [first](const TermRun& r) { return r.first <= first; });
  runs_.erase(runs_.begin(), kept.base() - 1);
  runs_.front().first = first;
  if (first > last_) runs_.clear();
}

void RaftLog::restart_behind(Index index, Term term) {
  bytes_before_first_ = bytes_before_cache_ = bytes_through(last_);
  cache_.clear();
  samples_.clear();
  runs_.clear();
  first_ = index.next();
  prev_term_ = term;
  last_ = index;
}

const Entry& RaftLog::at(Index index) const {
  CHECK(index >= cached_from());
  return cache_[index - cached_from()].entry;
}

void RaftLog::collect(Index from, Index to, std::size_t count_max, std::size_t bytes_max,
                      std::vector<Entry>& out) const {
  if (from > to) return;
  out.reserve(out.size() + std::min<std::size_t>(count_max, to - from + 1));
  std::size_t bytes = 0;
  for (Index i = from; i <= to && count_max > 0; ++i, --count_max) {
    const Entry& entry = at(i);
    if (bytes > 0 && bytes + entry.size() > bytes_max) return;
    bytes += entry.size();
    out.push_back(entry);
  }
}

template <typename Before>
std::size_t RaftLog::first_sample_not(Before before) const {
  std::size_t low = 0;
  std::size_t high = samples_.size();
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (before(samples_[middle])) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

// The samples around position `i` of those on disk only: before it, and at it.
std::pair<RaftLog::Sample, RaftLog::Sample> RaftLog::around(std::size_t i) const {
  const Sample begin{.index = prev_index(), .bytes_through = bytes_before_first_};
  const Sample end{.index = cached_from().prev(), .bytes_through = bytes_before_cache_};
  return {i == 0 ? begin : samples_[i - 1], i == samples_.size() ? end : samples_[i]};
}

std::uint64_t RaftLog::bytes_through(Index index) const {
  if (index <= prev_index()) return bytes_before_first_;
  if (index >= cached_from() && !cache_.empty()) {
    return cache_[std::min(index, last_) - cached_from()].bytes_through;
  }
  if (index >= cached_from().prev()) return bytes_before_cache_;
  const auto [low, high] =
      around(first_sample_not([index](const Sample& s) { return s.index <= index; }));
  const std::uint64_t bytes = high.bytes_through - low.bytes_through;
  return low.bytes_through + bytes * (index - low.index) / (high.index - low.index);
}

Index RaftLog::index_before_last(std::size_t bytes) const {
  const std::uint64_t all = bytes_through(last_);
  if (all - bytes_before_first_ < bytes) return prev_index();
  const std::uint64_t target = all - bytes;
  if (target < bytes_before_cache_) {
    const auto [low, high] =
        around(first_sample_not([target](const Sample& s) { return s.bytes_through <= target; }));
    const std::uint64_t entries = high.index - low.index;
    return low.index +
           (target - low.bytes_through) * entries / (high.bytes_through - low.bytes_through);
  }
  Index low = cached_from().prev();
  Index high = last_;
  while (low < high) {  // the entries through `low` have at most `target`, those behind `high` more
    const Index middle(high.value - (high - low) / 2);
    if (bytes_through(middle) <= target) {
      low = middle;
    } else {
      high = middle.prev();
    }
  }
  return low;
}

std::size_t RaftLog::bytes_between(Index after, Index through) const {
  if (through <= after) return 0;
  return bytes_through(through) - bytes_through(after);
}

}  // namespace raftkv::raft
