// Raft: consensus as a pure state machine (Ongaro and Ousterhout 2014; Ongaro's dissertation 2014).
//
// Inputs are calls with the time as an argument, outputs are data. It never reads a clock, never
// touches a disk, never blocks, never logs, never throws. The rules stand each in one file, named
// as in the paper:
//
//   election.cc      PreVote, RequestVote, stickiness, CheckQuorum, leadership transfer   (§5.2,
//   §5.4.1) replication.cc   AppendEntries both ways, commit (§5.3, §5.4.2) membership.cc    joint
//   consensus, learners, replacement                               (§6) read_index.cc    consistent
//   reads without a log write                                 (dissertation 6.4) quorum.h what
//   majorities agree on        log.h       the log in memory progress.h       what a leader knows
//   of a peer   stable.h    what is durable here   snapshot.cc  InstallSnapshot both ways, cutting
//   the log (§7)
//
// The caller owes two things only: do the log writes in order and report each when it is durable;
// deliver messages no worse than a network would (they may be lost, delayed, doubled, reordered).
#pragma once

#include <algorithm>
#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "src/base/marks.h"
#include "src/base/prng.h"
#include "src/base/time.h"
#include "src/raft/batching.h"
#include "src/raft/configuration.h"
#include "src/raft/effects.h"
#include "src/raft/log.h"
#include "src/raft/membership.h"
#include "src/raft/message.h"
#include "src/raft/options.h"
#include "src/raft/progress.h"
#include "src/raft/quorum.h"
#include "src/raft/read_index.h"
#include "src/raft/snapshot_stream.h"
#include "src/raft/stable.h"
#include "src/raft/types.h"

namespace raftkv::raft {

// What recovery found on disk.
struct Recovered {
  HardState hard_state;
  Index applied;                        // by the durable state
  Configuration configuration;          // in force at `applied`; empty before the first entry
  Index configuration_index;            // of its entry; 0 before the first
  Index first = Index(1);               // the first entry that the log has or will have
  Term prev_term;                       // of the entry before it
  std::vector<TermRun> terms;           // of the whole log on disk, in order
  std::vector<Entry> tail;              // the log behind `applied`, whole
  std::uint64_t bytes_before_tail = 0;  // the size of the entries before `tail`; 0: not known
  Index last;                           // of the log; at least `applied`, and at least first - 1
  bool promise_lost =
      false;  // the log or the promise is less than what was acknowledged (design, section 6)
  // The state ends before the log begins (applied < first - 1), or it was damaged and an empty one
  // stands in its place (then applied = 0, and the configuration may be empty; `tail` is all of the
  // log). The node votes and acknowledges; it does not campaign, applies nothing, and asks for a
  // snapshot until one is installed.
  bool state_lost = false;

  [[nodiscard]] Term last_term() const { return terms.empty() ? prev_term : terms.back().term; }
};

enum class PeerEvent {
  disconnected,  // the connection was reset, closed or refused: no process there
  connected,
};

// A change that was taken: wait until `index` is committed with `term`. A request that is already
// fulfilled names the entry that fulfilled it.
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

  // --- inputs ---
  // A message from a member. What does not concern this node and incarnation is dropped.
  void receive(Envelope envelope, Time now);
  // Appends a command to the leader's log. It is applied when an entry with this index *and term*
  // is; it is certainly not applied if an entry of another term is committed at this index; all
  // else is unknown (Figure 8).
  [[nodiscard]] std::expected<Proposed, Refusal> propose(EntryDraft draft, Time now);
  // Asks for a linearizable read; answered by a ReadGranted or ReadRefused effect.
  void read(Ticket ticket, Time now);
  // The log write with this id, and all before it, are durable.
  void log_written(WriteId id, Time now);
  // The state machine has applied all through `index`.
  void applied(Index index, Time now);
  // The answer to a LogFetch; empty if the log could not be read.
  void fetched(const LogFetch& fetch, std::vector<Entry> entries, Time now);
  // The state through `index` is durable: recovery needs no log before it any more.
  void state_synced(Index index, Time now);
  // The answer to SnapshotOpen; nullopt: no view could be opened.
  void snapshot_opened(StreamId stream, std::optional<SnapshotMeta> snapshot, Time now);
  // The answer to SnapshotRead; nullopt: the view broke, the stream is dead.
  void snapshot_read(StreamId stream, std::optional<SnapshotChunk> chunk, Time now);
  // The answer to SnapshotReceive.
  void snapshot_received(StreamId stream, std::uint64_t chunk, SnapshotReceipt receipt, Time now);
  void peer_event(MemberId peer, PeerEvent event, Time now);
  // A leader's reply to a configuration change; see Proposed.
  [[nodiscard]] std::expected<Proposed, Refusal> change_members(const MemberChange& change,
                                                                Time now);
  // Hands leadership to `target`, or with 0 to the most advanced voter. Ends with TransferEnded.
  [[nodiscard]] std::expected<void, Refusal> transfer_leadership(MemberId target, Time now);
  // A deadline has come. Harmless at any time.
  void expire(Time now);

