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
  {
    const std::lock_guard lock(mutex_);
    CHECK(!stopping_);
    queue_.push_back({std::move(job), std::move(done)});
    unfinished_.fetch_add(1, std::memory_order_relaxed);
  }
  news_.fetch_add(1);
  news_.notify_one();
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
  news_.fetch_add(1);
  news_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void ThreadWorker::work() {
  std::vector<Task> taken;
  BusyPoll<> busy_poll(loop_.busy_poll_limit());
  for (;;) {
    const std::uint32_t seen = news_.load();
    bool stopping = false;
    {
      const std::lock_guard lock(mutex_);
      std::swap(taken, queue_);
      stopping = stopping_;
    }
    for (Task& task : taken) {
      Status status = task.job();
      loop_.report(std::move(task.done), std::move(status));
      unfinished_.fetch_sub(1, std::memory_order_release);  // behind the report: Dones keep order
    }
    if (!taken.empty()) {
      taken.clear();
    } else if (stopping) {
      return;
    } else if (!busy_poll([&] { return news_.load(std::memory_order_relaxed) != seen; })) {
      news_.wait(seen);
      busy_poll.slept();
    }
  }
}

}  // namespace raftkv::app
