// ApplyPipeline: committed entries on their way into the state, in batches by the apply worker.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
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
    std::size_t sync_bytes = 0;  // applied since the last sync: then the state is synced
  };
  // These entries are applied (none: it was a sync only), with these results; the state is durable
  // through `synced`, if this job has synced it. An error: see StateStore.
  using OnDone = std::move_only_function<void(const Status&, std::span<const raft::Entry>,
                                              ApplyResult&, std::optional<raft::Index> synced)>;

  // The references must outlive this, and this the worker's jobs.
  ApplyPipeline(StateStore& store, Worker& worker, Limits limits, OnDone on_done)
      : store_(store), worker_(worker), limits_(limits), on_done_(std::move(on_done)) {}

  void push(std::span<const raft::Entry> entries);
  // Starts the next batch if none is under way.
  void start();
  // For a clean stop: forgets what has not been started (the log has it) and syncs the state.
  void finish();

  [[nodiscard]] bool idle() const { return !busy_ && queue_.empty() && !finishing_; }

 private:
  void take_batch();
  [[nodiscard]] Status work();
  void finished(const Status& status);

  StateStore& store_;
  Worker& worker_;
  Limits limits_;
  OnDone on_done_;
  Ring<raft::Entry> queue_;
  bool finishing_ = false;
  std::size_t unsynced_bytes_ = 0;

  // The job's while busy_.
  bool busy_ = false;
  std::vector<raft::Entry> batch_;
  ApplyResult result_;
  std::optional<raft::Index> synced_;
  bool sync_ = false;
};

}  // namespace raftkv::replica
