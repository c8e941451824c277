#include "src/app/thread_worker.h"

#include <pthread.h>

#include <utility>

#include "src/base/check.h"

namespace raftkv::app {

ThreadWorker::ThreadWorker(Loop& loop, std::string name) : loop_(loop) {
  thread_ = std::thread([this] { work(); });
  ::pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
}

ThreadWorker::~ThreadWorker() {
  stop();
}

void ThreadWorker::run(replica::Job job, replica::Done done) {
  bool was_empty = false;
  {
    const std::lock_guard lock(mutex_);
    CHECK(!stopping_);
    was_empty = queue_.empty();
    queue_.push_back({std::move(job), std::move(done)});
    unfinished_.fetch_add(1, std::memory_order_relaxed);
  }
  if (was_empty) wake_.notify_one();
}

// What the thread has done is seen here: the count's release and acquire.
void ThreadWorker::run_short(replica::Job job, replica::Done done) {
  if (unfinished_.load(std::memory_order_acquire) > 0) return run(std::move(job), std::move(done));
  Status status = job();
  loop_.report(std::move(done), std::move(status));
}

void ThreadWorker::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void ThreadWorker::work() {
  std::vector<Task> taken;
  BusyPoll<> busy_poll(loop_.busy_poll_limit());
  for (;;) {
    const bool given =
        busy_poll([this] { return unfinished_.load(std::memory_order_relaxed) > 0; });
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      std::swap(taken, queue_);
    }
    if (!given) busy_poll.slept();
    for (Task& task : taken) {
      Status status = task.job();
      loop_.report(std::move(task.done), std::move(status));
      unfinished_.fetch_sub(1, std::memory_order_release);  // behind the report: Dones keep order
    }
    taken.clear();
  }
}

}  // namespace raftkv::app
