// RaftLog: the log as the core sees it. Terms of all entries (as runs), and in memory the entries
// that are not yet applied and the last of those that are; older ones are on disk only and come
// back by LogFetch.
#pragma once

#include <cstdint>
#include <optional>
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

// Invariants: indexes are contiguous from first_index() to last_index(); terms do not fall; every
// entry above the applied one is in memory.
class RaftLog {
 public:
  RaftLog() = default;
  // A log found on disk: its terms, its last index, and the entries at its end that are to be kept
  // in memory.
  RaftLog(std::vector<TermRun> terms, Index last, std::vector<Entry> tail);

  // The first entry that the log has or will have. Everything before it is in a snapshot; without
  // one it is 1.
  [[nodiscard]] Index first_index() const { return first_; }
  [[nodiscard]] Index last_index() const { return last_; }
  [[nodiscard]] Term last_term() const { return runs_.empty() ? Term() : runs_.back().term; }
  // The first entry in memory; last_index() + 1 if there is none.
  [[nodiscard]] Index cached_from() const { return Index(last_.value + 1 - cache_.size()); }

  // The term of the entry at `index`; 0 for index 0; nullopt where the log has no entry.
  [[nodiscard]] std::optional<Term> term(Index index) const;
  // The consistency check of AppendEntries (§5.3).
  [[nodiscard]] bool matches(Index index, Term term) const { return this->term(index) == term; }
  // The largest index at or below `at_most` whose entry has a term at or below `term`: where a
  // search for the last common entry goes on after a conflict (§5.3, "the protocol can be
  // optimized"). 0 if there is none.
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

  // In memory only.
  [[nodiscard]] const Entry& at(Index index) const;
  // Appends to `out` the entries from..to, no more than `count_max` and `bytes_max`, but at least
  // one.
  void collect(Index from, Index to, std::size_t count_max, std::size_t bytes_max,
               std::vector<Entry>& out) const;
  // The size of the entries above `after` through `through`, as far as they are in memory.
  [[nodiscard]] std::size_t bytes_between(Index after, Index through) const;

  [[nodiscard]] const std::vector<TermRun>& term_runs() const { return runs_; }

 private:
  struct Cached {
    Entry entry;
    std::uint64_t bytes_through = 0;  // of this entry and all before it since the start
  };
  void push(Entry entry);
  // Bytes through the entry at `index`, clamped to what is in memory.
  [[nodiscard]] std::uint64_t bytes_through(Index index) const;

  Index first_ = Index(1);
  Index last_;
  std::vector<TermRun> runs_;
  Ring<Cached> cache_;  // the entries (last_ - cache_.size(), last_]
  std::uint64_t bytes_before_cache_ = 0;
};

}  // namespace raftkv::raft
