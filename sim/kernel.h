// What all parts of a simulated world share: the time, the agenda, the network, the ghost state and
// its checks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/client_checks.h"
#include "sim/event_queue.h"
#include "sim/ghost.h"
#include "sim/invariants.h"
#include "sim/network.h"
#include "sim/options.h"
#include "sim/trace.h"
#include "sim/watcher.h"
#include "src/base/bytes.h"
#include "src/base/marks.h"
#include "src/base/prng.h"

namespace raftkv::sim {

// A frame between two nodes.
struct FrameInFlight {
  SharedBytes bytes;
  Endpoint from = 0;
  Endpoint to = 0;
  bool corrupt = false;
  std::uint32_t connection = 0;
};

// Who sent an HTTP request: a client by number or, from kJoiningFrom on, a node that joins.
using Requester = std::uint32_t;
inline constexpr Requester kJoiningFrom = 1u << 20;

// Statuses of exchanges that brought no response.
inline constexpr int kRefused = 0;  // nobody listens there: nothing has happened
inline constexpr int kReset = -1;   // the connection broke after the request had arrived

// One HTTP request and its response, at the level of messages.
struct Exchange {
  Requester requester = 0;
  std::uint32_t attempt = 0;  // the requester's
  std::uint32_t operation = kNoOperation;
  Endpoint node = 0;
  std::string method;
  std::string target;
  std::string body;
  // The response.
  int status = kRefused;
  std::string fields;
  std::string response_body;
};

// The independent streams of randomness: a draw in one does not shift another.
enum class Stream : std::uint64_t {
  network = 1,
  disks,
  crashes,
  hosts,
  clients,
  clocks,
  identities,
  corruption,
  storage
};

// What became of disks that were damaged at rest.
struct RotCounts {
  std::uint64_t damaged = 0;
  std::uint64_t whole = 0;         // a start found all that was there
  std::uint64_t state_lost = 0;    // … less of the state; the log redoes it, or a peer sends it
  std::uint64_t promise_lost = 0;  // … less of the log, said so, and waits for the others
  std::uint64_t hidden = 0;        // … nothing; a scan of everything shows the damage
  std::uint64_t refused = 0;       // a start refused, or the node stopped when it met the damage
};

struct Kernel {
  Kernel(const Options& run_options, std::size_t nodes, Trace::Sink sink)
      : options(run_options),
        seed(run_options.seed),
        trace(std::move(sink)),
        network(run_options, nodes, stream(Stream::network)),
        disks(stream(Stream::disks)),
        crashes(stream(Stream::crashes)),
        clocks(stream(Stream::clocks)),
        identities(stream(Stream::identities)),
        corruption(stream(Stream::corruption)),
        storage(stream(Stream::storage)),
        ghost(nodes),
        invariants(ghost, verdict),
        client_checks(ghost, verdict) {}
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;

  [[nodiscard]] Prng stream(Stream which, std::uint64_t part = 0) const {
    return seed.split(static_cast<std::uint64_t>(which)).split(part);
  }

  const Options& options;
  Prng seed;
  Instant now{};
  EventQueue queue;
  Trace trace;
  Network network;
  Prng disks;
  Prng crashes;
  Prng clocks;
  Prng identities;
  Prng corruption;
  Prng storage;  // of disks with files
  Slab<FrameInFlight> frames;
  std::vector<std::uint32_t> clogged;  // frames that wait for their link
  Slab<Exchange> exchanges;
  Ghost ghost;
  Verdict verdict;
  RotCounts rot;
  Invariants invariants;
  ClientChecks client_checks;
  MarkSet marks;               // that any node came to
  Watcher* watcher = nullptr;  // may be nobody
  bool calm = false;           // the second phase: no new faults
  bool closing = false;        // its probes are under way: nothing else is begun
};

}  // namespace raftkv::sim
