// SnapshotIntake: the snapshot that this node receives, written by the apply worker chunk by chunk
// into a state of its own. Complete, it waits for the log write that installs it, and then becomes
// the state before anything that follows it is applied.
#pragma once

#include <functional>
#include <variant>

#include "src/base/result.h"
#include "src/base/ring.h"
#include "src/raft/effects.h"
#include "src/replica/ports.h"
#include "src/replica/state_store.h"

namespace raftkv::replica {

class SnapshotIntake {
 public:
  struct Received {
    raft::StreamId stream;
    std::uint64_t chunk = 0;
    std::size_t bytes = 0;
    raft::SnapshotReceipt receipt = raft::SnapshotReceipt::failed;
  };
  // What came of a chunk, on the loop. `failed`: `status` says why; it ends the stream, but is
  // nothing to stop for unless it is fatal.
  using OnReceived = std::move_only_function<void(const Status&, const Received&)>;
  // It is the state now. Errors: see StateStore::adopt.
  using OnAdopted = std::move_only_function<void(const Result<StateMeta>&)>;

  // The references must outlive this, and this the worker's jobs.
  SnapshotIntake(StateStore& store, Worker& worker, OnReceived on_received, OnAdopted on_adopted)
      : store_(store),
        worker_(worker),
        on_received_(std::move(on_received)),
        on_adopted_(std::move(on_adopted)) {}

  void push(raft::SnapshotReceive receive) { queue_.push_back(std::move(receive)); }
  void push(const raft::SnapshotDiscard& discard) { queue_.push_back(discard); }
  // A log write names the complete snapshot: nothing is received until it has been adopted.
  void hold();
  // That write is durable. The worker does it before whatever it is given from now on.
  void adopt();
  // Starts the next piece of work if none is under way.
  void start();

  [[nodiscard]] bool holds() const { return held_; }

 private:
  using Work = std::variant<raft::SnapshotReceive, raft::SnapshotDiscard>;
  [[nodiscard]] Status work(const raft::SnapshotReceive& receive);
  [[nodiscard]] Status work(const raft::SnapshotDiscard& discard);
  void finished(const Status& status);

  StateStore& store_;
  Worker& worker_;
  OnReceived on_received_;
  OnAdopted on_adopted_;
  Ring<Work> queue_;
  bool held_ = false;

  // The job's while busy_.
  bool busy_ = false;
  Work current_;
  Result<StateMeta> adopted_;
};

}  // namespace raftkv::replica