  // --- outputs ---
  // Collects what is to be done into `out` (cleared first). Call it once per turn, after all inputs
  // of the turn: proposals and reads of one turn share one message to each peer and one log write.
  void take_effects(Time now, Effects& out);
  // When expire() wants to be called at the latest; kNever if not at all.
  [[nodiscard]] Time next_deadline() const;

  // --- what it is ---
  [[nodiscard]] Role role() const { return role_; }
  [[nodiscard]] Term current_term() const { return hard_state_.current_term; }
  [[nodiscard]] MemberId voted_for() const { return hard_state_.voted_for; }
  [[nodiscard]] MemberId leader() const { return leader_; }  // 0: not known
  [[nodiscard]] Index commit_index() const { return commit_index_; }
  // The most that this node knows to be committed: its leader may be ahead of what it has itself.
  [[nodiscard]] Index known_commit_index() const { return std::max(commit_index_, leader_commit_); }
  [[nodiscard]] Index last_applied() const { return applied_; }
  [[nodiscard]] Index stable_index() const { return stable_.index(); }
  [[nodiscard]] const RaftLog& log() const { return log_; }
  [[nodiscard]] const Configuration& configuration()
      const;  // the one in force: the last in the log
  [[nodiscard]] Index configuration_index() const;
  [[nodiscard]] const Identity& identity() const { return identity_; }
  [[nodiscard]] const Options& options() const { return options_; }
  // It believes that it leads and has applied an entry of its own term: may serve `default` reads.
  [[nodiscard]] bool may_serve_default_reads() const;
  [[nodiscard]] bool promise_lost() const { return promise_lost_; }
  // The state cannot be reached from the log; a snapshot is wanted (Recovered::state_lost).
  [[nodiscard]] bool state_lost() const { return state_lost_; }
  [[nodiscard]] bool transferring() const { return transfer_.has_value(); }
  // When this node last heard from the leader that it follows; nullopt: it follows none. A leader:
  // see peers().
  [[nodiscard]] std::optional<Time> last_leader_contact() const { return last_leader_contact_; }
  // Where the leader said that it is reached; "" if it did not say so in this term.
  [[nodiscard]] const std::string& leader_address() const { return leader_address_; }
  // Where a candidate, or a leader of an older term, says that it is, if the configuration does not
  // say so; null if it does, or the other said nothing.
  [[nodiscard]] const std::string* told_address(MemberId sender) const;
  [[nodiscard]] std::vector<PeerStatus> peers(Time now) const;  // empty unless leader
  // For the simulator's invariants (I11, I16): what a leader or candidate believes.
  [[nodiscard]] const std::map<MemberId, Progress>& progress() const { return progress_; }
  [[nodiscard]] const VoterSet& votes_granted() const { return votes_granted_; }

 private:
  struct ConfigurationAt {
    Index index;
    Configuration configuration;
  };
  struct Gated {  // a message that promises something: sent once this write is durable
    WriteId after;
    Envelope envelope;
  };
  struct IncomingSnapshot {  // from the leader of `term`
    StreamId stream;         // the leader's number
    StreamId receipt;        // our own: what the host hands back
    Term term;
    SnapshotMeta snapshot;
    std::map<std::uint64_t, SnapshotChunk> early = {};  // came before one that stands before them
    std::uint64_t handed_out = 0;                       // chunks given to the host, in order
    std::uint64_t written = 0;                          // chunks that it has reported
    bool last_handed_out = false;
    bool complete = false;
    bool failed = false;
    std::optional<WriteId> installing = {};  // the log write that makes it the state
  };
  struct OwedSnapshotReply {
    StreamId stream;
    Index index;
  };
  struct Transfer {
    MemberId target;
    Time deadline{};
    bool timeout_now_sent = false;
  };

