// RaftLog: the log as the core sees it. Terms of all entries (as runs), and in memory the entries
// that are not yet applied and the last of those that are; older ones are on disk only and come
// back by LogFetch, and what lies before the first is in a snapshot only (§7).
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "src/base/ring.h"
#include "src/raft/entry.h"
#include "src/raft/types.h"

namespace raftkv::raft {

// Entries from `first` up to the next run's first have this term.
struct TermRun {
  Term term;
  Index first;
  bool operator==(const TermRun&) const = default;
};

// A log as it was found on disk.
struct FoundLog {
  Index first = Index(1);               // the first entry that it has or will have
  Term prev_term;                       // of the entry before it
  Index last;                           // first - 1: it is empty
  std::vector<TermRun> terms;           // of all its entries
  std::vector<Entry> tail;              // the entries at its end that are to be kept in memory
  std::uint64_t bytes_before_tail = 0;  // the size of the others; 0: not known
};

// Invariants: indexes are contiguous from first_index() to last_index(); terms do not fall; every
// entry above the applied one is in memory. What lies before first_index() is committed.
class RaftLog {
 public:
  RaftLog() = default;
  explicit RaftLog(FoundLog found);

  // The first entry that the log has or will have. Everything before it is in a snapshot; without
  // one it is 1.
  [[nodiscard]] Index first_index() const { return first_; }
  // The last entry before that. Its term is still known.
  [[nodiscard]] Index prev_index() const { return first_.prev(); }
  [[nodiscard]] Term prev_term() const { return prev_term_; }
  // prev_index() if the log is empty.
  [[nodiscard]] Index last_index() const { return last_; }
  [[nodiscard]] Term last_term() const { return runs_.empty() ? prev_term_ : runs_.back().term; }
  // The first entry in memory; last_index() + 1 if there is none.
  [[nodiscard]] Index cached_from() const { return Index(last_.value + 1 - cache_.size()); }

  // The term of the entry at `index`, of prev_index() too; 0 for index 0; nullopt where the log has
  // no entry.
  [[nodiscard]] std::optional<Term> term(Index index) const;
  // The consistency check of AppendEntries (§5.3). What lies before the log is committed, and no
  // leader has another entry there (Figure 3, Leader Completeness).
  [[nodiscard]] bool matches(Index index, Term term) const {
    return index < prev_index() || this->term(index) == term;
  }
  // The largest index at or below `at_most` whose entry has a term at or below `term`: where a
  // search for the last common entry goes on after a conflict (§5.3, "the protocol can be
  // optimized"). 0 if there is none as far as the log goes back; `at_most` itself if that lies
  // before the log.
  [[nodiscard]] Index last_index_not_above(Index at_most, Term term) const;
  // Is a log that ends like this at least as up-to-date as ours? (§5.4.1)
  [[nodiscard]] bool is_up_to_date(Index other_last_index, Term other_last_term) const;

  // The entry follows the last one without a gap, and its term is not below the last one's.
  void append(Entry entry);
  // Drops the entry at `from` and all behind it. `from` must be in memory.
  void truncate_from(Index from);
  // Forgets entries at or below `applied` from memory, oldest first, until at most `bytes_max` are
  // cached.
  void evict(Index applied, std::size_t bytes_max);
  // Forgets all before `first`, which is behind what is not applied at most (§7, Figure 12).
  void cut_before(Index first);
  // The log is empty and begins behind this entry: a snapshot contradicts it, or ends behind it.
  void restart_behind(Index index, Term term);

  // In memory only.
  [[nodiscard]] const Entry& at(Index index) const;
  // Appends to `out` the entries from..to, no more than `count_max` and `bytes_max`, but at least
  // one.
  void collect(Index from, Index to, std::size_t count_max, std::size_t bytes_max,
               std::vector<Entry>& out) const;
  // The size of the entries above `after` through `through`. Exact in memory; of those that are on
  // disk only an estimate from samples.
  [[nodiscard]] std::size_t bytes_between(Index after, Index through) const;
  // The largest index behind which the log has `bytes` or more; prev_index() if it has less.
  // Estimated, as bytes_between is.
  [[nodiscard]] Index index_before_last(std::size_t bytes) const;

  [[nodiscard]] const std::vector<TermRun>& term_runs() const { return runs_; }

 private:
  struct Cached {
    Entry entry;
    std::uint64_t bytes_through = 0;  // of this entry and all before it since the start
  };
  // Of entries on disk only: the size of all through `index` since the start. Between two samples
  // they count as equally large.
  struct Sample {
    Index index;
    std::uint64_t bytes_through = 0;
  };
  void push(Entry entry);
  void evict_front();
  // Bytes through the entry at `index`, clamped to the log.
  [[nodiscard]] std::uint64_t bytes_through(Index index) const;
  template <typename Before>
  [[nodiscard]] std::size_t first_sample_not(Before before) const;
  [[nodiscard]] std::pair<Sample, Sample> around(std::size_t i) const;

  Index first_ = Index(1);
  Term prev_term_;
  Index last_;
  std::vector<TermRun> runs_;
  Ring<Cached> cache_;  // the entries (last_ - cache_.size(), last_]
  std::uint64_t bytes_before_cache_ = 0;
  std::uint64_t bytes_before_first_ = 0;
  Ring<Sample> samples_;  // ascending, within [first_, cached_from())
};

}  // namespace raftkv::raft
