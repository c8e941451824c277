// What a run looked like from outside, over time: the data of the page (page.h). It looks at the
// world after each event and keeps what changed; the run does not know of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/client_checks.h"
#include "sim/ghost.h"
#include "sim/options.h"
#include "sim/watcher.h"

namespace raftkv::sim {

// At most so many of each are kept; a record says what it left out.
inline constexpr std::size_t kRecordedChangesMax = 150'000;  // of all nodes
inline constexpr std::size_t kRecordedMessagesMax = 60'000;

enum class Part : std::uint8_t { down, joining, learner, follower, candidate, leader };

// A node from this moment until its next change.
struct NodeMoment {
  Instant at{};
  Part part = Part::down;
  bool paused = false;
  bool promise_lost = false;
  std::uint64_t disk_factor = 1;  // 0: stalled
  bool disk_fails = false;        // fails to sync or to read, or is full
  bool disk_damaged = false;      // at rest, and it may still be met
  std::uint32_t deaf_to = 0;      // bit n: a cut blocks frames from node n to this one
  std::uint32_t mute_to = 0;      // bit n: a cut blocks frames from this one to node n
  std::uint64_t term = 0;
  std::uint64_t vote = 0;  // member
  std::uint64_t commit = 0;
  std::uint64_t applied = 0;
  std::uint64_t stable = 0;  // of a node that is down: what its disk holds
  std::uint64_t last = 0;

  // Everything but the time and the indexes.
  [[nodiscard]] bool same_standing(const NodeMoment& other) const;
  // Everything but the time.
  [[nodiscard]] bool same(const NodeMoment& other) const;
};

// From `keep` + 1 on the log has these terms now.
struct LogMoment {
  Instant at{};
  std::uint64_t keep = 0;
  std::vector<std::uint64_t> terms;
};

struct MessageMoment {
  enum class Fate : std::uint8_t { arrives, lost, held };  // held: on a clogged link
  Instant sent{};
  Instant arrives{};
  Fate fate = Fate::arrives;
  bool again = false;    // the second copy
  bool corrupt = false;  // a bit of it flips on the way
  bool idle = false;     // a heartbeat or its answer
  Endpoint from = 0;
  Endpoint to = 0;
  std::string kind;  // "AppendEntries"
  std::string text;  // all of it in a line
};

struct OperationMoment {
  std::uint32_t process = 0;
  Instant invoked{};
  Instant returned{};  // of an open one: the end
  Outcome outcome = Outcome::open;
  std::string text;  // "put k1=v1", "get k1 consistent: v1"
};

struct Record {
  struct OfNode {
    std::vector<NodeMoment> moments;
    std::vector<LogMoment> logs;
    std::vector<std::uint64_t> members;  // its numbers, for votes
  };
  std::vector<OfNode> nodes;
  std::vector<MessageMoment> messages;
  std::vector<OperationMoment> operations;
  Instant end{};
  bool lively = false;  // the second phase took place
  // What was left out, to stay within the bounds.
  std::uint64_t idle_messages_dropped = 0;
  std::uint64_t messages_dropped = 0;
  Instant messages_from{};        // those before are dropped
  Duration indexes_rounded_to{};  // of indexes only one change in so much time is kept
};

class Recorder final : public Watcher {
 public:
  void happened(const World& world, const Event& event) override;
  void sent(Instant now, Endpoint from, Endpoint to, const SharedBytes& frame,
            const Fate& fate) override;
  void ended(const World& world) override;

  [[nodiscard]] const Record& record() const { return record_; }

 private:
  void look(const World& world, std::size_t node);
  void look_at_log(const LogMirror& log, std::size_t node, Instant now);
  void keep_message(MessageMoment message);
  void thin_messages();
  void thin_changes();

  Record record_;
  std::vector<LogMirror> seen_;  // by node
  std::size_t changes_ = 0;
};

}  // namespace raftkv::sim
