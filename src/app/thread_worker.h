// The Worker port: one thread that runs jobs in order and reports what came of them to the loop.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "src/app/loop.h"
#include "src/replica/ports.h"

namespace raftkv::app {

class ThreadWorker final : public replica::Worker {
 public:
  // `name`: of the thread, at most 15 characters, as top and perf show it. `loop` must outlive it.
  ThreadWorker(Loop& loop, std::string name);
  // Runs what was given before, then ends.
  ~ThreadWorker() override;
  ThreadWorker(const ThreadWorker&) = delete;
  ThreadWorker& operator=(const ThreadWorker&) = delete;

  void run(replica::Job job, replica::Done done) override;
  // On the loop only.
  void run_short(replica::Job job, replica::Done done) override;
  // Runs what was given before, then ends the thread; nothing may be given any more.
  void stop();

 private:
  struct Task {
    replica::Job job;
    replica::Done done;
  };
  void work();

  Loop& loop_;
  std::mutex mutex_;  // of the next two lines
  std::vector<Task> queue_;
  bool stopping_ = false;
  std::atomic<std::uint32_t> news_ = 0;      // changes when they do; what an idle thread waits for
  std::atomic<std::size_t> unfinished_ = 0;  // jobs that were given and not reported
  std::thread thread_;
};

}  // namespace raftkv::app
