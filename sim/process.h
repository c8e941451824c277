// A Process is what production's main() is: it plugs the production Host and router into simulated
// ports. It ends with what it holds in memory; the Node that it runs on stays.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sim/kernel.h"
#include "sim/node_storage.h"
#include "sim/worker.h"
#include "src/http/router.h"
#include "src/replica/host.h"

namespace raftkv::sim {

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

}  // namespace raftkv::sim
