#include "src/app/loop.h"

#include <boost/asio/post.hpp>

namespace raftkv::app {

void Loop::attach(std::move_only_function<void()> turn, std::move_only_function<void()> peers) {
  turn_ = std::move(turn);
  peers_ = std::move(peers);
}

void Loop::report(replica::Done done, Status status) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    first = reports_.empty();
    reports_.emplace_back(std::move(done), std::move(status));
    reported_.store(true, std::memory_order_relaxed);
  }
  // Wakes the loop if it waits for inputs.
  if (first) boost::asio::post(context_, [this] { take_reports(); });
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

void Loop::run() {
  for (;;) {
    take_reports();
    if (urgent_ && turn_asked_) {
      turn();
    } else if (inputs_ >= kInputsPerTurn) {
      inputs_ = 0;
      peers_();
      if (turn_asked_) turn();
    } else if (context_.poll_one() > 0) {
      ++inputs_;
    } else if (turn_asked_) {
      turn();
    } else if (busy_poll_([this] { return context_.poll_one() > 0; })) {
      ++inputs_;
    } else if (context_.run_one() > 0) {
      busy_poll_.slept();
      ++inputs_;
    } else {
      return;
    }
  }
}

}  // namespace raftkv::app
