// A node: a data directory that outlives its processes, and the process that runs on it, if one
// does. A Process is what production's main() is: it plugs the production Host and router into
// simulated ports.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/kernel.h"
#include "sim/node_storage.h"
#include "src/base/ring.h"
#include "src/http/router.h"
#include "src/replica/host.h"
#include "src/replica/join.h"

namespace raftkv::sim {

class Node;

enum class WorkerKind : std::uint8_t { log, apply, read, upkeep };
inline constexpr std::size_t kWorkers = 4;

// Runs jobs one at a time at virtual times. A job's operations happen at one instant (job_run), its
// completion is posted at a later one (job_done): a crash strikes before, between any two
// operations, or after them.
class SimWorker final : public replica::Worker {
 public:
  SimWorker(Kernel& kernel, Node& node, WorkerKind kind)
      : kernel_(kernel), node_(node), kind_(kind) {}

  void run(replica::Job job, replica::Done done) override;
  // False: the Host has heard nothing of it yet; its end comes later (job_done).
  [[nodiscard]] bool on_run();
  void on_done();
  // The disk is no longer stalled.
  void go_on() { begin(); }
  // A job has begun and its operations have not happened.
  [[nodiscard]] bool under_way() const { return state_ == State::begun; }
  // Runs the operations of the job that is under way; nobody hears of it.
  void run_unheard() { (void)jobs_.front().first(); }

 private:
  enum class State : std::uint8_t { idle, begun, ran };
  void begin();
  void push(EventKind kind, Duration delay);

  Kernel& kernel_;
  Node& node_;
  WorkerKind kind_;
  State state_ = State::idle;
  Ring<std::pair<replica::Job, replica::Done>> jobs_;
  Status result_;
};

class Process final : public replica::Clock,
                      public replica::PeerNetwork,
                      public replica::Responder,
                      public replica::Observer,
                      public http::NodeView {
 public:
  Process(Kernel& kernel, Node& node, std::uint32_t epoch, NodeStorage::Opened opened);
  ~Process() override;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // --- events ---
  void on_frame(FrameInFlight frame);
  void on_peer_event(std::size_t from, MemberId peer, raft::PeerEvent event);
  void on_request(std::uint32_t exchange);
  void on_wake(std::uint32_t generation);
  void on_turn();
  void on_job(EventKind kind, std::uint32_t worker);

  // Runs a part of a job that is under way, and stops in the middle: the process is about to be
  // killed.
  void strike(Prng& prng);
  void disk_changed() { workers_[0].go_on(); }
  // Requests that will not be answered any more.
  [[nodiscard]] std::vector<std::uint32_t> abandoned() const;
  [[nodiscard]] const replica::Host& host() const { return *host_; }
  [[nodiscard]] std::uint32_t epoch() const { return epoch_; }
  // Was told last that this node's connection is gone.
  [[nodiscard]] bool disconnected(std::size_t node) const { return disconnected_[node]; }
  // A job is under way that a crash may strike within.
  [[nodiscard]] bool may_be_struck() const;

  // --- replica::Clock ---
  [[nodiscard]] Time now() override;
  void wake_at(Time time) override;
  void turn_soon() override;
  // --- replica::PeerNetwork ---
  void send(const replica::PeerAddress& to, raft::Frame frame) override;
  void keep(std::span<const replica::PeerAddress> /*peers*/) override {}  // all reach all
  // --- replica::Responder ---
  void respond(replica::Ticket ticket, replica::Reply reply) override;
  // --- replica::Observer ---
  void observe(const replica::Event& event) override;
  // --- http::NodeView ---
  [[nodiscard]] http::NodeSummary summary() override;
  [[nodiscard]] std::string metrics() override { return {}; }

 private:
  struct Pending {
    std::uint64_t ticket = 0;
    std::uint32_t exchange = 0;
    http::Context context;
  };
  // After every event that reached the Host: turns if that needs no event of its own, and checks.
  void after_input();
  void check();
  void check_applied();
  void look_at_frame(const raft::Frame& frame, Endpoint to);
  void answer(std::uint32_t exchange, http::HttpResponse response);
  [[nodiscard]] Instant instant_of(Time time) const;

  Kernel& kernel_;
  Node& node_;
  std::uint32_t epoch_;
  // The clock: local = offset + (1 + rate) * true, in millionths; monotonic.
  std::int64_t rate_ppm_ = 0;
  Duration offset_{};
  Time wake_at_ = kNever;
  std::uint32_t wake_generation_ = 0;
  bool turn_asked_ = false;
  bool turn_pushed_ = false;
  Duration turn_delay_max_{};
  std::vector<bool> disconnected_;  // by node
  std::vector<Pending> pending_;
  std::uint64_t tickets_ = 0;
  replica::Index applied_seen_;
  std::array<SimWorker, kWorkers> workers_;
  http::Router router_;
  std::unique_ptr<replica::Host> host_;  // last: its jobs refer to what stands above
};

class Node final : public DiskWitness {
 public:
  Node(Kernel& kernel, std::size_t number, std::string name);

