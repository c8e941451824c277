// What a client asks of a node, and what it gets. The router (src/http/router.h) turns HTTP into
// these and back; a follower that forwards sends them to the leader as they are
// (src/replica/forward.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "src/kv/command.h"
#include "src/kv/state_machine.h"
#include "src/raft/types.h"

namespace raftkv::replica {

using raft::Index;
using raft::Term;
using raft::Ticket;

// How old a read may be (design, section 7).
enum class Level {
  default_,    // by a node that believes that it leads
  consistent,  // linearizable: by ReadIndex
  stale,       // by any node, from what it has applied
};

struct Write {
  std::string command;  // kv::encode(…), headroom included
};
struct Read {
  std::string key;
  Level level = Level::default_;
};
// Answered as a read that finds nothing, when what this node has applied is as new as the level
// asks: how a backup begins. Never passed on to the leader, for it is this node's state that is
// wanted.
struct Barrier {
  Level level = Level::default_;
};
struct Join {
  std::string name;
  std::string http_address;
  std::string raft_address;
  raft::InstanceId instance;  // 0: by hand, without a data directory
};
struct Remove {
  std::string name;
};
struct Transfer {
  std::string name;
};
struct GetMembers {};
struct GetStatus {};
using Request = std::variant<Write, Read, Join, Remove, Transfer, GetMembers, GetStatus, Barrier>;

// --- answers ---

struct Written {
  Index index;
  kv::Outcome outcome;
};
struct ReadResult {
  std::optional<kv::Value> value;  // nullopt: no such key
};
struct MemberInfo {
  std::string name;
  raft::MemberId member;
  bool voter = false;
  std::string http_address;
  std::string raft_address;
  bool leader = false;
  // Progress: only in a leader's answer.
  std::optional<Index> match;
  std::optional<std::uint64_t> lag;             // entries behind the leader's last
  std::optional<std::int64_t> last_contact_ms;  // absent also for one never heard from
};
struct Members {
  Index index;  // of the configuration's entry
  std::vector<MemberInfo> members;
};
struct Joined {
  raft::ClusterId cluster;
  raft::MemberId member;
  Members members;
};
struct Removed {
  Index index;
};
struct Transferred {
  std::string name;  // the new leader, if it is known
};
struct NodeStatus {
  std::string name;
  raft::MemberId member;
  raft::ClusterId cluster;
  std::string role;  // leader, follower, candidate, learner, recovering
  Term term;
  Index commit_index;
  Index applied_index;
  Index first_index;  // of the log; last + 1 when it is empty
  Index last_index;
  std::uint64_t digest = 0;
  raft::Incarnation incarnation;
  std::int64_t uptime_ms = 0;
  bool ready = false;     // /readyz
  std::string not_ready;  // why not, for a person
};

// Whether a request that failed may have happened. What a checker needs, and a careful client.
enum class Effect {
  not_applied,  // certainly did not happen and never will
  unknown,      // may have happened, or may happen later
};

// The `code` of a problem document (docs/api.md lists what each means and its HTTP status).
enum class Problem {
  not_leader,        // 307 with the leader's address, 503 without
  timeout,           // 504
  leadership_lost,   // 504
  busy,              // 503
  not_ready,         // 503
  change_under_way,  // 503
  transferring,      // 503
  address_taken,     // 409
  name_taken,        // 409
  removed_instance,  // 410
  unknown_member,    // 404
  last_voter,        // 409
  not_voter,         // 409
  too_many_members,  // 409
  transfer_failed,   // 504
  stopping,          // 503: the node is on its way out, or its disk has failed
  internal,          // 500
};

struct Failed {
  Problem problem = Problem::internal;
  Effect effect = Effect::unknown;
  std::string detail;  // plain words
};

using Answer =
    std::variant<Written, ReadResult, Members, Joined, Removed, Transferred, NodeStatus, Failed>;

struct LeaderHint {
  std::string name;
  std::string http_address;
};

// An answer, and what every HTTP response says in its headers.
struct Reply {
  Answer answer;
  std::string node;                  // name of the node that answered
  Index index;                       // its applied index
  Term term;                         // its current term
  std::optional<LeaderHint> leader;  // whom it takes for the leader
  std::optional<std::int64_t>
      last_contact_ms;  // stale reads: since the leader was heard from; absent: never
};

}  // namespace raftkv::replica
