// The workers of a simulated process: jobs that take virtual time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "sim/kernel.h"
#include "src/base/ring.h"
#include "src/replica/ports.h"

namespace raftkv::sim {

class Node;

enum class WorkerKind : std::uint8_t { log, apply, read, upkeep };
inline constexpr std::size_t kWorkers = 4;

// Runs jobs one at a time at virtual times. A job's operations happen at one instant (job_run), its
// completion is posted at a later one (job_done): a crash strikes before, between any two
// operations, or after them.
class SimWorker final : public replica::Worker {
 public:
  SimWorker(Kernel& kernel, Node& node, WorkerKind kind)
      : kernel_(kernel), node_(node), kind_(kind) {}

  void run(replica::Job job, replica::Done done) override;
  // False: the Host has heard nothing of it yet; its end comes later (job_done).
  [[nodiscard]] bool on_run();
  void on_done();
  // The disk is no longer stalled.
  void go_on() { begin(); }
  // A job has begun and its operations have not happened.
  [[nodiscard]] bool under_way() const { return state_ == State::begun; }
  // Runs the operations of the job that is under way; nobody hears of it.
  void run_unheard() { (void)jobs_.front().first(); }

 private:
  enum class State : std::uint8_t { idle, begun, ran };
  void begin();
  void push(EventKind kind, Duration delay);

  Kernel& kernel_;
  Node& node_;
  WorkerKind kind_;
  State state_ = State::idle;
  Ring<std::pair<replica::Job, replica::Done>> jobs_;
  Status result_;
};

}  // namespace raftkv::sim
