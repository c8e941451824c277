// LogFetches: entries for slow peers that are no longer in memory, read back by the read worker,
// one range at a time, so that values and heartbeats do not wait behind a long row of them.
#pragma once

#include <functional>
#include <vector>

#include "src/base/result.h"
#include "src/base/ring.h"
#include "src/raft/effects.h"
#include "src/replica/ports.h"

namespace raftkv::replica {

class LogFetches {
 public:
  // The answer to a fetch, on the loop; `entries` is empty if `status` is an error.
  using OnDone = std::move_only_function<void(const Status& status, const raft::LogFetch&,
                                              std::vector<raft::Entry> entries)>;

  // The references must outlive this, and this the worker's jobs.
  LogFetches(LogStore& store, Worker& worker, OnDone on_done)
      : store_(store), worker_(worker), on_done_(std::move(on_done)) {}

  void push(const raft::LogFetch& fetch) { queue_.push_back(fetch); }
  void start();

 private:
  [[nodiscard]] Status work();
  void finished(const Status& status);

  LogStore& store_;
  Worker& worker_;
  OnDone on_done_;
  Ring<raft::LogFetch> queue_;

  // The job's while busy_.
  bool busy_ = false;
  raft::LogFetch current_;
  std::vector<raft::Entry> entries_;
};

}  // namespace raftkv::replica
