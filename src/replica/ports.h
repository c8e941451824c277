// The ports of a node. replica::Host is the same code in production and in simulation; the two
// worlds differ only in what they plug in here. Every callback runs on the Host's loop; nothing
// here blocks but a job inside a Worker.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "src/base/marks.h"
#include "src/base/result.h"
#include "src/base/time.h"
#include "src/raft/effects.h"
#include "src/raft/entry.h"
#include "src/raft/types.h"
#include "src/raft/wire.h"
#include "src/replica/request.h"

namespace raftkv::replica {

// The node's monotonic time line and its one timer.
struct Clock {
  virtual ~Clock() = default;
  [[nodiscard]] virtual Time now() = 0;
  // Calls Host::expire() at this time or soon after; replaces the wake-up asked for before. kNever:
  // none.
  virtual void wake_at(Time time) = 0;
  // Calls Host::turn() once, after the inputs that are ready now. Asked for again before that, it
  // is one call.
  virtual void turn_soon() = 0;
};

struct PeerAddress {
  raft::MemberId member;
  std::string address;  // HOST:PORT; its raft address
};

// Best effort: may lose, delay, double and reorder; never changes bytes unnoticed (frames are
// checksummed). What arrives goes to Host::receive; what happens to connections to
// Host::peer_event.
struct PeerNetwork {
  virtual ~PeerNetwork() = default;
  virtual void send(const PeerAddress& to, raft::Frame frame) = 0;
  // The members to stay connected to, after each change: others may be disconnected.
  virtual void keep(std::span<const PeerAddress> peers) = 0;
};

using Job = std::move_only_function<Status()>;       // runs off the loop; may block
using Done = std::move_only_function<void(Status)>;  // runs on the loop with what the job returned

// One thread's worth of blocking work: runs jobs one at a time, in the order given.
struct Worker {
  virtual ~Worker() = default;
  virtual void run(Job job, Done done) = 0;
  // The same for a job that is short and waits for nothing: where everything given before is done
  // it may run at once, on the loop. Done comes later all the same.
  virtual void run_short(Job job, Done done) { run(std::move(job), std::move(done)); }
};

// Takes the answer of a request. Every submitted ticket is answered exactly once, unless the
// process dies.
struct Responder {
  virtual ~Responder() = default;
  virtual void respond(Ticket ticket, Reply reply) = 0;
};

// The host's own events, beside the core's.
struct Applied {
  Index index;
  std::uint64_t digest = 0;
};
struct Stopped {  // the node takes no further part (a failed disk): the process should end
  Error error;
};
struct FrameRefused {
  std::string reason;
};
struct ChunkSent {  // read for a peer's snapshot
  std::size_t bytes = 0;
};
struct ChunkReceived {
  std::size_t bytes = 0;
};
struct Marked {  // rare moments that this turn came to, if it did
  MarkSet marks;
};
struct SnapshotFailed {  // a stream to or from this node has ended before its time
  std::string reason;
};
using Event = std::variant<raft::Event, Applied, Stopped, FrameRefused, ChunkSent, ChunkReceived,
                           Marked, SnapshotFailed>;

// Watches. Must not call back into the Host.
struct Observer {
  virtual ~Observer() = default;
  virtual void observe(const Event& event) = 0;
};

// The durable log with its promise (design, section 6). Used from the log worker but where it says
// otherwise; read() from the read worker, at the same time.
struct LogStore {
  virtual ~LogStore() = default;
  // Makes all writes durable, in order, with as few syncs as it can. Hard state is durable before
  // the entries of its write. With a snapshot in a write, the complete incoming state is what the
  // next start finds (StateStore::adopt makes it so for this run), and the log begins behind it: a
  // crash leaves the old state and log, or the new state, and then recovery finishes the cut.
  // Error: fatal; afterwards nothing more may be written.
  [[nodiscard]] virtual Status append(std::span<const raft::LogWrite> writes) = 0;
  // Entries from..to, or the first of them up to bytes_max, at least one. Errors: not_found
  // (truncated or cut meanwhile), corrupt.
  [[nodiscard]] virtual Result<std::vector<raft::Entry>> read(Index from, Index to,
                                                              std::size_t bytes_max) = 0;
  // Notes durably how far the log is known to be synced (`through`). Called when writes pause, and
  // every 50 ms while they happen.
  [[nodiscard]] virtual Status checkpoint() = 0;
  // The core has repaired what was lost (raft::PromiseRepaired): says so durably. Log worker.
  [[nodiscard]] virtual Status promise_repaired() = 0;

  // The log begins with `first` from now on, durably: at most one behind its end; where it begins
  // there or further behind already, nothing is done. `prev_term` is of the entry before. Log
  // worker. Error: fatal.
  [[nodiscard]] virtual Status cut_before(Index first, Term prev_term) = 0;
  // Before a cut and after it, from the upkeep worker at the same time as all else: makes room on
  // the disk of what was cut. Slow, and nobody waits for it; a crash leaves it to the next cut.
  // Errors: corrupt, fatal.
  [[nodiscard]] virtual Status prepare_cut() = 0;
  [[nodiscard]] virtual Status free_cut() = 0;
};

}  // namespace raftkv::replica
