// PendingProposals: what was appended for somebody who waits for its outcome (design, section 4,
// rule 8).
//
//   an entry with the same index and term is applied      its outcome
//   an entry of another term is committed at its index    certainly not applied
//   leadership was lost                                    wait for one of the two, at most an
//   election timeout anything else                                          unknown: another holder
//   may still commit it (Figure 8)
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "src/base/ring.h"
#include "src/base/time.h"
#include "src/raft/entry.h"
#include "src/raft/raft.h"
#include "src/replica/request_table.h"

namespace raftkv::replica {

class PendingProposals {
 public:
  struct Resolved {
    Handle handle;
    bool applied = false;      // else superseded: not applied, and never will be
    std::size_t position = 0;  // among the entries of this call
  };

  [[nodiscard]] bool empty() const { return in_order_.empty() && others_.empty(); }

  // `handle` waits for the entry at this place, which is not yet applied here.
  void add(const raft::Proposed& place, Handle handle);
  // The leadership in which all of these were appended is over: they wait until `give_up` at the
  // latest.
  void leadership_lost(Time give_up);
  // These entries, contiguous and following those of the last call, are applied. Appends to `out`.
  void applied(std::span<const raft::Entry> entries, std::vector<Resolved>& out);
  // All through this index is in a snapshot that was installed: whether as it was proposed, nobody
  // here knows. Appends those that waited for it to `out`.
  void skipped(raft::Index through, std::vector<Handle>& out);
  // Gives up those that have waited long enough for a resolution. Appends to `out`.
  void expire(Time now, std::vector<Handle>& out);
  [[nodiscard]] Time next_deadline() const { return next_give_up_; }

 private:
  struct Pending {
    raft::Proposed place;
    Handle handle;
    Time give_up = kNever;  // not kNever: leadership was lost
  };
  void add_other(const Pending& pending);

  Ring<Pending> in_order_;  // by ascending index: each behind the one that was added before
  std::vector<Pending>
      others_;  // by ascending index: of lost leaderships, and those that came out of order
  Time next_give_up_ = kNever;
};

}  // namespace raftkv::replica