  // --- life ---
  // Begins as a member of the first cluster, whose log is `entries`.
  void found(raft::ClusterId cluster, MemberId member, raft::InstanceId instance,
             const std::vector<raft::Entry>& entries);
  // Starts a process, or joining where there is no identity yet. `endpoints`: HTTP addresses to
  // ask.
  void start(std::vector<std::string> endpoints);
  void kill(Crash kind);
  void wipe();
  void lose_state();
  // Loses power, and one of its files is damaged (NodeStorage::rot).
  void rot(const Action& how);
  // Its Host has stopped: the process ends, and a supervisor starts it again.
  void stopped();
  void pause() { paused_ = true; }
  void resume() { paused_ = false; }
  void set_disk_factor(std::uint64_t factor);

  // --- joining ---
  [[nodiscard]] bool joining() const { return joining_.has_value(); }
  void on_join_timer(std::uint32_t attempt, std::vector<std::string> endpoints);
  void on_response(const Exchange& exchange);

  // --- what it is ---
  [[nodiscard]] Process* process() { return process_.get(); }
  [[nodiscard]] const Process* process() const { return process_.get(); }
  [[nodiscard]] bool running() const { return process_ != nullptr; }
  [[nodiscard]] bool started() const { return process_ != nullptr || joining_.has_value(); }
  [[nodiscard]] bool paused() const { return paused_; }
  [[nodiscard]] std::uint64_t disk_factor() const { return disk_factor_; }
  [[nodiscard]] bool has_identity() const { return static_cast<bool>(identity_.member); }
  [[nodiscard]] const raft::Identity& identity() const { return identity_; }
  [[nodiscard]] raft::InstanceId instance() const { return instance_; }
  [[nodiscard]] std::size_t number() const { return number_; }
  [[nodiscard]] Endpoint endpoint() const { return static_cast<Endpoint>(number_); }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::string http_address() const { return name_ + ":8091"; }
  [[nodiscard]] std::string raft_address() const { return name_ + ":8089"; }
  [[nodiscard]] std::uint32_t epoch() const { return epoch_; }
  [[nodiscard]] NodeStorage& storage() { return *storage_; }
  [[nodiscard]] const NodeStorage& storage() const { return *storage_; }

  // --- DiskWitness ---
  void durable_hard_state(const raft::HardState& hard_state) override {
    kernel_.invariants.durable_hard_state(number_, hard_state);
  }
  void durable_truncated(raft::Index from) override {
    kernel_.invariants.durable_truncated(number_, from);
  }
  void durable_appended(const raft::Entry& entry) override {
    kernel_.invariants.durable_appended(number_, entry);
  }
  void durable_cut(raft::Index first) override { kernel_.invariants.durable_cut(number_, first); }
  void durable_installed(raft::Index index, raft::Term term) override {
    kernel_.invariants.durable_installed(number_, index, term);
  }
  void durable_state(raft::Index applied) override {
    kernel_.invariants.durable_state(number_, applied);
  }
  void promise_repaired() override { kernel_.invariants.promise_repaired(number_); }
  void found(const FoundOnDisk& found, std::span<const raft::LogWrite> under_way) override {
    kernel_.invariants.found(number_, found, under_way);
  }

 private:
  void start_process();
  // It cannot go on: it is gone, and a supervisor starts it again.
  void cannot_start(const Error& error);
  void start_again();
  // A person moves the damaged directory away and lets the node join again.
  void refuse(std::string_view why);
  void maybe_strike_start();
  void join_step();
  void tell_peers(raft::PeerEvent event);

  Kernel& kernel_;
  std::size_t number_;
  std::string name_;
  std::unique_ptr<NodeStorage> storage_;
  raft::Identity identity_;  // member 0: none yet
  raft::InstanceId instance_;
  std::optional<replica::Joining> joining_;
  std::uint32_t join_attempt_ = 0;
  bool waits_for_answer_ = false;
  std::uint32_t epoch_ = 0;
  bool paused_ = false;
  std::uint64_t disk_factor_ = 1;
  std::unique_ptr<Process> process_;
};

// The node whose address this is ("n3:8089"), from 0; nullopt for another text.
[[nodiscard]] std::optional<std::size_t> node_of_address(std::string_view address);

// The value of a response's header field, as our own router spells its name; empty if it is not
// there.
[[nodiscard]] std::string_view field(std::string_view fields, std::string_view name);

// Sends an HTTP request over the simulated network; the response event comes back, or nothing does.
void send_request(Kernel& kernel, Endpoint from, Exchange&& exchange);
void send_response(Kernel& kernel, std::uint32_t exchange);

// At `when`, one node's process is told what became of its connection to another node.
void push_peer_event(Kernel& kernel, Endpoint at, Endpoint about, raft::PeerEvent event,
                     Instant when);
// The connections between two nodes break, and are made anew.
void break_connections(Kernel& kernel, Endpoint a, Endpoint b);

}  // namespace raftkv::sim
