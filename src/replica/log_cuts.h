// LogCuts: how the log loses its beginning. The upkeep worker prepares a cut, the log worker does
// it (LogPipeline::cut: one small write), and the upkeep worker gives the room back.
#pragma once

#include <functional>
#include <optional>

#include "src/base/result.h"
#include "src/raft/effects.h"
#include "src/replica/log_pipeline.h"
#include "src/replica/ports.h"

namespace raftkv::replica {

class LogCuts {
 public:
  using OnError = std::move_only_function<void(const Error&)>;

  // The references must outlive this, and this the workers' jobs.
  LogCuts(LogStore& store, Worker& worker, LogPipeline& log, OnError on_error)
      : store_(store), worker_(worker), log_(log), on_error_(std::move(on_error)) {}

  // Wanted by the core. A later one takes the place of one that has not begun.
  void push(const raft::LogCut& cut) { wanted_ = cut; }
  // The log has been cut without this: for a snapshot.
  void was_cut() { free_wanted_ = true; }
  void start();

 private:
  void run(Status (LogStore::*work)(), std::move_only_function<void()> then);

  LogStore& store_;
  Worker& worker_;
  LogPipeline& log_;
  OnError on_error_;
  std::optional<raft::LogCut> wanted_;
  bool free_wanted_ = false;
  bool busy_ = false;
};

}  // namespace raftkv::replica