  // --- raft.cc: terms, roles, the way of messages and writes ---
  [[nodiscard]] bool admit(const Route& route, const Message& message);
  [[nodiscard]] bool adopt_term(const Envelope& envelope, Time now);
  void become_follower(Term term, std::string_view reason, Time now);
  void become_leader(Time now);
  void set_role(Role role, std::string_view reason);
  void set_leader(MemberId leader);
  void leave_leadership();
  void set_hard_state(Term term, MemberId voted_for);
  [[nodiscard]] Incarnation incarnation_of(MemberId peer) const;
  void send(MemberId to, Message message, Incarnation to_incarnation = Incarnation());
  void send_after(WriteId write, MemberId to, Message message,
                  Incarnation to_incarnation = Incarnation());
  void release_gated();
  void begin_batch(Time now);
  [[nodiscard]] Index leaving_through() const;
  [[nodiscard]] bool write_needed() const;
  [[nodiscard]] WriteId write_with_everything() const;
  [[nodiscard]] WriteId write_with_hard_state() const;
  void hand_out_write(Time now);
  void hand_out_apply();
  [[nodiscard]] bool disk_stalled(Time now) const;
  [[nodiscard]] bool is_self(MemberId id) const { return id == identity_.member; }

  // --- election.cc ---
  void on(const Envelope& envelope, const PreVote& request, Time now);
  void on(const Envelope& envelope, const PreVoteReply& reply, Time now);
  void on(const Envelope& envelope, const RequestVote& request, Time now);
  void on(const Envelope& envelope, const RequestVoteReply& reply, Time now);
  void on(const Envelope& envelope, const TimeoutNow& request, Time now);
  [[nodiscard]] bool sticks_to_leader(Time now) const;
  void note_address(MemberId sender, const std::string& address);
  [[nodiscard]] std::string own_address() const;
  [[nodiscard]] bool may_campaign(Time now) const;
  void start_pre_vote(Time now);
  void campaign(bool leadership_transfer, Time now);
  void record_vote(MemberId voter, bool granted);
  [[nodiscard]] VoteResult count_votes() const;
  void decide_election(Time now);
  void reset_election_timer(Time now);
  void expire_follower(Time now);
  void expire_leader(Time now);
  [[nodiscard]] bool quorum_in_contact(Time now) const;
  [[nodiscard]] bool in_contact(MemberId id, Time now) const;
  [[nodiscard]] MemberId best_successor(Time now) const;
  void try_timeout_now();

  // --- replication.cc ---
  void on(const Envelope& envelope, AppendEntries& request, Time now);
  void on(const Envelope& envelope, const AppendEntriesReply& reply, Time now);
  void refuse_append(const Envelope& envelope, const AppendEntries& request);
  [[nodiscard]] bool take_entries(const Envelope& envelope, AppendEntries& request);
  void heard_from_leader(const Envelope& envelope, const std::string& leader_address, Time now);
  void append(Entry entry);
  void append_own(EntryDraft draft);
  void truncate_from(Index from);
  void owe_reply_if_news();
  void reply_to_leader();
  void commit_through(Index index);
  void commit_by_quorum(Time now);
  void repair_promise();
  void replicate();
  void send_append(MemberId peer, Progress& progress);
  [[nodiscard]] AppendEntries append_request(const Progress& progress) const;
  void fetch_for(MemberId peer, Progress& progress);
  [[nodiscard]] bool still_wanted(const LogFetch& fetch, const std::vector<Entry>& entries,
                                  const Progress& progress) const;

