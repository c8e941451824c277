#include "src/app/loop.h"

#include <boost/asio/post.hpp>

namespace raftkv::app {

void Loop::attach(std::move_only_function<void()> turn, std::move_only_function<void()> peers) {
  turn_ = std::move(turn);
  peers_ = std::move(peers);
}

// A loop that is awake comes to it by itself: no system call, and nothing of Asio's to wait for.
void Loop::report(replica::Done done, Status status) {
  {
    const std::lock_guard lock(mutex_);
    reports_.emplace_back(std::move(done), std::move(status));
    reported_.store(true);
  }
  if (sleeping_.exchange(false)) boost::asio::post(context_, [] {});
}

void Loop::take_reports() {
  if (!reported_.load(std::memory_order_relaxed)) return;
  {
    const std::lock_guard lock(mutex_);
    std::swap(reports_, taking_);
    reported_.store(false, std::memory_order_relaxed);
  }
  for (auto& [done, status] : taking_) done(std::move(status));
  taking_.clear();
  urgent_ = true;
}

void Loop::turn() {
  turn_asked_ = urgent_ = false;
  inputs_ = 0;
  turn_();
}

bool Loop::take_input() {
  if (context_.poll_one() == 0) return false;
  ++inputs_;
  return true;
}

bool Loop::sleep() {
  sleeping_.store(true);
  const bool reported = reported_.load();
  const bool ran = !reported && context_.run_one() > 0;
  sleeping_.store(false);
  inputs_ += ran ? 1 : 0;
  return reported || ran;
}

void Loop::run() {
  for (;;) {
    take_reports();
    if (urgent_ && turn_asked_) {
      turn();
    } else if (inputs_ >= kInputsPerTurn) {
      inputs_ = 0;
      peers_();
      if (turn_asked_) turn();
    } else if (take_input()) {
      continue;
    } else if (turn_asked_) {
      turn();
    } else if (!busy_poll_(
                   [this] { return reported_.load(std::memory_order_relaxed) || take_input(); })) {
      if (!sleep()) return;
      busy_poll_.slept();
    }
  }
}

}  // namespace raftkv::app
