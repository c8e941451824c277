#include "src/raft/raft.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "src/base/check.h"

namespace raftkv::raft {

const char* to_string(Role role) {
  switch (role) {
    case Role::follower:
      return "follower";
    case Role::candidate:
      return "candidate";
    case Role::leader:
      return "leader";
  }
  CHECK(false, "a role without a name");
}

const char* to_string(Refusal refusal) {
  switch (refusal) {
    case Refusal::not_leader:
      return "not_leader";
    case Refusal::not_ready:
      return "not_ready";
    case Refusal::busy:
      return "busy";
    case Refusal::transferring:
      return "transferring";
    case Refusal::change_under_way:
      return "change_under_way";
    case Refusal::unknown_member:
      return "unknown_member";
    case Refusal::address_taken:
      return "address_taken";
    case Refusal::name_taken:
      return "name_taken";
    case Refusal::removed_instance:
      return "removed_instance";
    case Refusal::last_voter:
      return "last_voter";
    case Refusal::not_voter:
      return "not_voter";
    case Refusal::too_many_members:
      return "too_many_members";
  }
  CHECK(false, "a refusal without a name");
}

bool Effects::empty() const {
  return messages.empty() && log_writes.empty() && apply.empty() && fetches.empty() && !log_cut &&
         snapshot_work.empty() && reads_granted.empty() && reads_refused.empty() && events.empty();
}

// Of most of them there are none in most turns.
void Effects::swap(Effects& other) {
  const auto swap_filled = [](auto& ours, auto& theirs) {
    if (!ours.empty() || !theirs.empty()) ours.swap(theirs);
  };
  swap_filled(messages, other.messages);
  swap_filled(log_writes, other.log_writes);
  swap_filled(apply, other.apply);
  swap_filled(fetches, other.fetches);
  if (log_cut || other.log_cut) std::swap(log_cut, other.log_cut);
  swap_filled(snapshot_work, other.snapshot_work);
  swap_filled(reads_granted, other.reads_granted);
  swap_filled(reads_refused, other.reads_refused);
  swap_filled(events, other.events);
  std::swap(marks, other.marks);
}

void Effects::clear() {
  messages.clear();
  log_writes.clear();
  apply.clear();
  fetches.clear();
  log_cut.reset();
  snapshot_work.clear();
  reads_granted.clear();
  reads_refused.clear();
  events.clear();
  marks.clear();
}

Raft::Raft(const Options& options, const Identity& identity, Recovered recovered, Prng prng,
           Time now)
    : options_(options),
      identity_(identity),
      prng_(prng),
      hard_state_(recovered.hard_state),
      log_({.first = recovered.first,
            .prev_term = recovered.prev_term,
            .last = recovered.last,
            .terms = std::move(recovered.terms),
            .tail = std::move(recovered.tail),
            .bytes_before_tail = recovered.bytes_before_tail}),
      stable_(recovered.last),
      promise_lost_(recovered.promise_lost),
      state_lost_(recovered.state_lost),
      synced_(recovered.applied),
      unsaved_from_(recovered.last.next()),
      // What lies before the log was committed when it was cut.
      commit_index_(std::max(recovered.applied, log_.prev_index())),
      handed_to_apply_(recovered.applied),
      applied_(recovered.applied) {
  CHECK(identity.cluster);
  CHECK(identity.member);
  CHECK(identity.incarnation);
  CHECK(recovered.applied <= recovered.last);
  CHECK(state_lost_ || recovered.applied >= log_.prev_index(),
        "a state that ends before the log begins is lost");
  CHECK(log_.cached_from() <= std::max(recovered.applied.next(), log_.first_index()),
        "recovery must deliver every entry behind the applied one");
  CHECK(options.heartbeat_interval * 3 <= options.election_timeout);
  configurations_.push_back({recovered.configuration_index, std::move(recovered.configuration)});
  for (Index i = commit_index_.next(); i <= log_.last_index(); ++i) {
    if (log_.at(i).kind() != EntryKind::configuration) continue;
    auto configuration = Configuration::decode(log_.at(i).payload());
    CHECK(configuration.has_value(), "a configuration that was in the log cannot be read");
    configurations_.push_back({i, std::move(*configuration)});
  }
  // After a start there is nobody to stick to. PreVote keeps a node that comes back from disturbing
  // a leader.
  const bool alone =
      configuration().voters.size() == 1 && configuration().is_voter(identity_.member);
  const Duration early =
      prng_.between(options_.election_timeout / 4, options_.election_timeout / 2);
  election_deadline_ = alone ? now : now + early;
}

// --- inputs ---

void Raft::receive(Envelope envelope, Time now) {
  if (!admit(envelope.route, envelope.message)) return;
  if (!adopt_term(envelope, now)) return;
  std::visit([&](auto& message) { on(envelope, message, now); }, envelope.message);
}

// Identity (design, section 4, rule 4): what is not from and for exactly these runs of these nodes
// is dropped.
bool Raft::admit(const Route& route, const Message& message) {
  if (route.cluster != identity_.cluster || route.to != identity_.member || is_self(route.from))
    return false;
  if (is_reply(message) && route.to_incarnation != identity_.incarnation) {
    mark(Mark::answer_to_an_earlier_run_dropped);
    return false;
  }
  Incarnation& seen = incarnations_[route.from];
  if (route.from_incarnation < seen) return false;
  if (route.from_incarnation > seen) {
    const bool restarted = static_cast<bool>(seen);
    seen = route.from_incarnation;
    const auto peer = progress_.find(route.from);
    if (restarted && peer != progress_.end()) {
      // What was acknowledged before the restart was durable, but the disk may have lost it (rule
      // 10).
      mark(Mark::peer_restarted);
      if (streams_.contains(route.from)) mark(Mark::stream_ended_by_a_restart);
      close_stream(route.from);
      peer->second.restarted();
      peer->second.last_contact.reset();
    }
  }
  return true;
}

// "If RPC request or response contains term T > currentTerm: set currentTerm = T, convert to
// follower" (Figure 2); a node that sticks to its leader refuses before that (dissertation 4.2.3).
// False: the message is dealt with.
bool Raft::adopt_term(const Envelope& envelope, Time now) {
  const auto* vote = std::get_if<RequestVote>(&envelope.message);
  const bool asks_for_vote = vote != nullptr || std::holds_alternative<PreVote>(envelope.message);
  const bool transfer = vote != nullptr && vote->leadership_transfer;
  if (asks_for_vote && envelope.term > current_term() && sticks_to_leader(now)) {
    if (!transfer) {
      mark(role_ == Role::leader ? Mark::leader_refused_a_higher_term
                                 : Mark::stickiness_refused_a_higher_term);
      return false;
    }
    mark(Mark::transfers_vote_passed_stickiness);
  }
  if (envelope.term > current_term()) become_follower(envelope.term, "saw a higher term", now);
  if (envelope.term == current_term()) return true;
  // From an older term. A leader or a pre-candidate that is behind is told so, else it could stay
  // behind for ever; all other messages of older terms are void.
  return std::holds_alternative<AppendEntries>(envelope.message) ||
         std::holds_alternative<InstallSnapshot>(envelope.message) ||
         std::holds_alternative<PreVote>(envelope.message);
}

std::expected<Proposed, Refusal> Raft::propose(EntryDraft draft, Time /*now*/) {
  if (role_ != Role::leader) return std::unexpected(Refusal::not_leader);
  if (transfer_) {
    mark(Mark::write_refused_during_a_transfer);
    return std::unexpected(Refusal::transferring);
  }
  if (log_.bytes_between(commit_index_, log_.last_index()) > options_.uncommitted_bytes_max ||
      log_.bytes_between(applied_, commit_index_) > options_.unapplied_bytes_max) {
    mark(Mark::write_refused_by_a_full_log);
    return std::unexpected(Refusal::busy);
  }
  append_own(std::move(draft));
  return Proposed{log_.last_index(), current_term()};
}

void Raft::log_written(WriteId id, Time now) {
  if (stable_.written(id)) mark(Mark::late_completion_of_an_overwritten_write);
  CHECK(stable_.index() <= log_.last_index());
  release_gated();
  snapshot_durable();
  if (own_vote_write_ && stable_.done(*own_vote_write_)) {
    own_vote_write_.reset();
    record_vote(identity_.member, true);
    decide_election(now);
  }
  if (role_ == Role::leader) {
    commit_by_quorum(now);
  } else {
    owe_reply_if_news();
    repair_promise();
  }
}

void Raft::applied(Index index, Time /*now*/) {
  CHECK(index >= applied_);
  CHECK(index <= handed_to_apply_);
  applied_ = index;
  log_.evict(applied_, options_.cached_bytes_max);
  try_install_snapshot();
}

void Raft::peer_event(MemberId peer, PeerEvent event, Time now) {
  if (const auto it = progress_.find(peer); it != progress_.end()) {
    Progress& progress = it->second;
    progress.disconnected = event == PeerEvent::disconnected;
    if (progress.disconnected) {
      progress.probe_again();  // what was in flight went with the connection
    } else {
      progress.message_owed = true;
    }
  }
  if (event == PeerEvent::disconnected && role_ == Role::follower && peer == leader_) {
    // No process is there any more: nothing to stick to. One early try, then the ordinary timeout.
    mark(Mark::early_election_after_a_reset);
    set_leader(MemberId());
    last_leader_contact_.reset();
    election_deadline_ = std::min(
        election_deadline_, now + prng_.between(Duration(0), options_.reset_election_delay_max));
  }
}

void Raft::expire(Time now) {
  if (role_ == Role::leader) {
    expire_leader(now);
  } else if (now >= election_deadline_) {
    expire_follower(now);
  }
}

Time Raft::next_deadline() const {
  if (role_ != Role::leader) return election_deadline_;
  Time next = heartbeat_deadline_;
  if (transfer_) next = std::min(next, transfer_->deadline);
  if (batching_.end() < log_.last_index()) next = std::min(next, batching_.deadline());
  return next;
}

// --- outputs ---

void Raft::take_effects(Time now, Effects& out) {
  if (role_ == Role::leader) begin_batch(now);
  hand_out_write(now);
  if (role_ == Role::leader) {
    start_read_round();
    replicate();
    send_snapshots(now);
  } else {
    reply_to_leader();
    reply_about_snapshot();
  }
  hand_out_apply();
  out.clear();
  out.swap(out_);
}

// Nothing waits for an idle cluster, nor where there is enough for a message of its own.
void Raft::begin_batch(Time now) {
  const Index last = log_.last_index();
  const bool fills_a_message =
      log_.bytes_between(batching_.end(), last) >= options_.bytes_per_message_max;
  using Verdict = Batching::Verdict;
  switch (batching_.decide(last, commit_index_, fills_a_message, options_.batch_wait_max, now)) {
    case Verdict::nothing_new:
    case Verdict::leaves:
      return;
    case Verdict::waits_for_commit:
      return mark(Mark::proposals_waited_for_a_batch);
    case Verdict::waits_for_clients:
      return mark(Mark::batch_waited_for_clients);
    case Verdict::leaves_overdue:
      return mark(Mark::batch_took_too_long);
    case Verdict::leaves_without_some:
      return mark(Mark::clients_stayed_away);
  }
}

// The last entry that may be written and sent.
Index Raft::leaving_through() const {
  return role_ == Role::leader ? batching_.end() : log_.last_index();
}

bool Raft::write_needed() const {
  return hard_state_dirty_ || unsaved_snapshot_ || unsaved_truncate_ ||
         unsaved_from_ <= leaving_through();
}

// The write after which everything that is true now is durable.
WriteId Raft::write_with_everything() const {
  return write_needed() ? stable_.next_id() : stable_.next_id().prev();
}

WriteId Raft::write_with_hard_state() const {
  return hard_state_dirty_ ? stable_.next_id() : hard_state_write_;
}

void Raft::hand_out_write(Time now) {
  if (!write_needed()) return;
  const Index through = leaving_through();
  LogWrite write;
  write.id = stable_.begin(through, now);
  if (hard_state_dirty_) {
    write.hard_state = hard_state_;
    hard_state_write_ = write.id;
  }
  write.snapshot = std::exchange(unsaved_snapshot_, std::nullopt);
  write.truncate_from = unsaved_truncate_;
  if (unsaved_from_ <= through) {
    log_.collect(unsaved_from_, through, SIZE_MAX, SIZE_MAX, write.entries);
  }
  hard_state_dirty_ = false;
  unsaved_truncate_.reset();
  unsaved_from_ = through.next();
  out_.log_writes.push_back(std::move(write));
}

// Committed and stable here: the state machine never runs ahead of this node's own log.
void Raft::hand_out_apply() {
  // A complete snapshot waits until nothing waits to be applied, and what follows it waits until it
  // is the state.
  if (state_lost_ || (incoming_ && incoming_->complete)) return;
  const Index through = std::min(commit_index_, stable_.index());
  if (through <= handed_to_apply_) return;
  log_.collect(handed_to_apply_.next(), through, SIZE_MAX, SIZE_MAX, out_.apply);
  handed_to_apply_ = through;
}

// The run of a peer that was heard from last; 0: none.
Incarnation Raft::incarnation_of(MemberId peer) const {
  const auto seen = incarnations_.find(peer);
  return seen == incarnations_.end() ? Incarnation() : seen->second;
}

void Raft::send(MemberId to, Message message, Incarnation to_incarnation) {
  const Route route{.cluster = identity_.cluster,
                    .from = identity_.member,
                    .from_incarnation = identity_.incarnation,
                    .to = to,
                    .to_incarnation = to_incarnation};
  out_.messages.emplace_back(route, current_term(), std::move(message));
}

void Raft::send_after(WriteId write, MemberId to, Message message, Incarnation to_incarnation) {
  send(to, std::move(message), to_incarnation);
  if (stable_.done(write)) return;
  gated_.push_back({write, std::move(out_.messages.back())});
  out_.messages.pop_back();
}

void Raft::release_gated() {
  const auto due = [&](const Gated& g) { return stable_.done(g.after); };
  for (Gated& g : gated_) {
    if (due(g)) out_.messages.push_back(std::move(g.envelope));
  }
  std::erase_if(gated_, due);
}

bool Raft::may_serve_default_reads() const {
  return role_ == Role::leader && applied_ >= term_start_;
}

// A log write that takes longer than an election is a disk that cannot lead (rule 3).
bool Raft::disk_stalled(Time now) const {
  const auto oldest = stable_.oldest_pending();
  return oldest && now - *oldest >= options_.election_timeout;
}

std::vector<PeerStatus> Raft::peers(Time now) const {
  std::vector<PeerStatus> out;
  for (const auto& [id, progress] : progress_) {
    if (progress.departing) continue;
    out.push_back(
        {.id = id,
         .match_index = progress.match_index(),
         .since_contact = progress.last_contact ? now - *progress.last_contact : Duration::max()});
  }
  return out;
}

// --- roles (Figure 4) ---

void Raft::set_hard_state(Term term, MemberId voted_for) {
  CHECK(term > hard_state_.current_term ||
            (term == hard_state_.current_term && !hard_state_.voted_for),
        "terms do not fall, and a term has one vote");
  hard_state_ = {term, voted_for};
  hard_state_dirty_ = true;
}

void Raft::set_role(Role role, std::string_view reason) {
  role_ = role;
  out_.events.push_back(RoleChanged{role, current_term(), std::string(reason)});
}

void Raft::set_leader(MemberId leader) {
  if (leader_ == leader) return;
  leader_ = leader;
  out_.events.push_back(LeaderChanged{leader, current_term()});
}

// Within a term the vote stays what it is (§5.2).
void Raft::become_follower(Term term, std::string_view reason, Time now) {
  CHECK(term >= current_term());
  if (role_ == Role::leader) leave_leadership();
  if (term > current_term()) {
    if (role_ == Role::leader) mark(Mark::leader_deposed_by_a_higher_term);
    if (!gated_.empty()) mark(Mark::promise_overtaken_by_a_term);
    if (incoming_ && !incoming_->installing) mark(Mark::snapshot_dropped_with_its_term);
    set_hard_state(term, MemberId());
    gated_.clear();  // promises of an older term interest nobody
    matched_ = leader_commit_ = commit_told_ = replied_match_ = Index();
    leader_round_ = replied_round_ = ReadRound();
    reply_owed_ = false;
    drop_incoming_snapshot();
    leader_address_.clear();
    last_leader_contact_.reset();
  }
  // What still waits to ask for votes would vouch for a log that this term's leader may cut (I9).
  std::erase_if(gated_, [](const Gated& g) {
    return std::holds_alternative<RequestVote>(g.envelope.message);
  });
  set_leader(MemberId());
  pre_vote_ = false;
  own_vote_write_.reset();
  votes_granted_.clear();
  votes_refused_.clear();
  set_role(Role::follower, reason);
  reset_election_timer(now);
}

void Raft::leave_leadership() {
  if (reads_.size() > 0) mark(Mark::reads_fell_with_the_leader);
  reads_.refuse_all(out_.reads_refused);
  if (transfer_)
    out_.events.push_back(TransferEnded{transfer_->target, transfer_->timeout_now_sent});
  transfer_.reset();
  while (!streams_.empty()) close_stream(streams_.begin()->first);
  progress_.clear();
  caught_up_target_ = Index();
}

void Raft::become_leader(Time now) {
  CHECK(role_ == Role::candidate);
  if (configuration().joint()) mark(Mark::election_won_in_two_majorities);
  if (!configuration().is_voter(identity_.member)) mark(Mark::removed_voter_won);
  pre_vote_ = false;
  votes_granted_.clear();
  votes_refused_.clear();
  last_leader_contact_.reset();
  set_role(Role::leader, "won the election");
  set_leader(identity_.member);
  progress_.clear();
  for (const Member& m : configuration().members) {
    if (is_self(m.id)) continue;
    Progress progress(log_.last_index().next());
    progress.last_contact = now;  // the quorum check gives everybody one election timeout
    progress_.emplace(m.id, std::move(progress));
  }
  // Commits what earlier leaders left, once it is committed itself (§5.4.2, §8).
  append_own(EntryDraft::copy_of(EntryKind::noop, {}));
  term_start_ = log_.last_index();
  batching_.begin_term(term_start_, options_.batch_wait_max, now);
  for (auto& [id, progress] : progress_) progress.message_owed = true;
  heartbeat_deadline_ = now + options_.heartbeat_interval;
}

}  // namespace raftkv::raft
