// What the core wants done: data, collected by Raft::take_effects once per turn and carried out by
// the Host.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "src/base/marks.h"
#include "src/raft/configuration.h"
#include "src/raft/entry.h"
#include "src/raft/message.h"
#include "src/raft/snapshot.h"
#include "src/raft/types.h"

namespace raftkv::raft {

// One unit for the disk. Its parts become durable in this order, and the report (Raft::log_written)
// comes after the last. Writes are done in the order of their ids.
//
// `snapshot`: the complete snapshot takes the place of the state, and the log begins behind it.
// What the log on disk has behind it stays if the entry at last_included_index has
// last_included_term; else the whole log goes. A crash within leaves the old state and log, or the
// new state, and then recovery finishes the cut. Afterwards what is applied next follows the
// snapshot.
struct LogWrite {
  WriteId id;
  std::optional<HardState> hard_state;
  std::optional<SnapshotMeta> snapshot;
  std::optional<Index> truncate_from;  // drop this entry and all behind it
  std::vector<Entry> entries;          // contiguous; behind what truncate_from left
};

// Entries that are in the log on disk but no longer in memory. Answer with Raft::fetched, in any
// order.
struct LogFetch {
  MemberId peer;  // for whom; handed back with the answer
  Index from;
  Index to;                   // inclusive
  std::size_t bytes_max = 0;  // stop after this many, but deliver at least one entry
};

// The log before `first` may go from the disk; the core has forgotten it. To be done in order with
// the log writes: after those of its turn.
struct LogCut {
  Index first;
  Term prev_term;  // of the entry before it
};

// --- snapshot work (§7), to be done in the order given ---

// Opens a view of the state as it is now. Answer with Raft::snapshot_opened.
struct SnapshotOpen {
  StreamId stream;
  MemberId peer;
};
// Reads the view's next chunk: 0, 1, 2, … Answer with Raft::snapshot_read.
struct SnapshotRead {
  StreamId stream;
  std::uint64_t chunk = 0;
  std::size_t bytes_max = 0;  // stop after this many, but deliver at least one pair
};
// The view is of no use any more. May come before SnapshotOpen or SnapshotRead is answered; the
// answer is ignored then.
struct SnapshotClose {
  StreamId stream;
};
// Writes a chunk that came from the leader; chunks come in order. Chunk 0 discards what has been
// received before. Answer with Raft::snapshot_received.
struct SnapshotReceive {
  StreamId stream;  // a number of the receiver's own, so that answers cannot be mistaken
  SnapshotMeta snapshot;
  std::uint64_t chunk = 0;
  bool last = false;
  std::uint64_t contents_digest = 0;  // with the last
  SharedBytes data;
};
// What has been received is of no use any more. Never once a LogWrite has named it.
struct SnapshotDiscard {};
using SnapshotWork =
    std::variant<SnapshotOpen, SnapshotRead, SnapshotClose, SnapshotReceive, SnapshotDiscard>;

// Leadership was confirmed after the read was asked for: serve it once applied >= read_index
// (dissertation 6.4).
struct ReadGranted {
  Ticket ticket;
  Index read_index;
};

// Why the core does not take a request. Nothing has happened then.
enum class Refusal {
  not_leader,
  not_ready,         // this leader has not yet committed an entry of its own term
  busy,              // a named bound is reached (uncommitted bytes, waiting reads), or whom
                     // leadership is to go to needs a snapshot first: try again
  transferring,      // leadership is being handed over
  change_under_way,  // another configuration change is not finished
  unknown_member,
  address_taken,     // the address belongs to another id
  name_taken,        // the id belongs to an instance heard from within an election timeout
  removed_instance,  // that instance was a member once
  last_voter,        // removing it would leave nobody
  not_voter,         // a learner cannot lead
  too_many_members,
};
[[nodiscard]] const char* to_string(Refusal refusal);

struct ReadRefused {
  Ticket ticket;
  Refusal refusal = Refusal::not_leader;
};

enum class Role { follower, candidate, leader };  // Figure 4; a pre-candidate is a candidate here
[[nodiscard]] const char* to_string(Role role);

// What changed, for logs, metrics and the simulator's ghost state (Observer). Never needed to go
// on.
struct RoleChanged {
  Role role = Role::follower;
  Term term;
  std::string reason;
};
struct LeaderChanged {  // whom this node follows, or itself; 0: nobody
  MemberId leader;
  Term term;
};
struct Committed {
  Index commit_index;
};
struct Truncated {  // a conflict with the leader's log dropped entries
  Index from;
};
struct ConfigurationChanged {  // appended or rolled back
  Index index;
  Configuration configuration;
};
struct TransferEnded {
  MemberId target;
  bool done = false;
};
struct PromiseRepaired {};
// A snapshot has taken the place of the state and of the log through `index`: not durable before
// its LogWrite is.
struct SnapshotInstalled {
  Index index;
  Term term;
};
struct SnapshotSent {  // this leader's stream to `peer` has ended well
  MemberId peer;
  Index index;
};
struct LogCutTo {  // what lies before it is forgotten
  Index first;
};
using Event =
    std::variant<RoleChanged, LeaderChanged, Committed, Truncated, ConfigurationChanged,
                 TransferEnded, PromiseRepaired, SnapshotInstalled, SnapshotSent, LogCutTo>;

struct Effects {
  std::vector<Envelope> messages;
  std::vector<LogWrite> log_writes;
  std::vector<Entry> apply;  // committed and stable, contiguous from the last that was handed out
  std::vector<LogFetch> fetches;
  std::optional<LogCut> log_cut;
  std::vector<SnapshotWork> snapshot_work;
  std::vector<ReadGranted> reads_granted;
  std::vector<ReadRefused> reads_refused;
  std::vector<Event> events;
  MarkSet marks;

  [[nodiscard]] bool empty() const;  // but for marks: they ask for nothing
  void swap(Effects& other);
  void clear();  // keeps capacity: a steady state allocates nothing
};

}  // namespace raftkv::raft
