// What must hold, always. One list, checked after every event for what the event could have
// changed: each check costs as much as the change, not as the state.
//
//   I1   Election safety         a term ever has at most one leader
//   I2   Leader append-only      a leader's log only grows; a follower drops an entry only for a
//   conflicting one of
//                                its term's leader; a crash drops what the disk lacked
//   I3   Log matching            two logs with the same term at an index are the same through it
//   I4   Leader completeness     a new leader has every entry committed by a leader of an earlier
//   term I5   State machine safety    every node applies the committed entries, in order, once
//   within an incarnation,
//                                and comes to the same digest
//   I6   Commit is earned        a leader commits an entry of its term that quorums of both halves
//   of its
//                                configuration held on disk when they acknowledged it; a follower
//                                commits only what is committed, and its own log agrees
//   I7   Acknowledged is durable an append acknowledgement leaves only when the disk holds what it
//   says I8   Committed is for ever   a committed entry leaves no disk and no log I9   Hard state
//   on disk the term never falls, the vote is given once in a term, and a vote or a
//                                candidacy is there before a message says it
//   I10  Snapshots               applied <= commit <= last; first <= applied + 1, and on disk what
//   is synced + 1; a snapshot that is
//                                sent or installed ends with a committed entry, and its
//                                configuration is the log's
//   I11  Progress                a leader's match is at most what the peer's disk truly shares, and
//   does not fall I12  Stable                  a node's stable index is at most its log's durable
//   prefix I13  Reads                   (client_checks.h) I15  Configurations          the one in
//   force is the last in the log; one change at a time, after an entry of
//                                the own term is committed; quorums of neighbours intersect
//   I16  Votes                   a leader was elected by a quorum of votes that were really given
//   I17  Roles                   only voters of a configuration that may be in force campaign; a
//   leader that removed itself steps down I18  Messages                entries are contiguous,
//   terms do not fall; AppendEntries come only from the leader I19  Lost promises           a node
//   that lost a promise neither votes nor campaigns, one that lost its state does not campaign;
//   one that is repaired has again what it had of what was committed I20
//   Recovered state         a recovered state, and an installed one, is the committed log's at its
//   applied index I21  Recovery                a disk that was not damaged opens and holds what was
//   promised, and of what was being written when the process died a first part; one that was
//   damaged does so too, or says that it does not
//
// D(n), the durable image, is GhostNode::durable: what a crash at this instant would leave for
// certain. Idempotency keys (I14) do not exist yet.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "sim/disk.h"
#include "sim/ghost.h"
#include "src/raft/raft.h"
#include "src/raft/wire.h"
#include "src/replica/ports.h"

namespace raftkv::sim {

struct Violation {
  std::string invariant;  // "I3"
  std::string what;       // one sentence with the numbers
};

// The first violation; a run stops at it.
class Verdict {
 public:
  void fail(std::string_view invariant, std::string what) {
    if (!violation_) violation_ = Violation{std::string(invariant), std::move(what)};
  }
  [[nodiscard]] bool failed() const { return violation_.has_value(); }
  [[nodiscard]] const std::optional<Violation>& violation() const { return violation_; }

 private:
  std::optional<Violation> violation_;
};

// One operation of those that a log write consists of.
using Step = std::variant<raft::HardState, const raft::SnapshotMeta*, Index, const raft::Entry*>;

class Invariants {
 public:
  Invariants(Ghost& ghost, Verdict& verdict) : ghost_(ghost), verdict_(verdict) {}

