// What members say to each other (Figure 2; dissertation 4.2.3, 6.4, 9.6). Each kind has a type of
// its own, and a field means one thing. src/raft/wire.h gives them bytes.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "src/raft/entry.h"
#include "src/raft/snapshot.h"
#include "src/raft/types.h"

namespace raftkv::raft {

// Would you vote for me in `next_term`? Changes nothing at the receiver (dissertation 9.6).
struct PreVote {
  Term next_term;
  Index last_log_index;
  Term last_log_term;
  std::string candidate_address =
      {};  // where to answer: a voter that is behind may not know the candidate
};
struct PreVoteReply {
  Term next_term;  // as asked
  bool vote_granted = false;
};

// Envelope.term is the candidate's term (§5.2, §5.4.1).
struct RequestVote {
  Index last_log_index;
  Term last_log_term;
  bool leadership_transfer = false;    // passes stickiness (dissertation 4.2.3)
  std::string candidate_address = {};  // as in PreVote
};
struct RequestVoteReply {
  bool vote_granted = false;
};

// Envelope.term is the leader's term (§5.3). Without entries it is a heartbeat.
struct AppendEntries {
  Index prev_log_index;
  Term prev_log_term;
  Index leader_commit;
  ReadRound read_round;        // the leader's latest; echoed by every reply
  std::string leader_address;  // where to answer: in probes and heartbeats, because a new learner
                               // has no configuration
  std::vector<Entry> entries;  // contiguous from prev_log_index + 1
};
struct AppendEntriesReply {
  // Why an AppendEntries was refused, and where to look for the last common entry.
  struct Conflict {
    Index prev_log_index;  // of the refused request
    Index hint_index;      // no entry above it can match
    Term hint_term;        // of the follower's entry at hint_index
  };
  // The follower's log is durably the leader's through here. Never more than its stable index.
  Index match_index;
  ReadRound read_round;
  std::optional<Conflict> conflict;
  // The follower's state cannot be reached from its log: it needs a snapshot, wherever its log ends
  // (design, section 4, rule 10).
  bool snapshot_wanted = false;
};

// One chunk of a snapshot (§7, Figure 13). Each has all that the receiver must know of the
// snapshot, so that a lost message spoils nothing.
struct InstallSnapshot {
  SnapshotMeta snapshot;
  StreamId stream;  // of the leader's
  std::uint64_t chunk = 0;
  bool last = false;
  std::uint64_t contents_digest = 0;  // in the last chunk; else 0
  std::string leader_address;         // as in AppendEntries: a new learner does not know it
  SharedBytes data;
};
// How far the receiver is: like an acknowledgement of entries a level, not an answer to one chunk.
struct InstallSnapshotReply {
  StreamId stream;
  std::uint64_t next_chunk = 0;  // all before it are written
  // The follower is durably as the leader through here, in its state or its log; 0: not yet as far
  // as the snapshot.
  Index installed = {};
  bool failed = false;  // the stream is of no use any more: begin another
};

// Campaign now: the leader hands over (dissertation 3.10).
struct TimeoutNow {};

using Message = std::variant<PreVote, PreVoteReply, RequestVote, RequestVoteReply, AppendEntries,
                             AppendEntriesReply, TimeoutNow, InstallSnapshot, InstallSnapshotReply>;

// Who says it to whom. A receiver drops what is of another cluster, from or for another member,
// from an older incarnation of the sender, or a reply to a request of an earlier incarnation of
// itself (design, section 4, 4).
struct Route {
  ClusterId cluster;
  MemberId from;
  Incarnation from_incarnation;
  MemberId to;
  Incarnation to_incarnation;  // replies: of the request that they answer; requests: 0
};

struct Envelope {
  Route route;
  Term term;  // the sender's current_term
  Message message;
};

[[nodiscard]] bool is_reply(const Message& message);
[[nodiscard]] const char* name_of(const Message& message);

}  // namespace raftkv::raft
