// The marks that take a look to know (src/base/marks.h); the others stand where they happen.
#include <algorithm>

#include "src/raft/raft.h"

namespace raftkv::raft {

// Before the vote is written down.
void Raft::mark_vote(const RequestVote& request, MemberId candidate, bool granted) {
  if (granted) {
    if (hard_state_.voted_for) mark(Mark::vote_asked_for_twice);
    if (stable_.oldest_pending()) mark(Mark::vote_waited_for_a_slow_disk);
    return;
  }
  if (hard_state_.voted_for && hard_state_.voted_for != candidate)
    mark(Mark::vote_refused_it_was_given);
  if (promise_lost_) mark(Mark::vote_refused_by_a_lost_promise);
  if (!log_.is_up_to_date(request.last_log_index, request.last_log_term))
    mark(Mark::vote_refused_to_a_shorter_log);
}

// Its time ran out, and it may not campaign.
void Raft::mark_silence(Time now) {
  if (role_ == Role::candidate) mark(Mark::candidate_may_campaign_no_more);
  if (!configuration().is_voter(identity_.member)) {
    if (configuration().was_removed(identity_.instance)) mark(Mark::removed_member_kept_silent);
    return;
  }
  if (promise_lost_) mark(Mark::lost_promise_did_not_campaign);
  if (state_lost_) mark(Mark::lost_state_did_not_campaign);
  if (disk_stalled(now)) mark(Mark::stalled_disk_did_not_campaign);
}

// Before it is committed.
void Raft::mark_commit(Index reached, const VoterNumber& match, Time now) {
  const auto news = [&](Index index) {
    return index > commit_index_ && log_.term(index) == current_term();
  };
  if (configuration().joint()) {
    const Index half(std::max(majority_reached(configuration().voters, match),
                              majority_reached(configuration().outgoing, match)));
    if (half > reached && news(half)) mark(Mark::commit_waited_for_the_other_majority);
  }
  if (reached > commit_index_ && !news(reached)) mark(Mark::commit_waited_for_the_own_term);
  if (!news(reached)) return;
  if (!configuration().is_voter(identity_.member)) mark(Mark::commit_by_a_leader_that_is_leaving);
  const auto oldest = stable_.oldest_pending();
  if (reached > stable_.index() && oldest && now - *oldest >= options_.heartbeat_interval)
    mark(Mark::commit_ahead_of_a_slow_disk);
}

void Raft::mark_change(const std::expected<Proposed, Refusal>& proposed) {
  if (proposed) {
    if (proposed->index <= commit_index_) mark(Mark::change_was_fulfilled_already);
    return;
  }
  switch (proposed.error()) {
    case Refusal::not_ready:
      return mark(Mark::change_refused_before_the_own_terms_commit);
    case Refusal::change_under_way:
      return mark(Mark::change_refused_during_another);
    case Refusal::last_voter:
      return mark(Mark::removal_of_the_last_voter_refused);
    case Refusal::removed_instance:
      return mark(Mark::removed_instance_refused);
    case Refusal::name_taken:
      return mark(Mark::name_of_a_living_member_refused);
    default:
      return;
  }
}

// Before it is proposed.
void Raft::mark_plan(const Configuration& next) {
  const Configuration& current = configuration();
  const auto leaves = [&](const Member& m) {
    return current.is_learner(m.id) && next.find(m.id) == nullptr;
  };
  const auto comes = [&](const Member& m) { return current.find(m.id) == nullptr; };
  if (std::ranges::none_of(current.members, leaves)) return;
  mark(std::ranges::any_of(next.members, comes) ? Mark::given_up_learner_dropped
                                                : Mark::learner_left_in_one_step);
}

// Before C_new is proposed.
void Raft::mark_leave() {
  const Configuration& joint = configuration();
  if (log_.term(configuration_index()) != current_term())
    mark(Mark::joint_change_finished_by_a_successor);
  const auto replaces = [&](const Member& m) {
    return contains(joint.voters, m.id) && contains(joint.outgoing, m.replaces);
  };
  if (std::ranges::any_of(joint.members, replaces)) mark(Mark::replacements_old_member_left);
}

}  // namespace raftkv::raft
