#include "src/replica/administration.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "src/base/check.h"

namespace raftkv::replica {
namespace {

std::int64_t in_ms(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

struct Explanation {
  Problem problem;
  const char* detail;
};

Explanation explain(raft::Refusal refusal) {
  using enum raft::Refusal;
  switch (refusal) {
    case not_leader:
      return {Problem::not_leader, "this node does not lead the cluster; ask the leader"};
    case not_ready:
      return {
          Problem::not_ready,
          "this leader is new and has not yet committed an entry of its term; try again shortly"};
    case busy:
      return {Problem::busy,
              "the leader has as much unfinished work as it takes; try again shortly"};
    case transferring:
      return {Problem::transferring, "leadership is being handed over; try again shortly"};
    case change_under_way:
      return {Problem::change_under_way,
              "another change of members is not finished; try again shortly"};
    case unknown_member:
      return {Problem::unknown_member, "no member has this id; GET /members lists them"};
    case address_taken:
      return {Problem::address_taken, "one of the addresses belongs to a member with another id"};
    case name_taken:
      return {
          Problem::name_taken,
          "the id belongs to a member that is alive; choose another id, or stop that member first"};
    case removed_instance:
      return {
          Problem::removed_instance,
          "this node was removed from the cluster; to let it join again, empty its data directory"};
    case last_voter:
      return {Problem::last_voter,
              "the last voter cannot be removed: nobody would be left to decide"};
    case not_voter:
      return {Problem::not_voter, "a learner cannot lead; wait until it has been promoted"};
    case too_many_members:
      return {Problem::too_many_members,
              "the cluster has as many members as it can; remove one first"};
  }
  CHECK(false, "a refusal without an explanation");
}

}  // namespace

Failed not_applied(Problem problem, std::string detail) {
  return {.problem = problem, .effect = Effect::not_applied, .detail = std::move(detail)};
}

Failed failed(raft::Refusal refusal) {
  const Explanation explanation = explain(refusal);
  return not_applied(explanation.problem, explanation.detail);
}

Members members_of(const raft::Raft& raft, Time now) {
  const raft::Configuration& configuration = raft.configuration();
  Members out;
  out.index = raft.configuration_index();
  for (const raft::Member& member : configuration.members) {
    MemberInfo info;
    info.name = member.name;
    info.member = member.id;
    info.voter = configuration.is_voter(member.id);
    info.http_address = member.http_address;
    info.raft_address = member.raft_address;
    info.leader = member.id == raft.leader();
    out.members.push_back(std::move(info));
  }
  if (raft.role() != raft::Role::leader) return out;

  const auto show = [&](raft::MemberId id, Index match, std::optional<Duration> since_contact) {
    const auto member = std::ranges::find(out.members, id, &MemberInfo::member);
    if (member == out.members.end()) return;
    member->match = match;
    member->lag = raft.log().last_index() - match;
    if (since_contact) member->last_contact_ms = in_ms(*since_contact);
  };
  show(raft.identity().member, raft.stable_index(), Duration(0));
  for (const raft::PeerStatus& peer : raft.peers(now)) {
    const bool heard = peer.since_contact != Duration::max();
    show(peer.id, peer.match_index, heard ? std::optional(peer.since_contact) : std::nullopt);
  }
  return out;
}

std::string_view role_of(const raft::Raft& raft) {
  if (raft.promise_lost() || raft.state_lost()) return "recovering";
  if (raft.role() == raft::Role::leader) return "leader";
  if (!raft.configuration().is_voter(raft.identity().member)) return "learner";
  return raft::to_string(raft.role());
}

std::string not_ready_because(const raft::Raft& raft, Index applied, Index due) {
  const std::string_view role = role_of(raft);
  if (raft.state_lost()) return "without its state, until another node has sent it a snapshot";
  if (role == "recovering") return "recovering what it had promised before its disk lost it";
  if (role == "learner") return "a learner: not yet, or no longer, a voter of the cluster";
  if (!raft.leader()) return "no leader is known";
  if (applied < due) {
    return fmt::format("behind: has applied {}, and {} was committed a second ago", applied.value,
                       due.value);
  }
  return {};
}

const raft::Member* joined_member(const raft::Configuration& configuration, std::string_view name,
                                  raft::InstanceId instance) {
  return instance ? configuration.find_instance(instance) : configuration.find_name(name);
}

}  // namespace raftkv::replica
