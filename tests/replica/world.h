// Hosts in a world that a test turns by hand: one virtual time, a network that is a vector of
// frames, workers whose jobs run when they are pumped. No socket, no thread, no real time.
//
//   World world(7);
//   world.bootstrap("n1");
//   world.join("n2");
//   Reply reply = world.ask("n1", set("k", "v"));
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "src/base/prng.h"
#include "src/kv/store.h"
#include "src/replica/host.h"
#include "src/replica/memory_log_store.h"

namespace raftkv::replica {

class World {
 public:
  class Node;

  explicit World(std::uint64_t seed, HostOptions options = {})
      : prng_(seed), options_(std::move(options)) {}
  ~World();

  // --- nodes ---
  // A new cluster of this one node, running.
  Node& bootstrap(const std::string& name);
  // A node with an instance and nothing else; start() after its identity is known.
  Node& add(const std::string& name);
  // A new node asks the cluster to let it in, through `via` or the leader, and starts. Waits until
  // it is a voter.
  Node& join(const std::string& name);
  void start(const std::string& name);
  // The process dies: what is not durable is lost, the peers' connections are reset (unless
  // `silently`).
  void kill(const std::string& name, bool silently = false);
  // It loses its state too, as far as it was not synced (all of it): the log has to redo it.
  void forget_state(const std::string& name);
  [[nodiscard]] Node& node(const std::string& name) { return *nodes_.at(name); }
  [[nodiscard]] Host& host(const std::string& name);
  [[nodiscard]] const std::map<std::string, std::unique_ptr<Node>>& nodes() const { return nodes_; }

  // --- network ---
  struct Packet {
    std::string from;
    std::string to;
    std::string bytes;
  };
  // Frames between these two are lost, in both directions, without a word.
  void cut(const std::string& a, const std::string& b);
  void isolate(const std::string& name);
  void heal() { cuts_.clear(); }
  [[nodiscard]] std::vector<Packet>& network() { return network_; }
  // Looks at each frame that is sent; true: it is lost.
  std::function<bool(const Packet&)> drop;

  // --- time ---
  [[nodiscard]] Time now() const { return now_; }
  // Does all that can be done now, then moves to the next deadline, and so on, for this long.
  void run_for(Duration duration);
  // The same until `done` holds; false: it did not within `limit`.
  bool run_until(const std::function<bool()>& done, Duration limit = 30s);
  // Does one thing that is ready, the first or one by lot; false: there is none.
  bool step_first();
  bool step_random();
  void advance(Duration by);

  // --- clients ---
  Ticket submit(const std::string& name, Request request);
  [[nodiscard]] const Reply* reply(Ticket ticket) const;
  // Submits, and runs until the answer is there; CHECKs that it comes within a minute.
  Reply ask(const std::string& name, Request request);
  // Tickets whose node died before it answered.
  [[nodiscard]] bool died(Ticket ticket) const { return died_.contains(ticket); }
  [[nodiscard]] std::size_t unanswered() const { return open_.size(); }

  // The name of the leader of the highest term that is up; "": none.
  [[nodiscard]] std::string leader() const;
  // Runs until somebody leads and may serve, and returns its name.
  std::string elect();

  [[nodiscard]] Prng& prng() { return prng_; }
  [[nodiscard]] raft::ClusterId cluster() const { return cluster_; }

 private:
  friend class Node;
  struct Choice {
    Node* node = nullptr;
    int what = 0;            // 0 turn, 1 to 3 and 5 a worker, 4 a frame
    std::size_t packet = 0;  // of network_
  };
  void collect(std::vector<Choice>& out) const;
  void run(const Choice& choice);
  void deliver(Packet packet);
  [[nodiscard]] bool is_cut(const std::string& a, const std::string& b) const;
  [[nodiscard]] Time next_wake_up() const;

