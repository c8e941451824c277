// A worker whose jobs run when a test says so.
#pragma once

#include <deque>
#include <utility>

#include "src/replica/ports.h"

namespace raftkv::replica {

struct HandWorker final : Worker {
  void run(Job job, Done done) override { jobs.emplace_back(std::move(job), std::move(done)); }
  // Runs the first job; false: there is none.
  bool pump() {
    if (jobs.empty()) return false;
    auto [job, done] = std::move(jobs.front());
    jobs.pop_front();
    done(job());
    return true;
  }
  std::deque<std::pair<Job, Done>> jobs;
};

}  // namespace raftkv::replica
