// Busy polling: a thread that has nothing to do looks again and again for a moment before it
// sleeps (docs/decisions/0008-threads-look-before-they-sleep.md). The next message of a peer or
// report of a disk is often nearer than the time that the system takes to wake a thread.
#pragma once

#include <sched.h>

#include <chrono>

#include "src/base/time.h"

namespace raftkv::app {

// Of one thread. `Clock` is a standard clock.
template <typename Clock = std::chrono::steady_clock>
class BusyPoll {
 public:
  // `limit`: for how long to look; 0: never.
  explicit BusyPoll(Duration limit) : limit_(limit) {}

  // Before the thread sleeps: true as soon as `ready()` is, false if it is to sleep. Between two
  // looks whoever else can run on this core does. An idle thread does not look at all: only after
  // a wait that ended within the limit is the next one likely to.
  template <typename Ready>
  [[nodiscard]] bool operator()(Ready ready) {
    if (limit_ == Duration(0)) return false;
    began_ = Clock::now();
    if (!short_waits_) return false;
    do {
      ::sched_yield();
      if (ready()) return true;
    } while (waited() < limit_);
    return false;
  }

  // After it has slept, and has been woken by what it waited for.
  void slept() {
    if (limit_ != Duration(0)) short_waits_ = waited() < limit_;
  }

 private:
  [[nodiscard]] Duration waited() const { return Clock::now() - began_; }

  Duration limit_;
  typename Clock::time_point began_;
  bool short_waits_ = false;
};

}  // namespace raftkv::app