  // --- snapshot.cc ---
  void on(const Envelope& envelope, const InstallSnapshot& request, Time now);
  void on(const Envelope& envelope, const InstallSnapshotReply& reply, Time now);
  void cut_log();
  [[nodiscard]] Index log_needed_behind();
  [[nodiscard]] bool wants_snapshot(const SnapshotMeta& snapshot) const;
  [[nodiscard]] bool expects_chunk(const InstallSnapshot& request);
  void hand_out_chunks();
  void try_install_snapshot();
  void install_snapshot(const SnapshotMeta& snapshot);
  void forget_log_through(const SnapshotMeta& snapshot);
  void snapshot_durable();
  void drop_incoming_snapshot();
  void reply_about_snapshot();
  void send_snapshots(Time now);
  void open_snapshots(Time now);
  [[nodiscard]] MemberId next_for_snapshot(Time now) const;
  void expire_snapshots(Time now);
  [[nodiscard]] std::map<MemberId, SnapshotStream>::iterator find_stream(StreamId stream);
  void close_stream(MemberId peer);
  void close_stream_if_done(MemberId peer, const Progress& progress);

  // --- membership.cc ---
  void configuration_appended(Index index, Configuration configuration);
  void configuration_in_force();
  void forget_old_configurations();
  void drive_membership(Time now);
  void say_farewell(Time now);
  [[nodiscard]] MemberId promotable_learner(Time now) const;
  void propose_configuration(const Configuration& configuration);
  [[nodiscard]] std::expected<Proposed, Refusal> try_change(const MemberChange& change, Time now);

  // --- read_index.cc ---
  void start_read_round();
  void confirm_reads();

  // --- marks.cc ---
  void mark(Mark mark) { out_.marks.set(mark); }
  void mark_vote(const RequestVote& request, MemberId candidate, bool granted);
  void mark_silence(Time now);
  void mark_commit(Index reached, const VoterNumber& match, Time now);
  void mark_change(const std::expected<Proposed, Refusal>& proposed);
  void mark_plan(const Configuration& next);
  void mark_leave();

  Options options_;
  Identity identity_;
  Prng prng_;

  // Persistent state on all servers (Figure 2): what it is now. What of it is durable: stable_,
  // hard_state_write_.
  HardState hard_state_;
  RaftLog log_;
  Stable stable_;
  std::vector<ConfigurationAt>
      configurations_;  // the committed one first, then those behind it in the log
  bool promise_lost_ = false;
  bool state_lost_ = false;
  Index synced_;  // the durable state

  // What no log write carries yet.
  bool hard_state_dirty_ = false;
  Index unsaved_from_;  // the first entry that no write carries
  std::optional<Index> unsaved_truncate_;
  std::optional<SnapshotMeta> unsaved_snapshot_;
  WriteId hard_state_write_;  // the last write that carried a hard state
  Batching batching_;         // a leader's entries behind its end wait, for the disk and for peers
  std::vector<Gated> gated_;

  // Volatile state on all servers.
  Role role_ = Role::follower;
  Index commit_index_;
  Index handed_to_apply_;
  Index applied_;
  std::map<MemberId, Incarnation> incarnations_;  // the latest seen of each member
  Time election_deadline_{};

  // A follower's: of its leader in this term.
  MemberId leader_;
  Incarnation leader_incarnation_;
  std::string leader_address_;
  // Of candidates, and of leaders of an older term, that the configuration here names nowhere, or
  // elsewhere.
  std::map<MemberId, std::string> told_addresses_;
  std::optional<Time> last_leader_contact_;
  Index matched_;        // our log is the leader's through here, durable or not
  Index leader_commit_;  // as the leader said
  Index commit_told_;    // as it said to this incarnation
  ReadRound leader_round_;
  bool reply_owed_ = false;
  Index replied_match_;
  ReadRound replied_round_;
  std::optional<IncomingSnapshot> incoming_;
  std::optional<OwedSnapshotReply> snapshot_reply_owed_;
  StreamId last_stream_;  // given out, for sending or receiving

  // A candidate's.
  bool pre_vote_ = false;
  VoterSet votes_granted_;
  VoterSet votes_refused_;
  std::optional<WriteId> own_vote_write_;  // the own vote counts when this write is durable

  // A leader's.
  std::map<MemberId, Progress> progress_;  // every other member, and those that are leaving
  Index term_start_;                       // its no-op entry
  Index caught_up_target_;  // its last index one heartbeat ago: a learner that has it has caught up
  Time heartbeat_deadline_{};
  std::optional<Transfer> transfer_;
  ReadIndexQueue reads_;
  std::map<MemberId, SnapshotStream> streams_;
  MemberId last_streamed_to_;

  Effects out_;
};

}  // namespace raftkv::raft