  // Entries that a cluster begins with: in force everywhere and committed before the run.
  void begins_with(const raft::Entry& entry);
  // A process has recovered from its disk and will run as this.
  void started(std::size_t node, const raft::Raft& raft, const replica::StateMeta& meta,
               const kv::MemoryStore::Contents* contents);
  void died(std::size_t node);
  void wiped(std::size_t node);
  void lost_state(std::size_t node);
  // Its disk was changed while it was stopped.
  void damaged(std::size_t node);
  // The node's Host has handled inputs and carried out effects.
  void turned(std::size_t node, const raft::Raft& raft);
  void observed(std::size_t node, const raft::Raft& raft, const replica::Event& event);
  // The state machine's record after a finished batch, or of a snapshot that has become the state.
  void applied(std::size_t node, const replica::StateMeta& meta,
               const kv::MemoryStore::Contents* contents);
  // Will applied() at this index look at the contents?
  [[nodiscard]] bool wants_contents(std::size_t node, Index applied) const {
    return applied == ghost_.nodes[node].to_be_adopted;
  }
  // The run is over. The state of a node that runs has these contents, its record among them, and
  // the last applied index that the node was told of is `reported`.
  void ends_with(std::size_t node, Index reported, const kv::MemoryStore::Contents* contents);
  // A frame leaves.
  void sent(std::size_t node, const raft::Raft& raft, const raft::Envelope& envelope);
  // The disk's witness.
  void durable_hard_state(std::size_t node, const raft::HardState& hard_state);
  void durable_truncated(std::size_t node, Index from);
  void durable_appended(std::size_t node, const raft::Entry& entry);
  void durable_cut(std::size_t node, Index first);
  void durable_installed(std::size_t node, Index index, Term term);
  void durable_state(std::size_t node, Index applied);
  void promise_repaired(std::size_t node);
  void found(std::size_t node, const FoundOnDisk& found, std::span<const raft::LogWrite> under_way);

 private:
  void follow_log(std::size_t node, const raft::Raft& raft);
  void follow_snapshot(std::size_t node, const raft::Raft& raft);
  void dropped(std::size_t node, const raft::Raft& raft, Index from);
  void appended(std::size_t node, const raft::Entry& entry);
  void find_configurations(GhostNode& ghost) const;
  void committed(std::size_t node, Term term, Index through);
  [[nodiscard]] Term led_term(std::size_t node, const raft::Raft& raft) const;
  void replay(const raft::Entry& entry, std::uint64_t prefix, Term committed_in);
  void registers_leader(std::size_t node, const raft::Raft& raft, Term term);

  void check_leadership(std::size_t node, const raft::Raft& raft);
  void check_commit_earned(std::size_t node, const raft::Raft& raft, Term term, Index through);
  void check_commit(std::size_t node, const raft::Raft& raft);
  void check_stable(std::size_t node, const raft::Raft& raft);
  void check_progress(std::size_t node, const raft::Raft& raft);
  void check_roles(std::size_t node, const raft::Raft& raft);
  [[nodiscard]] bool may_be_needed(std::size_t node, const raft::Raft& raft) const;
  void check_configuration(std::size_t node, const raft::Raft& raft);
  void check_proposal(std::size_t node, const raft::Raft& raft, Index before, Index proposed);
  void check_acknowledgement(std::size_t node, const raft::Envelope& envelope, Index match);
  void check_append(std::size_t node, const raft::Raft& raft, const raft::Envelope& envelope,
                    const raft::AppendEntries& append);
  void check_snapshot(std::size_t node, const raft::Raft& raft, const raft::Envelope& envelope,
                      const raft::SnapshotMeta& snapshot);
  void check_configuration_of(std::size_t node, std::string_view invariant, Index applied,
                              Index configuration_index, const Configuration& configuration);
  // `what` has happened: "recovered".
  void check_contents(std::size_t node, std::string_view what, Index applied,
                      const kv::MemoryStore::Contents* contents);
  void check_unreadable(std::size_t node, const FoundOnDisk& found,
                        std::span<const raft::LogWrite> under_way);
  std::optional<std::size_t> check_hard_state(std::size_t node, const raft::HardState& found,
                                              std::span<const raft::LogWrite> under_way);
  void find_end(std::size_t node, Index last, Term term);
  void become_durable(std::size_t node, const Step& step);
  void found_less(std::size_t node, const FoundOnDisk& found, const LogMirror& log);
  void check_found(std::size_t node, const FoundOnDisk& found,
                   std::span<const raft::LogWrite> under_way, const LogMirror& log);

  // The configuration in a node's log at this index; empty for index 0.
  [[nodiscard]] Configuration configuration_at(const GhostNode& ghost, Index index) const;
  template <typename... Args>
  void fail(std::string_view invariant, std::size_t node, std::string_view format,
            const Args&... args) {
    verdict_.fail(invariant, fmt::format("n{}: ", node + 1) +
                                 fmt::vformat(format, fmt::make_format_args(args...)));
  }

  Ghost& ghost_;
  Verdict& verdict_;
};

// Do every two quorums of neighbouring configurations meet?
[[nodiscard]] bool quorums_intersect(const Configuration& before, const Configuration& after);

}  // namespace raftkv::sim
