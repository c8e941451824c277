// Ghost state: what only the simulator knows. It sees every node's memory and every node's disk,
// and remembers who led, who voted, what was committed and what clients were told. Nothing in a run
// depends on it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/base/checksum.h"
#include "src/kv/store.h"
#include "src/raft/configuration.h"
#include "src/raft/effects.h"
#include "src/raft/entry.h"
#include "src/raft/types.h"
#include "src/replica/state_store.h"

namespace raftkv::sim {

using raft::Configuration;
using raft::Incarnation;
using raft::Index;
using raft::MemberId;
using raft::Term;

// An entry as far as comparing logs goes. Two logs with equal `prefix` at an index are equal
// through it.
struct LogPoint {
  Term term;
  std::uint64_t prefix = 0;  // chain over the checksums of all entries through this one
};

// A log as a row of points; its first entry has index 1. What a snapshot stands for is in it, too.
class LogMirror {
 public:
  [[nodiscard]] Index last() const { return Index(points_.size()); }
  [[nodiscard]] LogPoint at(Index index) const {
    return index ? points_[index.value - 1] : LogPoint{};
  }
  // Holds exactly this log through `index`.
  [[nodiscard]] bool holds(Index index, std::uint64_t prefix) const {
    return index <= last() && at(index).prefix == prefix;
  }
  LogPoint append(const raft::Entry& entry) {
    const LogPoint point{entry.term(), chain64(at(last()).prefix, entry.checksum())};
    points_.push_back(point);
    return point;
  }
  void truncate_from(Index from) { points_.resize(from.value - 1); }
  void clear() { points_.clear(); }

 private:
  std::vector<LogPoint> points_;
};

// What a leader believed of a peer when it was last looked at.
struct SeenProgress {
  MemberId peer;
  Term term;  // of the leader then
  // Of the peer when the term began, in truth, and the next one each time that match fell.
  Incarnation incarnation;
  Index match;
};

struct GhostNode {
  // --- of the disk: survives crashes ---
  MemberId member;  // 0: none yet
  raft::HardState durable_hard_state;
  LogMirror durable;
  Index durable_state;  // the applied index of what a crash would leave of the state, at least
  // Where that is a snapshot that was installed: its index, until the process has turned to it.
  Index replacing;
  bool wiped_once = false;
  bool state_lost = false;  // damaged, and no snapshot installed since
  bool damaged = false;     // at rest, and since then no start after which nothing of it was left
  bool hidden_damage = false;  // … that was left at the last start
  bool promise_lost = false;   // a part of the log is lost, and not repaired since
  Index owed;                  // of what it lost, the last entry that was committed when it started
  // What was being written to the log when it was found and could not be read: how much of it is
  // there shows when the node runs.
  std::vector<raft::LogWrite> under_way;

  // What it promised of log or state cannot be counted on.
  [[nodiscard]] bool has_lost_something() const { return state_lost || damaged || promise_lost; }

  // --- of the process ---
  bool running = false;
  Incarnation incarnation;
  LogMirror memory;
  raft::Role role = raft::Role::follower;
  Term term;
  Index commit;
  Index stable;
  Index applied;
  std::optional<Index> truncated_from;              // reported since the last look
  std::optional<std::pair<Index, Term>> installed;  // a snapshot, reported since the last look
  Index to_be_adopted;                // a snapshot that is installed and not yet the state; 0: none
  std::vector<Index> configurations;  // indexes of configuration entries in `memory`
  std::size_t configurations_seen = 0;  // how many of them there were at the last look
  std::vector<SeenProgress> progress;
};

// A version of a key: what it was from `index` on.
struct Version {
  Index index;
  std::optional<std::uint64_t> value;  // its checksum; nullopt: deleted
};

// One key's life in the committed log, and what clients have been told about it.
struct KeyHistory {
  std::vector<Version> versions;  // in order
  Index acknowledged;  // the largest index of a write of it that a client was told of, or a
                       // consistent read saw
  struct Served {
    MemberId member;
    Incarnation incarnation;
    Index index;
  };
  std::vector<Served> stale_served;  // by node: the version of the last stale read there

  // The version in force at `index`; one with index 0 and no value before the first.
  [[nodiscard]] Version at(Index index) const;
};

struct CommittedEntry {
  raft::Entry entry;
  std::uint64_t prefix = 0;
  Term committed_in;         // the term of the leader that committed it first
  std::uint64_t digest = 0;  // of the state machine after it
};

struct Leader {
  std::size_t node = 0;
  MemberId member;
  Incarnation incarnation;
};

struct Vote {
  MemberId voter;
  MemberId candidate;
};

struct Ghost {
  explicit Ghost(std::size_t nodes_count) : nodes(nodes_count), replay(replay_store) {}

  std::vector<GhostNode> nodes;
  std::map<Term, Leader> leaders;
  std::map<Term, std::vector<Vote>> votes;  // that were really given: durable, and sent or the own
  // The largest match that a member's AppendEntriesReply carried to this term's leader, true by its
  // disk.
  std::map<Term, std::vector<std::pair<MemberId, Index>>> acknowledged;

  // Every entry that was in anybody's log, by index and term: equal ones have equal prefixes (I3).
  struct Known {
    raft::Entry entry;
    std::uint64_t prefix = 0;
  };
  std::vector<std::vector<Known>> known;  // entry i + 1 at i

  std::vector<CommittedEntry> committed;  // entry i + 1 at i
  kv::MemoryStore replay_store;
  replica::StateStore replay;  // applies what is committed, entry by entry
  std::map<std::string, KeyHistory, std::less<>> keys;
  std::map<MemberId, std::size_t> node_of_member;

  [[nodiscard]] Index committed_last() const { return Index(committed.size()); }
  [[nodiscard]] const CommittedEntry& committed_at(Index index) const {
    return committed[index.value - 1];
  }
  [[nodiscard]] std::uint64_t committed_prefix(Index index) const {
    return index ? committed_at(index).prefix : 0;
  }
  [[nodiscard]] const Known* find_known(Index index, Term term) const;
};

}  // namespace raftkv::sim
