// Who takes part: voters, learners, and the two halves of a joint configuration (§6; dissertation,
// chapter 4).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/base/result.h"
#include "src/raft/types.h"

namespace raftkv::raft {

// Member ids in ascending order, without duplicates.
using VoterSet = std::vector<MemberId>;

[[nodiscard]] bool contains(const VoterSet& set, MemberId id);

// A node that the cluster sends entries to.
struct Member {
  MemberId id;
  InstanceId instance;
  std::string name;  // the operator's --id; two members share one only while one replaces the other
  std::string http_address;  // HOST:PORT as clients reach it
  std::string raft_address;  // HOST:PORT as peers reach it
  MemberId replaces;  // the member that leaves in the joint change that promotes this one; 0: none

  bool operator==(const Member&) const = default;
};

inline constexpr std::size_t kMembersMax = 64;             // voters and learners together
inline constexpr std::size_t kMemberTextMax = 256;         // bytes of a name or an address
inline constexpr std::size_t kRemovedInstancesMax = 1024;  // the oldest are forgotten first

// A configuration takes effect when its entry is appended and rolls back when it is truncated.
//
// Invariant: `members` is sorted by id and names every voter of either half; a member in neither
// half is a learner. `outgoing` is non-empty only while the configuration is joint (C_old,new);
// then agreement needs a majority of `voters` (C_new) and a majority of `outgoing` (C_old).
struct Configuration {
  std::vector<Member> members;
  VoterSet voters;
  VoterSet outgoing;
  std::vector<InstanceId>
      removed;  // instances that were members once, oldest first: they may not come back

  [[nodiscard]] bool joint() const { return !outgoing.empty(); }
  // A voter of either half.
  [[nodiscard]] bool is_voter(MemberId id) const {
    return contains(voters, id) || contains(outgoing, id);
  }
  [[nodiscard]] bool is_learner(MemberId id) const { return find(id) != nullptr && !is_voter(id); }
  [[nodiscard]] const Member* find(MemberId id) const;
  // The member with this name; where one replaces another, the one being replaced.
  [[nodiscard]] const Member* find_name(std::string_view name) const;
  [[nodiscard]] const Member* find_instance(InstanceId instance) const;
  [[nodiscard]] bool was_removed(InstanceId instance) const;

  void encode(std::string& out) const;
  // Errors: corrupt (structure, order or a limit does not hold).
  [[nodiscard]] static Result<Configuration> decode(std::string_view bytes);

  bool operator==(const Configuration&) const = default;
};

// The configuration of a cluster that consists of one node: what `raftkv init` writes as entry 1.
// `id` is the index of its entry.
[[nodiscard]] Configuration bootstrap_configuration(std::string name, InstanceId instance,
                                                    std::string http_address,
                                                    std::string raft_address,
                                                    MemberId id = MemberId(1));

}  // namespace raftkv::raft