  Prng prng_;
  HostOptions options_;
  Time now_{};
  raft::ClusterId cluster_{0xc1};
  std::map<std::string, std::unique_ptr<Node>> nodes_;
  std::vector<Packet> network_;
  std::set<std::pair<std::string, std::string>> cuts_;
  std::uint64_t next_ticket_ = 1;
  std::uint64_t next_instance_ = 100;
  std::map<Ticket, std::string> open_;  // and who has it
  std::map<Ticket, Reply> replies_;
  std::set<Ticket> died_;
};

// A store whose disk can run full, and whose values can be damaged.
class FillableStore final : public kv::ReplaceableStore {
 public:
  bool full = false;
  bool damaged = false;

  [[nodiscard]] Result<std::optional<std::string>> get(std::string_view key) override {
    if (damaged) return failure(ErrorCode::corrupt, "state: block checksum mismatch");
    return memory_.get(key);
  }
  [[nodiscard]] Status write(const kv::Batch& batch) override {
    if (full) return failure(ErrorCode::fatal, "state: no space left on the device");
    return memory_.write(batch);
  }
  [[nodiscard]] Status sync() override { return memory_.sync(); }
  [[nodiscard]] std::unique_ptr<kv::View> view() override { return memory_.view(); }
  [[nodiscard]] Result<kv::OrderedStore*> begin_incoming() override {
    return memory_.begin_incoming();
  }
  [[nodiscard]] Status discard_incoming() override { return memory_.discard_incoming(); }
  [[nodiscard]] Status adopt_incoming() override {
    ++number_;
    return memory_.adopt_incoming();
  }
  void forget() { memory_ = {}; }
  // The process is gone. The state that counts is this one (LogImage::state_number): this, or the
  // one that was received.
  void restart(std::uint64_t number) {
    if (number > number_) (void)adopt_incoming();
    (void)memory_.discard_incoming();
    number_ = number;
  }
  [[nodiscard]] const kv::MemoryStore& memory() const { return memory_; }

 private:
  kv::MemoryStore memory_;
  std::uint64_t number_ = 1;
};

// One node: its disk outlives its process.
class World::Node final : public Clock, public PeerNetwork, public Responder, public Observer {
 public:
  Node(World& world, std::string node_name, raft::InstanceId instance_id);

  std::string name;
  std::string http_address;
  std::string raft_address;
  raft::Identity identity;
  HostOptions options;
  LogImage log;            // what a crash leaves
  FillableStore contents;  // written as soon as applied: survives the process

  // The process; null when it does not run.
  std::unique_ptr<MemoryLogStore> log_store;
  std::unique_ptr<StateStore> state_store;
  std::unique_ptr<Host> host;
  std::vector<Event> events;      // of this run
  std::vector<PeerAddress> kept;  // as the Host asked for
  bool log_stalled = false;       // jobs of the log worker wait
  bool apply_stalled = false;
  bool read_stalled = false;

  void start();
  void stop_process();
  [[nodiscard]] bool up() const { return host != nullptr; }
  [[nodiscard]] bool observed_stop() const;

  Time now() override { return world_.now_; }
  void wake_at(Time time) override { wake_up = time; }
  void turn_soon() override { turn_asked = true; }
  void send(const PeerAddress& to, raft::Frame frame) override;
  void keep(std::span<const PeerAddress> peers) override {
    kept.assign(peers.begin(), peers.end());
  }
  void respond(Ticket ticket, Reply reply) override;
  void observe(const Event& event) override { events.push_back(event); }

  struct HandWorker final : Worker {
    void run(Job job, Done done) override { jobs.emplace_back(std::move(job), std::move(done)); }
    // Runs the first job and reports it.
    void pump();
    std::deque<std::pair<Job, Done>> jobs;
  };
  HandWorker log_worker;
  HandWorker apply_worker;
  HandWorker read_worker;
  HandWorker upkeep_worker;
  bool turn_asked = false;
  Time wake_up = kNever;

 private:
  World& world_;
};

// --- small words for tests ---
[[nodiscard]] Request set(const std::string& key, const std::string& value);
[[nodiscard]] Request del(const std::string& key);
[[nodiscard]] Request get(const std::string& key, Level level);
[[nodiscard]] const Failed* failure_of(const Reply& reply);

}  // namespace raftkv::replica
