// What a change of members makes of a configuration (§6; dissertation, chapter 4). Pure: Raft
// proposes what comes out, one change at a time.
//
// Voters come and go through joint consensus: a configuration C_old,new, then C_new. A learner is
// added or dropped in one step, because no quorum changes by it.
#pragma once

#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <variant>

#include "src/raft/configuration.h"
#include "src/raft/effects.h"

namespace raftkv::raft {

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

// Is a process of this member there? (Heard from within an election timeout, and its connection not
// reset.)
using InContact = std::function<bool(MemberId)>;

// The next configuration; nullopt if `current` is as asked already. A new member gets `id` and
// starts as a learner. An instance with the name of another that is not in contact replaces it: it
// records whom, and the old member leaves in the joint change that promotes the new one. Refusals:
// removed_instance, address_taken, name_taken, too_many_members.
[[nodiscard]] std::expected<std::optional<Configuration>, Refusal> plan_addition(
    const Configuration& current, const AddMember& change, MemberId id,
    const InContact& in_contact);

// Refusals: unknown_member, last_voter.
[[nodiscard]] std::expected<Configuration, Refusal> plan_removal(const Configuration& current,
                                                                 const std::string& name);

// C_old,new in which this learner is a voter, and the member that it replaces is none.
[[nodiscard]] Configuration plan_promotion(const Configuration& current, MemberId learner);

// C_new out of C_old,new.
[[nodiscard]] Configuration plan_leave(const Configuration& joint);

}  // namespace raftkv::raft
