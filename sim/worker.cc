#include "sim/worker.h"

#include <algorithm>

#include "sim/node.h"
#include "src/base/check.h"

namespace raftkv::sim {

void SimWorker::run(replica::Job job, replica::Done done) {
  jobs_.push_back({std::move(job), std::move(done)});
  begin();
}

void SimWorker::push(EventKind kind, Duration delay) {
  kernel_.queue.push({.at = kernel_.now + delay,
                      .payload = static_cast<std::uint32_t>(kind_),
                      .epoch = node_.epoch(),
                      .kind = kind,
                      .node = node_.endpoint()});
}

void SimWorker::begin() {
  if (state_ != State::idle || jobs_.empty()) return;
  const Options& options = kernel_.options;
  if (kind_ != WorkerKind::log) {
    state_ = State::begun;
    return push(EventKind::job_run, kernel_.disks.between(options.work_min, options.work_max));
  }
  const std::uint64_t factor = node_.disk_factor();
  if (factor == 0) return;  // stalled; go_on() comes later
  state_ = State::begun;
  push(EventKind::job_run, kernel_.disks.between(options.sync_min, options.sync_max) *
                               static_cast<std::int64_t>(factor));
}

bool SimWorker::on_run() {
  CHECK(state_ == State::begun);
  result_ = jobs_.front().first();
  state_ = State::ran;
  node_.storage().job_ran();
  // What the log and the apply worker have done takes a moment to reach the loop: a crash may find
  // it durable and unsaid, a read may see more than was reported.
  if (kind_ != WorkerKind::log && kind_ != WorkerKind::apply) {
    // Power was lost within it: nobody hears of its end.
    if (!node_.storage().frozen()) on_done();
    return true;
  }
  const Duration heard_max = std::min(kernel_.options.work_max, kernel_.options.sync_max);
  push(EventKind::job_done, kernel_.disks.between(Duration(0), heard_max));
  return false;
}

void SimWorker::on_done() {
  CHECK(state_ == State::ran);
  replica::Done done = std::move(jobs_.front().second);
  jobs_.pop_front();
  state_ = State::idle;
  done(std::move(result_));
  begin();
}

}  // namespace raftkv::sim
