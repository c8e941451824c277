#include "src/raft/log.h"

#include <algorithm>
#include <utility>

#include "src/base/check.h"

namespace raftkv::raft {

RaftLog::RaftLog(std::vector<TermRun> terms, Index last, std::vector<Entry> tail)
    : last_(last), runs_(std::move(terms)) {
  CHECK(runs_.empty() == !last_);
  CHECK(tail.empty() || tail.back().index() == last_);
  for (Entry& entry : tail) {
    CHECK(term(entry.index()) == entry.term());
    push(std::move(entry));
  }
}

std::optional<Term> RaftLog::term(Index index) const {
  if (!index) return Term();
  if (index > last_) return std::nullopt;
  // Nearly always the last run or the one before it.
  const auto run = std::find_if(runs_.rbegin(), runs_.rend(),
                                [index](const TermRun& r) { return r.first <= index; });
  if (run == runs_.rend()) return std::nullopt;
  return run->term;
}

Index RaftLog::last_index_not_above(Index at_most, Term term) const {
  Index end = std::min(at_most, last_);
  for (auto run = runs_.rbegin(); run != runs_.rend() && end; ++run) {
    if (run->first > end) continue;
    if (run->term <= term) return end;
    end = run->first.prev();
  }
  return Index();
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
    bytes_before_cache_ = cache_.front().bytes_through;
    cache_.pop_front();
  }
}

const Entry& RaftLog::at(Index index) const {
  CHECK(index >= cached_from());
  return cache_[index - cached_from()].entry;
}

void RaftLog::collect(Index from, Index to, std::size_t count_max, std::size_t bytes_max,
                      std::vector<Entry>& out) const {
  std::size_t bytes = 0;
  for (Index i = from; i <= to && count_max > 0; ++i, --count_max) {
    const Entry& entry = at(i);
    if (bytes > 0 && bytes + entry.size() > bytes_max) return;
    bytes += entry.size();
    out.push_back(entry);
  }
}

std::uint64_t RaftLog::bytes_through(Index index) const {
  if (index < cached_from()) return bytes_before_cache_;
  const Index known = std::min(index, last_);
  return cache_.empty() ? bytes_before_cache_ : cache_[known - cached_from()].bytes_through;
}

std::size_t RaftLog::bytes_between(Index after, Index through) const {
  if (through <= after) return 0;
  return bytes_through(through) - bytes_through(after);
}

}  // namespace raftkv::raft
