// The numbers of consensus, each a type of its own (Ongaro and Ousterhout 2014, Figure 2; design,
// section 12).
#pragma once

#include "src/base/number.h"

namespace raftkv::raft {

using Term = Number<struct TermTag>;    // an election's number; 0 before the first
using Index = Number<struct IndexTag>;  // a position in the log; the first entry has 1

// A member of the configuration: the index of the committed entry that added it, never used again.
using MemberId = Number<struct MemberTag>;
// The random number of a data directory, drawn before its first join request.
using InstanceId = Number<struct InstanceTag>;
// The random number of a cluster, drawn by `raftkv init`.
using ClusterId = Number<struct ClusterTag>;
// One run of a node: counts its starts, durable before the first message.
using Incarnation = Number<struct IncarnationTag>;

using WriteId = Number<struct WriteTag>;  // a log write handed out by the core; consecutive
using ReadRound =
    Number<struct ReadRoundTag>;  // one confirmation of leadership for all reads that wait
using StreamId =
    Number<struct StreamTag>;  // one transfer of a snapshot; unique within an incarnation
using Ticket = Number<struct TicketTag>;  // a request inside a node; unique within an incarnation

// Who a node is. All parts are fixed within an incarnation.
struct Identity {
  ClusterId cluster;
  MemberId member;
  InstanceId instance;
  Incarnation incarnation;

  bool operator==(const Identity&) const = default;
};

// What must survive a restart beside the log (Figure 2, "Persistent state on all servers").
struct HardState {
  Term current_term;
  MemberId voted_for;  // 0: no vote in current_term

  bool operator==(const HardState&) const = default;
};

}  // namespace raftkv::raft
