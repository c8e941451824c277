#include "src/raft/membership.h"

#include <algorithm>
#include <utility>

#include "src/base/check.h"
#include "src/raft/raft.h"

namespace raftkv::raft {
namespace {

void insert(VoterSet& set, MemberId id) {
  set.insert(std::lower_bound(set.begin(), set.end(), id), id);
}

void remember_removed(Configuration& c, InstanceId instance) {
  if (!instance || c.was_removed(instance)) return;
  if (c.removed.size() == kRemovedInstancesMax) c.removed.erase(c.removed.begin());
  c.removed.push_back(instance);
}

// Drops members and remembers that their instances were here once.
template <typename Predicate>
void drop_members(Configuration& c, Predicate leaves) {
  for (const Member& m : c.members) {
    if (leaves(m)) remember_removed(c, m.instance);
  }
  std::erase_if(c.members, leaves);
}

bool address_taken(const Configuration& c, const AddMember& change) {
  return std::any_of(c.members.begin(), c.members.end(), [&](const Member& m) {
    return m.name != change.name &&
           (m.http_address == change.http_address || m.raft_address == change.raft_address);
  });
}

std::optional<Configuration> change_addresses(const Configuration& current, const AddMember& change,
                                              MemberId id) {
  Configuration next = current;
  for (Member& m : next.members) {
    if (m.id != id) continue;
    m.http_address = change.http_address;
    m.raft_address = change.raft_address;
  }
  if (next == current) return std::nullopt;
  return next;
}

}  // namespace

std::expected<std::optional<Configuration>, Refusal> plan_addition(const Configuration& current,
                                                                   const AddMember& change,
                                                                   MemberId id,
                                                                   const InContact& in_contact) {
  if (current.was_removed(change.instance)) return std::unexpected(Refusal::removed_instance);
  if (address_taken(current, change)) return std::unexpected(Refusal::address_taken);
  if (const Member* same = current.find_instance(change.instance);
      same != nullptr && change.instance) {
    if (same->name != change.name) return std::unexpected(Refusal::address_taken);
    return change_addresses(current, change, same->id);
  }

  Configuration next = current;
  Member added{.id = id,
               .instance = change.instance,
               .name = change.name,
               .http_address = change.http_address,
               .raft_address = change.raft_address,
               .replaces = MemberId()};
  for (const Member& m : current.members) {
    if (m.name != change.name) continue;
    // Asked for by hand, without an instance: whoever has the name is meant.
    if (!change.instance) return change_addresses(current, change, m.id);
    if (in_contact(m.id)) return std::unexpected(Refusal::name_taken);
    if (current.is_voter(m.id)) added.replaces = m.id;
  }
  // An earlier learner of this name has been given up: it never counted.
  drop_members(next,
               [&](const Member& m) { return m.name == change.name && current.is_learner(m.id); });
  if (next.members.size() >= kMembersMax) return std::unexpected(Refusal::too_many_members);
  next.members.push_back(std::move(added));
  return next;
}

std::expected<Configuration, Refusal> plan_removal(const Configuration& current,
                                                   const std::string& name) {
  if (current.find_name(name) == nullptr) return std::unexpected(Refusal::unknown_member);
  const auto named = [&](const Member& m) { return m.name == name; };
  Configuration next = current;
  drop_members(next, [&](const Member& m) { return named(m) && current.is_learner(m.id); });
  VoterSet staying;
  for (const MemberId id : current.voters) {
    if (!named(*current.find(id))) staying.push_back(id);
  }
  if (staying.empty()) return std::unexpected(Refusal::last_voter);
  if (staying != current.voters) {
    next.outgoing = current.voters;
    next.voters = std::move(staying);
  }
  return next;
}

Configuration plan_promotion(const Configuration& current, MemberId learner) {
  CHECK(!current.joint());
  CHECK(current.is_learner(learner));
  Configuration next = current;
  next.outgoing = current.voters;
  insert(next.voters, learner);
  std::erase(next.voters, current.find(learner)->replaces);
  return next;
}

Configuration plan_leave(const Configuration& joint) {
  CHECK(joint.joint());
  Configuration next = joint;
  next.outgoing.clear();
  drop_members(next, [&](const Member& m) {
    return contains(joint.outgoing, m.id) && !contains(joint.voters, m.id);
  });
  for (Member& m : next.members) {
    if (next.find(m.replaces) == nullptr) m.replaces = MemberId();
  }
  return next;
}

// --- the changes' way through the log ---

const Configuration& Raft::configuration() const {
  return configurations_.back().configuration;
}
Index Raft::configuration_index() const {
  return configurations_.back().index;
}

// A configuration takes effect when it is appended, not when it is committed (§6).
void Raft::configuration_appended(Index index, Configuration configuration) {
  configurations_.push_back({index, std::move(configuration)});
  configuration_in_force();
}

void Raft::configuration_in_force() {
  told_addresses_.clear();  // what they say of themselves is older, or they say it again
  out_.events.push_back(ConfigurationChanged{configuration_index(), configuration()});
  if (role_ != Role::leader) return;
  for (const Member& m : configuration().members) {
    if (is_self(m.id)) continue;
    const auto [it, added] = progress_.try_emplace(m.id, log_.last_index().next());
    if (added) it->second.message_owed = true;
  }
  for (auto& [id, progress] : progress_) {
    progress.departing = configuration().find(id) == nullptr;
    if (progress.departing) close_stream(id);
  }
}

// Only what is above the commit index can still roll back.
void Raft::forget_old_configurations() {
  while (configurations_.size() > 1 && configurations_[1].index <= commit_index_) {
    configurations_.erase(configurations_.begin());
  }
}

void Raft::propose_configuration(const Configuration& configuration) {
  CHECK(!transfer_, "the target of a transfer stays a voter");
  std::string buffer(kEntryHeaderSize, '\0');
  configuration.encode(buffer);
  append_own(EntryDraft(EntryKind::configuration, std::move(buffer)));
}

std::expected<Proposed, Refusal> Raft::change_members(const MemberChange& change, Time now) {
  auto proposed = try_change(change, now);
  mark_change(proposed);
  return proposed;
}

std::expected<Proposed, Refusal> Raft::try_change(const MemberChange& change, Time now) {
  if (role_ != Role::leader) return std::unexpected(Refusal::not_leader);
  // One change at a time, and none before this leader knows what its predecessors committed (I15).
  if (commit_index_ < term_start_) return std::unexpected(Refusal::not_ready);
  if (transfer_) return std::unexpected(Refusal::transferring);

  std::optional<Configuration> next;
  if (const auto* add = std::get_if<AddMember>(&change)) {
    const MemberId id(log_.last_index().next().value);
    auto plan =
        plan_addition(configuration(), *add, id, [&](MemberId m) { return in_contact(m, now); });
    if (!plan) return std::unexpected(plan.error());
    next = std::move(*plan);
  } else {
    if (configuration().joint()) return std::unexpected(Refusal::change_under_way);
    auto plan = plan_removal(configuration(), std::get<RemoveMember>(change).name);
    if (!plan) return std::unexpected(plan.error());
    next = std::move(*plan);
  }
  if (!next) {
    // One that the log no longer has is applied: nobody waits for its term.
    return Proposed{configuration_index(), log_.term(configuration_index()).value_or(Term())};
  }
  if (configuration_index() > commit_index_ || configuration().joint()) {
    return std::unexpected(Refusal::change_under_way);
  }
  mark_plan(*next);
  propose_configuration(*next);
  return Proposed{configuration_index(), current_term()};
}

// What a leader does about the configuration by itself: leaves C_old,new once it is committed,
// promotes a learner that has caught up, and steps down once a configuration without it is
// committed.
void Raft::drive_membership(Time now) {
  if (role_ != Role::leader || commit_index_ < term_start_) return;
  if (configuration_index() > commit_index_) return;
  // A joint configuration still counts the old half as voters: this is C_new.
  if (!configuration().is_voter(identity_.member)) {
    mark(Mark::removed_leader_stepped_down);
    if (const MemberId successor = best_successor(now)) send(successor, TimeoutNow{});
    become_follower(current_term(), "removed from the configuration", now);
    return;
  }
  // While leadership is handed over nothing is appended: the target would be behind and lose.
  if (transfer_) {
    if (configuration().joint() || promotable_learner(now))
      mark(Mark::change_waited_for_a_transfer);
    return;
  }
  if (configuration().joint()) {
    mark_leave();
    propose_configuration(plan_leave(configuration()));
    return;
  }
  if (const MemberId learner = promotable_learner(now)) {
    mark(Mark::learner_promoted_by_joint_consensus);
    if (configuration().find(learner)->replaces) mark(Mark::replacement_promoted);
    propose_configuration(plan_promotion(configuration(), learner));
  }
}

// A member that has left is still sent the entry that removes it and told that it is committed, so
// that it knows and is silent. It counts for nothing meanwhile; one that does not answer is given
// up.
void Raft::say_farewell(Time now) {
  for (auto peer = progress_.begin(); peer != progress_.end();) {
    Progress& progress = peer->second;
    // One that needs a snapshot first cannot be told.
    const bool given_up = progress.needs_snapshot() || !in_contact(peer->first, now);
    if (progress.departing && (progress.farewell_sent || given_up)) {
      if (!progress.farewell_sent) mark(Mark::farewell_given_up);
      close_stream(peer->first);
      peer = progress_.erase(peer);
      continue;
    }
    // The heartbeat that is sent next carries the commit index.
    progress.farewell_sent =
        progress.departing &&
        configuration_index() <= std::min(commit_index_, progress.match_index());
    if (progress.farewell_sent) mark(Mark::farewell_said);
    ++peer;
  }
}

// Caught up: it holds what was our last entry one heartbeat ago (dissertation 4.2.1, with rounds of
// one heartbeat).
MemberId Raft::promotable_learner(Time now) const {
  for (const auto& [id, progress] : progress_) {
    if (!configuration().is_learner(id) || !in_contact(id, now)) continue;
    if (progress.needs_snapshot()) continue;
    if (caught_up_target_ && progress.match_index() >= caught_up_target_) return id;
  }
  return MemberId();
}

}  // namespace raftkv::raft
