// Raft: consensus as a pure state machine (Ongaro and Ousterhout 2014; Ongaro's dissertation 2014).
//
// Inputs are calls with the time as an argument, outputs are data. It never reads a clock, never touches a disk,
// never blocks, never logs, never throws. The rules stand each in one file, named as in the paper:
//
//   election.cc      PreVote, RequestVote, stickiness, CheckQuorum, leadership transfer   (§5.2, §5.4.1)
//   replication.cc   AppendEntries both ways, commit                                      (§5.3, §5.4.2)
//   membership.cc    joint consensus, learners, replacement                               (§6)
//   read_index.cc    consistent reads without a log write                                 (dissertation 6.4)
//   quorum.h         what majorities agree on        log.h       the log in memory
//   progress.h       what a leader knows of a peer   stable.h    what is durable here
//
// The caller owes two things only: do the log writes in order and report each when it is durable; deliver
// messages no worse than a network would (they may be lost, delayed, doubled, reordered).
#pragma once

#include <cstdint>
#include <deque>
#include <expected>
#include <map>
#include <span>
#include <vector>

#include "src/base/prng.h"
#include "src/base/time.h"
#include "src/raft/configuration.h"
#include "src/raft/effects.h"
#include "src/raft/log.h"
#include "src/raft/message.h"
#include "src/raft/options.h"
#include "src/raft/progress.h"
#include "src/raft/stable.h"
#include "src/raft/types.h"

namespace raftkv::raft {

// What recovery found on disk.
struct Recovered {
  HardState hard_state;
  Index applied;                  // by the durable state
  Configuration configuration;    // in force at `applied`; empty before the first entry
  Index configuration_index;      // of its entry; 0 before the first
  std::vector<TermRun> terms;     // of the whole log on disk, in order
  std::vector<Entry> tail;        // the log behind `applied`, whole
  Index last;                     // of the log; at least `applied`
  bool promise_lost = false;      // the log or the promise is less than what was acknowledged (design, section 6)
};

enum class PeerEvent {
  disconnected,  // the connection was reset, closed or refused: no process there
  connected,
};

// A change that an administrator asks for (design, section 7).
struct AddMember {
  std::string name;
  InstanceId instance;
  std::string http_address;
  std::string raft_address;
};
struct RemoveMember {
  std::string name;
};
using MemberChange = std::variant<AddMember, RemoveMember>;

// A change that was taken: wait until `index` is committed with `term`. A request that is already fulfilled
// names the entry that fulfilled it.
struct Proposed {
  Index index;
  Term term;
};

// What a leader knows of a member, for GET /members.
struct PeerStatus {
  MemberId id;
  Index match_index;
  Duration since_contact{};  // Duration::max(): never in this term
};

class Raft {
 public:
  Raft(const Options& options, const Identity& identity, Recovered recovered, Prng prng, Time now);

  // --- inputs ------------------------------------------------------------------------------------------------
  // A message from a member. What does not concern this node and incarnation is dropped.
  void receive(Envelope envelope, Time now);
  // Appends a command to the leader's log. It is applied when an entry with this index *and term* is; it is
  // certainly not applied if an entry of another term is committed at this index; all else is unknown (Figure 8).
  [[nodiscard]] std::expected<Proposed, Refusal> propose(EntryDraft draft, Time now);
  // Asks for a linearizable read; answered by a ReadGranted or ReadRefused effect.
  void read(Ticket ticket, Time now);
  // The log write with this id, and all before it, are durable.
  void log_written(WriteId id, Time now);
  // The state machine has applied all through `index`.
  void applied(Index index, Time now);
  // The answer to a LogFetch; empty if the log could not be read.
  void fetched(const LogFetch& fetch, std::vector<Entry> entries, Time now);
  void peer_event(MemberId peer, PeerEvent event, Time now);
  // A leader's reply to a configuration change; see Proposed.
  [[nodiscard]] std::expected<Proposed, Refusal> change_members(const MemberChange& change, Time now);
  // Hands leadership to `target`, or with 0 to the most advanced voter. Ends with TransferEnded.
  [[nodiscard]] std::expected<void, Refusal> transfer_leadership(MemberId target, Time now);
  // A deadline has come. Harmless at any time.
  void expire(Time now);

  // --- outputs -----------------------------------------------------------------------------------------------
  // Collects what is to be done into `out` (cleared first). Call it once per turn, after all inputs of the turn:
  // proposals and reads of one turn share one message to each peer and one log write.
  void take_effects(Time now, Effects& out);
  // When expire() wants to be called at the latest; kNever if not at all.
  [[nodiscard]] Time next_deadline() const;

  // --- what it is --------------------------------------------------------------------------------------------
  [[nodiscard]] Role role() const { return role_; }
  [[nodiscard]] Term current_term() const { return hard_state_.current_term; }
  [[nodiscard]] MemberId voted_for() const { return hard_state_.voted_for; }
  [[nodiscard]] MemberId leader() const { return leader_; }  // 0: not known
  [[nodiscard]] Index commit_index() const { return commit_index_; }
  [[nodiscard]] Index last_applied() const { return applied_; }
  [[nodiscard]] Index stable_index() const { return stable_.index(); }
  [[nodiscard]] const RaftLog& log() const { return log_; }
  [[nodiscard]] const Configuration& configuration() const;  // the one in force: the last in the log
  [[nodiscard]] Index configuration_index() const;
  [[nodiscard]] const Identity& identity() const { return identity_; }
  [[nodiscard]] const Options& options() const { return options_; }
  // It believes that it leads and has applied an entry of its own term: may serve `default` reads.
  [[nodiscard]] bool may_serve_default_reads() const;
  [[nodiscard]] bool promise_lost() const { return promise_lost_; }
  [[nodiscard]] bool transferring() const { return transfer_.has_value(); }
  // When this node last heard from its leader (a leader: from a quorum). Time::min(): never.
  [[nodiscard]] Time last_leader_contact() const { return last_leader_contact_; }
  [[nodiscard]] std::vector<PeerStatus> peers(Time now) const;  // empty unless leader
  // For the simulator's invariants (I11, I16): what a leader or candidate believes.
  [[nodiscard]] const std::map<MemberId, Progress>& progress() const { return progress_; }
  [[nodiscard]] const std::vector<MemberId>& votes_granted() const { return votes_granted_; }

// (private part)
};

}  // namespace raftkv::raft
