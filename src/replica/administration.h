// What the administration of a cluster is told: members, status, and why the core refuses. Pure.
#pragma once

#include <string>
#include <string_view>

#include "src/base/time.h"
#include "src/raft/raft.h"
#include "src/replica/request.h"
#include "src/replica/state_store.h"

namespace raftkv::replica {

// A request that the core did not take: certainly not applied, and why, in plain words.
[[nodiscard]] Failed failed(raft::Refusal refusal);
[[nodiscard]] Failed not_applied(Problem problem, std::string detail);

// The configuration in force; with the progress of each member if this node leads.
[[nodiscard]] Members members_of(const raft::Raft& raft, Time now);
// leader, follower, candidate, learner (also a node that is no member), recovering.
[[nodiscard]] std::string_view role_of(const raft::Raft& raft);
// Why a node should get no requests, for a person; empty: it is ready. `due`: what must be applied
// by now.
[[nodiscard]] std::string not_ready_because(const raft::Raft& raft, Index applied, Index due);
// The member that a join request made or found in this configuration; nullptr: it was removed
// since.
[[nodiscard]] const raft::Member* joined_member(const raft::Configuration& configuration,
                                                std::string_view name, raft::InstanceId instance);

}  // namespace raftkv::replica
