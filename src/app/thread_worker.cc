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
  }
  if (was_empty) wake_.notify_one();
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
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      std::swap(taken, queue_);
    }
    for (Task& task : taken) {
      Status status = task.job();
      loop_.report(std::move(task.done), std::move(status));
    }
    taken.clear();
  }
}

}  // namespace raftkv::app
