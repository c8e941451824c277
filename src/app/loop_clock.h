// The Clock port: the machine's steady clock, one timer of Asio, and the Loop's turns.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <functional>

#include "src/app/loop.h"
#include "src/replica/ports.h"

namespace raftkv::app {

class LoopClock final : public replica::Clock {
 public:
  explicit LoopClock(Loop& loop) : loop_(loop), timer_(loop.context()) {}

  // What to call; before any other function. It outlives the loop's last run.
  void attach(std::move_only_function<void()> expire) { expire_ = std::move(expire); }

  [[nodiscard]] Time now() override;
  void wake_at(Time time) override;
  void turn_soon() override { loop_.turn_soon(); }

 private:
  void arm(Time time);
  void on_timer();

  Loop& loop_;
  boost::asio::steady_timer timer_;
  std::move_only_function<void()> expire_;
  Time wanted_ = kNever;
  Time armed_ =
      kNever;  // at or before `wanted_`: deadlines mostly move away, and that costs no system call
};

}  // namespace raftkv::app
