// Host: a node. Feeds the core with what comes in, carries its effects out through the ports, and
// answers every request exactly once. The same code in production and in simulation.
//
// Threads: none of its own. All functions are called on one loop; jobs run inside Workers and touch
// only what they were given. An input (submit, receive, peer_event, expire, a worker's Done) never
// carries effects out itself: it asks Clock::turn_soon(), and turn() does so once for all inputs of
// the turn.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "src/base/prng.h"
#include "src/raft/raft.h"
#include "src/replica/ports.h"
#include "src/replica/request.h"
#include "src/replica/state_store.h"

namespace raftkv::replica {

struct HostOptions {
  raft::Options raft;
  std::string name;          // the operator's --id
  std::string http_address;  // as advertised
  std::string raft_address;
  bool forward = false;  // a follower passes requests on instead of naming the leader
  Duration request_timeout =
      5s;  // a write or read without an answer is given up: unknown or failed
  Duration checkpoint_interval = 50ms;         // LogStore::checkpoint while writes happen
  std::size_t requests_max = 65536;            // open tickets; above it: busy
  std::size_t log_batch_bytes_max = 8u << 20;  // one job of the log worker
  std::size_t apply_batch_bytes_max = 4u << 20;
  std::size_t read_batch_max = 1024;  // one job of the read worker
  // Applied bytes after which the state is synced, and the time after which it is in any case (or
  // sooner: OrderedStore::wants_sync). A start redoes as much of the log, and a key that was
  // written often meanwhile goes to the disk once.
  std::size_t state_sync_bytes = 32u << 20;
  Duration state_sync_interval = 5s;
};

// What the Host works with. All must outlive it; the workers must be idle or drained before the
// Host is destroyed.
struct HostPorts {
  Clock& clock;
  PeerNetwork& network;
  Worker& log_worker;
  Worker& apply_worker;
  Worker& read_worker;
  Worker& upkeep_worker;  // for what nobody waits for
  Responder& responder;
  Observer& observer;
  LogStore& log_store;
  StateStore& state_store;
};

class Host {
 public:
  // `meta` is what StateStore::load() gave; `recovered` agrees with it.
  Host(HostOptions options, const raft::Identity& identity, raft::Recovered recovered,
       StateMeta meta, const HostPorts& ports, Prng prng);
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  // --- inputs ---
  // A request of a client. Ticket: unique among the open ones; below 2^63 (the rest are the Host's
  // own).
  void submit(Ticket ticket, Request request);
  // A frame from a peer connection. An error says why the connection should be closed (garbage,
  // another cluster, an old incarnation, an unknown version); frames for nobody here that are
  // merely late are dropped silently.
  [[nodiscard]] Status receive(SharedBytes frame);
  void peer_event(raft::MemberId peer, raft::PeerEvent event);
  void expire();
  // Carries out what the inputs since the last turn have caused.
  void turn();
  // Begins a clean stop: no new requests; hands leadership over if it leads; checkpoints log and
  // state. Answered by `done` on the loop, at latest after `limit`. To be called once.
  void stop(Duration limit, std::move_only_function<void()> done);

  // --- what it is ---
  [[nodiscard]] const raft::Raft& raft() const;
  [[nodiscard]] const StateMeta& applied() const;  // as of the last finished apply batch
  [[nodiscard]] NodeStatus status();
  [[nodiscard]] bool stopped() const;  // a worker reported a fatal error: takes no further part
  [[nodiscard]] std::size_t open_requests() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace raftkv::replica
