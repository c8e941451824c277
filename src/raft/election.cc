// Leader election (§5.2, §5.4.1), with PreVote (dissertation 9.6), CheckQuorum (6.2), stickiness
// (4.2.3) and leadership transfer (3.10).
#include <algorithm>
#include <utility>

#include "src/base/check.h"
#include "src/raft/raft.h"

namespace raftkv::raft {
namespace {

void insert(VoterSet& set, MemberId id) {
  const auto at = std::lower_bound(set.begin(), set.end(), id);
  if (at == set.end() || *at != id) set.insert(at, id);
}

std::uint64_t as_number(std::optional<Time> time) {
  return time ? static_cast<std::uint64_t>(time->time_since_epoch().count()) + 1 : 0;
}

}  // namespace

// --- the voter's side ---

// A leader that is heard from is not voted out (dissertation 4.2.3); a leader that has its quorum
// sticks to itself.
bool Raft::sticks_to_leader(Time now) const {
  if (role_ == Role::leader) return true;
  return leader_ && last_leader_contact_ && now - *last_leader_contact_ < options_.election_timeout;
}

void Raft::on(const Envelope& envelope, const PreVote& request, Time now) {
  note_address(envelope.route.from, request.candidate_address);
  const bool sticks = sticks_to_leader(now);
  if (envelope.term < current_term()) mark(Mark::pre_vote_of_an_older_term_answered);
  if (request.next_term > current_term() && sticks)
    mark(Mark::pre_vote_refused_for_a_living_leader);
  const bool granted = request.next_term > current_term() && !sticks && !promise_lost_ &&
                       log_.is_up_to_date(request.last_log_index, request.last_log_term);
  // Nothing is promised, so nothing has to be durable first; a candidate of a lower term learns
  // ours from it.
  send(envelope.route.from, PreVoteReply{.next_term = request.next_term, .vote_granted = granted},
       envelope.route.from_incarnation);
}

void Raft::on(const Envelope& envelope, const RequestVote& request, Time now) {
  const MemberId candidate = envelope.route.from;
  note_address(candidate, request.candidate_address);
  const bool free = !hard_state_.voted_for || hard_state_.voted_for == candidate;
  const bool granted = free && role_ == Role::follower && !promise_lost_ &&
                       (request.leadership_transfer || !sticks_to_leader(now)) &&
                       log_.is_up_to_date(request.last_log_index, request.last_log_term);
  mark_vote(request, candidate, granted);
  if (granted && !hard_state_.voted_for) set_hard_state(current_term(), candidate);
  if (granted) reset_election_timer(now);
  // A vote is a promise: it leaves when it is durable (Figure 2, "updated on stable storage before
  // responding").
  send_after(write_with_hard_state(), candidate, RequestVoteReply{granted},
             envelope.route.from_incarnation);
}

// A voter whose log ends before the candidate was added has no address for it, and one that has
// not heard of the candidate's move has an old one; yet its vote may be the one that is missing. So
// with a leader of an older term, which nobody else may tell of the later one.
void Raft::note_address(MemberId sender, const std::string& address) {
  if (address.empty()) return;
  told_addresses_.erase(sender);
  const Member* const member = configuration().find(sender);
  if (member != nullptr && member->raft_address == address) return;
  mark(Mark::candidate_told_its_address);
  if (told_addresses_.size() >= kMembersMax) told_addresses_.clear();
  told_addresses_[sender] = address;
}

const std::string* Raft::told_address(MemberId sender) const {
  const auto found = told_addresses_.find(sender);
  return found == told_addresses_.end() ? nullptr : &found->second;
}

std::string Raft::own_address() const {
  if (!options_.address.empty()) return options_.address;
  const Member* const self = configuration().find(identity_.member);
  return self != nullptr ? self->raft_address : std::string();
}

// --- the candidate's side ---

// A voter campaigns; also one that an uncommitted configuration leaves out, because the entry that
// removes it may be in its log only, and then nobody else can win (dissertation 4.2.2;
// docs/decisions/0001-removed-voters-campaign.md).
bool Raft::may_campaign(Time now) const {
  const bool voter = std::any_of(
      configurations_.begin(), configurations_.end(),
      [&](const ConfigurationAt& c) { return c.configuration.is_voter(identity_.member); });
  return voter && !promise_lost_ && !state_lost_ && !disk_stalled(now);
}

void Raft::reset_election_timer(Time now) {
  election_deadline_ =
      now + prng_.between(options_.election_timeout, options_.election_timeout * 2);
}

void Raft::expire_follower(Time now) {
  reset_election_timer(now);
  if (may_campaign(now)) {
    start_pre_vote(now);
    return;
  }
  mark_silence(now);
  if (role_ == Role::candidate) {
    become_follower(current_term(), "may not campaign", now);
  } else {
    set_leader(MemberId());
  }
}

void Raft::start_pre_vote(Time now) {
  if (role_ == Role::candidate && !pre_vote_) mark(Mark::election_without_a_winner);
  if (!configuration().is_voter(identity_.member)) mark(Mark::removed_voter_campaigned);
  set_leader(MemberId());
  pre_vote_ = true;
  own_vote_write_.reset();
  votes_granted_.clear();
  votes_refused_.clear();
  set_role(Role::candidate, "heard from no leader");
  record_vote(identity_.member, true);
  const PreVote request{.next_term = current_term().next(),
                        .last_log_index = log_.last_index(),
                        .last_log_term = log_.last_term(),
                        .candidate_address = own_address()};
  for (const Member& m : configuration().members) {
    if (!is_self(m.id) && configuration().is_voter(m.id)) send(m.id, request);
  }
  decide_election(now);
}

void Raft::campaign(bool leadership_transfer, Time now) {
  if (leadership_transfer) mark(Mark::leadership_handed_over);
  pre_vote_ = false;
  gated_.clear();
  votes_granted_.clear();
  votes_refused_.clear();
  matched_ = leader_commit_ = commit_told_ = replied_match_ = Index();
  leader_round_ = replied_round_ = ReadRound();
  reply_owed_ = false;
  drop_incoming_snapshot();
  last_leader_contact_.reset();
  set_leader(MemberId());
  set_hard_state(current_term().next(), identity_.member);
  set_role(Role::candidate, leadership_transfer ? "was handed leadership" : "won the pre-vote");
  reset_election_timer(now);
  // The own vote, and the log tail that the request vouches for, count once they are durable (rule
  // 1).
  const WriteId durable = write_with_everything();
  own_vote_write_ = durable;
  const RequestVote request{.last_log_index = log_.last_index(),
                            .last_log_term = log_.last_term(),
                            .leadership_transfer = leadership_transfer,
                            .candidate_address = own_address()};
  for (const Member& m : configuration().members) {
    if (!is_self(m.id) && configuration().is_voter(m.id)) send_after(durable, m.id, request);
  }
}

void Raft::on(const Envelope& envelope, const PreVoteReply& reply, Time now) {
  if (role_ != Role::candidate || !pre_vote_ || reply.next_term != current_term().next()) return;
  record_vote(envelope.route.from, reply.vote_granted);
  decide_election(now);
}

void Raft::on(const Envelope& envelope, const RequestVoteReply& reply, Time now) {
  if (role_ != Role::candidate || pre_vote_) return;
  record_vote(envelope.route.from, reply.vote_granted);
  decide_election(now);
}

// Votes are collected by voter: an answer that comes twice counts once (I16).
void Raft::record_vote(MemberId voter, bool granted) {
  insert(granted ? votes_granted_ : votes_refused_, voter);
}

VoteResult Raft::count_votes() const {
  return quorum_vote(configuration(), [&](MemberId id) -> std::optional<bool> {
    if (contains(votes_granted_, id)) return true;
    if (contains(votes_refused_, id)) return false;
    return std::nullopt;
  });
}

void Raft::decide_election(Time now) {
  if (role_ != Role::candidate) return;
  const VoteResult result = count_votes();
  if (result == VoteResult::pending) return;
  if (result == VoteResult::lost) {
    const Time deadline = election_deadline_;
    mark(pre_vote_ ? Mark::pre_vote_lost : Mark::election_lost);
    become_follower(current_term(), pre_vote_ ? "lost the pre-vote" : "lost the election", now);
    election_deadline_ = deadline;
  } else if (pre_vote_) {
    campaign(false, now);
  } else {
    become_leader(now);
  }
}

// --- the leader's side ---

bool Raft::in_contact(MemberId id, Time now) const {
  if (is_self(id)) return true;
  const auto peer = progress_.find(id);
  if (peer == progress_.end() || peer->second.disconnected || !peer->second.last_contact)
    return false;
  return now - *peer->second.last_contact < options_.election_timeout;
}

// CheckQuorum: when a quorum has last been heard from, seen as the time that a majority's contacts
// have reached.
bool Raft::quorum_in_contact(Time now) const {
  const std::uint64_t reached = quorum_reached(configuration(), [&](MemberId id) -> std::uint64_t {
    if (is_self(id)) return as_number(now);
    const auto peer = progress_.find(id);
    return peer == progress_.end() ? 0 : as_number(peer->second.last_contact);
  });
  return reached > as_number(now) ||
         reached + static_cast<std::uint64_t>(options_.election_timeout.count()) > as_number(now);
}

void Raft::expire_leader(Time now) {
  if (transfer_ && now >= transfer_->deadline) {
    mark(Mark::transfer_timed_out);
    out_.events.push_back(TransferEnded{transfer_->target, false});
    transfer_.reset();
  }
  if (now < heartbeat_deadline_) return;
  heartbeat_deadline_ = now + options_.heartbeat_interval;
  if (!quorum_in_contact(now)) {
    mark(Mark::leader_lost_its_quorum);
    become_follower(current_term(), "lost contact with its quorum", now);
    return;
  }
  if (disk_stalled(now)) {
    mark(Mark::leader_left_for_its_stalled_disk);
    become_follower(current_term(), "its disk has stalled", now);
    return;
  }
  say_farewell(now);
  expire_snapshots(now);
  for (auto& [id, progress] : progress_) {
    progress.heartbeat_due();
    progress.message_owed = true;
  }
  if (transfer_ && transfer_->timeout_now_sent) {  // it may have been lost
    transfer_->timeout_now_sent = false;
    mark(Mark::timeout_now_repeated);
  }
  try_timeout_now();
  drive_membership(now);
  caught_up_target_ = log_.last_index();
}

// --- leadership transfer ---

// The most advanced voter in contact; of equals, the first. 0: nobody.
MemberId Raft::best_successor(Time now) const {
  MemberId best;
  Index best_match;
  for (const auto& [id, progress] : progress_) {
    if (!contains(configuration().voters, id) || !in_contact(id, now)) continue;
    if (progress.needs_snapshot()) continue;
    if (best && progress.match_index() <= best_match) continue;
    best = id;
    best_match = progress.match_index();
  }
  return best;
}

std::expected<void, Refusal> Raft::transfer_leadership(MemberId target, Time now) {
  if (role_ != Role::leader) return std::unexpected(Refusal::not_leader);
  if (transfer_) return std::unexpected(Refusal::transferring);
  if (!target) target = best_successor(now);
  if (is_self(target)) {
    out_.events.push_back(TransferEnded{target, true});
    return {};
  }
  if (configuration().find(target) == nullptr) return std::unexpected(Refusal::unknown_member);
  if (!contains(configuration().voters, target)) return std::unexpected(Refusal::not_voter);
  // Nothing could be written until it has the snapshot.
  const auto peer = progress_.find(target);
  if (peer != progress_.end() && peer->second.needs_snapshot()) {
    mark(Mark::transfer_refused_before_a_snapshot);
    return std::unexpected(Refusal::busy);
  }
  transfer_ = Transfer{
      .target = target, .deadline = now + options_.election_timeout, .timeout_now_sent = false};
  try_timeout_now();
  if (!transfer_->timeout_now_sent) mark(Mark::transfer_waited_for_the_log);
  return {};
}

// Once the target has the whole log it is told not to wait for its election timeout.
void Raft::try_timeout_now() {
  if (!transfer_ || transfer_->timeout_now_sent) return;
  const auto target = progress_.find(transfer_->target);
  if (target == progress_.end() || target->second.needs_snapshot() ||
      target->second.match_index() != log_.last_index())
    return;
  transfer_->timeout_now_sent = true;
  send(transfer_->target, TimeoutNow{});
}

void Raft::on(const Envelope& envelope, const TimeoutNow& /*request*/, Time now) {
  if (role_ != Role::follower || envelope.route.from != leader_ || !may_campaign(now)) {
    mark(Mark::timeout_now_came_too_late);
    return;
  }
  campaign(true, now);
}

}  // namespace raftkv::raft
