// A handful of Raft cores with a hand-pumped network, hand-completed disks and virtual time. For
// scripts (script_test.cc) and random schedules (random_test.cc); the whole node has its own world
// in sim/.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/raft/raft.h"

namespace raftkv::raft {

// What a node's disk holds: what a crash leaves.
struct Disk {
  HardState hard_state;
  Index first = Index(1);  // of the log
  Term prev_term;          // of the entry before it
  std::vector<Entry> log;  // [0] is `first`
  Index applied;           // the durable part of the state
  Incarnation incarnation;

  [[nodiscard]] Index last() const { return Index(first.value + log.size() - 1); }
  [[nodiscard]] const Entry& at(Index index) const { return log.at(index - first); }
  // Nullopt: not in the log, and not the entry before it.
  [[nodiscard]] std::optional<Term> term(Index index) const;
  void cut_before(Index index);
};

// The state machine of these tests remembers every entry: its state is the row of them all.
using State = std::vector<Entry>;

// A snapshot that is being received: beside the state, not durable before it is complete.
struct Incoming {
  SnapshotMeta snapshot;
  State state;
  std::uint64_t next_chunk = 0;
  bool complete = false;
};
// A snapshot that is being sent.
struct View {
  State state;
  std::size_t sent = 0;
};

struct Node {
  MemberId id;
  Disk disk;
  bool up = false;
  bool promise_lost = false;    // what recovery says at the next start
  bool auto_disk = true;        // log writes are durable at once
  bool auto_apply = true;       // entries are applied at once
  bool auto_sync = true;        // what is applied is durable at once
  bool auto_snapshots = true;   // snapshot work is done at once
  bool snapshots_fail = false;  // … and fails
  std::unique_ptr<Raft> raft;
  std::deque<LogWrite> writes;  // handed out, not durable
  std::deque<Entry> to_apply;   // handed out, not applied
  std::deque<SnapshotWork> snapshot_work;
  std::map<StreamId, View> views;
  std::optional<Incoming> incoming;
  State applied;
  std::vector<ReadGranted> granted;
  std::vector<ReadRefused> refused;
};

class Cluster {
 public:
  using Trace = std::function<void(const std::string&)>;

  explicit Cluster(std::uint64_t seed, Options options = {}) : options_(options), prng_(seed) {}

  void set_options(const Options& options) { options_ = options; }  // of nodes started from now on
  // A node with this disk, not started. The first entry of every log is `configuration`.
  Node& add(MemberId id, const Configuration& configuration,
            const std::vector<std::uint64_t>& terms, HardState hard_state);
  Node& add_empty(MemberId id);
  void start(MemberId id);
  void crash(MemberId id);       // what is not durable is lost
  void lose_state(MemberId id);  // of a node that is down
  // Of a node that is down, and whose state ends before: the next start says that it has lost it.
  void lose_log(MemberId id, Index from);

  [[nodiscard]] Node& node(MemberId id) { return *nodes_.at(id); }
  [[nodiscard]] Raft& raft(MemberId id);
  [[nodiscard]] const std::map<MemberId, std::unique_ptr<Node>>& nodes() const { return nodes_; }
  [[nodiscard]] std::vector<Envelope>& network() { return network_; }
  [[nodiscard]] Time now() const { return now_; }
  void advance(Duration by) { now_ += by; }
  void set_trace(Trace trace) { trace_ = std::move(trace); }

  // Each of these runs one input and carries out what it causes.
  void deliver(std::size_t message);                // moves it out of network()
  void expire(MemberId id);                         // its next deadline has come
  void write_one(MemberId id);                      // the oldest log write becomes durable
  void apply_some(MemberId id, std::size_t count);  // the oldest of what was handed out
  void sync(MemberId id);                           // the state becomes durable
  void snapshot_step(MemberId id);                  // the oldest snapshot work is done
  void act(MemberId id, const std::function<void(Raft&)>& input);
  // Delivers and writes (auto disks) until nothing moves.
  void settle();

 private:
  void carry_out(Node& node);
  void make_durable(Node& node, const LogWrite& write);
  void install(Node& node, const SnapshotMeta& snapshot);
  void cut(Node& node, const LogCut& cut);
  void apply(Node& node, std::size_t count);
  void work(Node& node, const SnapshotWork& work);
  void work(Node& node, const SnapshotOpen& open);
  void work(Node& node, const SnapshotRead& read);
  void work(Node& node, const SnapshotClose& close);
  void work(Node& node, const SnapshotReceive& receive);
  void work(Node& node, const SnapshotDiscard& discard);
  void say(const std::string& line) {
    if (trace_) trace_(line);
  }

  Options options_;
  Prng prng_;
  Time now_{};
  std::map<MemberId, std::unique_ptr<Node>> nodes_;
  std::vector<Envelope> network_;
  Trace trace_;
};

// Voters with these ids, names n1, n2, …, instances 101, 102, …
[[nodiscard]] Configuration configuration_of(const std::vector<std::uint64_t>& voters,
                                             const std::vector<std::uint64_t>& learners = {});

// One line for a person: "1->2 AppendEntries term=2 prev=3/1 commit=2 entries=4/2".
[[nodiscard]] std::string describe(const Envelope& envelope);
[[nodiscard]] std::string describe(MemberId node, const Event& event);
// "n1 leader term=2 commit=3 log=1,1,2".
[[nodiscard]] std::string describe(const Node& node);

}  // namespace raftkv::raft
