// ApplyPipeline: committed entries on their way into the state, in batches by the apply worker, and
// the state on its way to the disk now and then, by the upkeep worker.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "src/base/result.h"
#include "src/base/ring.h"
#include "src/raft/entry.h"
#include "src/replica/ports.h"
#include "src/replica/state_store.h"

namespace raftkv::replica {

class ApplyPipeline {
 public:
  struct Limits {
    std::size_t batch_bytes_max = 0;
    // Applied since the last sync, or so long after: then the state is synced, or when it wants it.
    std::size_t sync_bytes = 0;
    Duration sync_interval{};
  };
  // These entries are applied, with these results. An error: see StateStore.
  using OnDone =
      std::move_only_function<void(const Status&, std::span<const raft::Entry>, ApplyResult&)>;
  // The state is durable through this index. An error: see StateStore.
  using OnSynced = std::move_only_function<void(const Status&, raft::Index through)>;

  // The references must outlive this, and this the workers' jobs.
  ApplyPipeline(StateStore& store, Worker& worker, Worker& upkeep, Limits limits, OnDone on_done,
                OnSynced on_synced)
      : store_(store),
        worker_(worker),
        upkeep_(upkeep),
        limits_(limits),
        on_done_(std::move(on_done)),
        on_synced_(std::move(on_synced)) {}

  void push(std::span<const raft::Entry> entries);
  // Starts the next batch if none is under way, and a sync if it is time for one.
  void start(Time now);
  // When start() should be called again, whatever happens. kNever: not by itself.
  [[nodiscard]] Time next_deadline() const;
  // For a clean stop: forgets what has not been started (the log has it) and syncs the state.
  void finish();

  [[nodiscard]] bool idle() const { return !busy_ && queue_.empty() && !finishing_ && !syncing_; }

 private:
  void take_batch();
  void start_batch();
  void start_sync(Time now);
  [[nodiscard]] Status work();
  void finished(const Status& status);

  StateStore& store_;
  Worker& worker_;
  Worker& upkeep_;
  Limits limits_;
  OnDone on_done_;
  OnSynced on_synced_;
  Ring<raft::Entry> queue_;
  bool finishing_ = false;  // a last sync is still to be started
  raft::Index applied_;     // the last one reported
  std::size_t unsynced_bytes_ = 0;
  Time unsynced_since_ = kNever;

  // The job's while busy_.
  bool busy_ = false;
  std::vector<raft::Entry> batch_;
  ApplyResult result_;

  // The sync's while syncing_.
  bool syncing_ = false;
  raft::Index through_;
};

}  // namespace raftkv::replica
