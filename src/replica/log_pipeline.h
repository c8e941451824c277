// LogPipeline: log writes on their way to the disk. Group commit: while one job is under way all
// further writes queue and become one job, with one sync. Also notes how far the log is synced
// (LogStore::checkpoint), at latest an interval after the first write that is not yet noted. Cuts
// of the log's beginning go the same way.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "src/base/result.h"
#include "src/base/ring.h"
#include "src/base/time.h"
#include "src/raft/effects.h"
#include "src/replica/ports.h"

namespace raftkv::replica {

class LogPipeline {
 public:
  struct Limits {
    std::size_t batch_bytes_max = 0;
    Duration checkpoint_interval{};
  };
  // A job has ended: everything through `last` is durable (0: it was a checkpoint only). An error:
  // see LogStore.
  using OnDone = std::move_only_function<void(const Status&, raft::WriteId last)>;

  // The references must outlive this, and this the worker's jobs.
  LogPipeline(LogStore& store, Worker& worker, Clock& clock, Limits limits, OnDone on_done)
      : store_(store),
        worker_(worker),
        clock_(clock),
        limits_(limits),
        on_done_(std::move(on_done)) {}

  void push(raft::LogWrite write);
  // Behind the writes that were pushed before.
  void cut(const raft::LogCut& cut) { cut_ = cut; }
  void promise_repaired() { repaired_ = true; }
  // Starts the next job if none is under way and there is something to do.
  void start(Time now);
  // For a clean stop: forgets what has not been started (nothing of it was promised to anybody) and
  // does one more checkpoint.
  void finish();

  [[nodiscard]] bool idle() const { return !busy_ && queue_.empty() && !finishing_; }
  // A cut has not been done yet.
  [[nodiscard]] bool cutting() const { return cut_.has_value() || job_cut_.has_value(); }
  // When start() wants to be called for the sake of a checkpoint.
  [[nodiscard]] Time next_deadline() const;

 private:
  void take_batch();
  [[nodiscard]] bool checkpoint_due(Time now) const;
  [[nodiscard]] Status work();
  void finished(const Status& status);

  LogStore& store_;
  Worker& worker_;
  Clock& clock_;
  Limits limits_;
  OnDone on_done_;
  Ring<raft::LogWrite> queue_;
  std::optional<raft::LogCut> cut_;
  bool repaired_ = false;
  bool finishing_ = false;
  Time unnoted_since_ = kNever;  // the first write that no checkpoint covers became durable then

  // The job's while busy_.
  bool busy_ = false;
  std::vector<raft::LogWrite> batch_;
  std::optional<raft::LogCut> job_cut_;
  bool job_repaired_ = false;
  bool checkpoint_ = false;
};

}  // namespace raftkv::replica
