// The Clock port on Asio: the machine's steady clock, one timer, and turns.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>

#include "src/replica/ports.h"

namespace raftkv::app {

class LoopClock final : public replica::Clock {
 public:
  explicit LoopClock(boost::asio::io_context& loop) : loop_(loop), timer_(loop) {}

  // What to call; before any other function. Both outlive the loop's last run.
  void attach(std::move_only_function<void()> expire, std::move_only_function<void()> turn);

  [[nodiscard]] Time now() override;
  void wake_at(Time time) override;
  void turn_soon() override;

 private:
  void arm(Time time);
  void on_timer();

  boost::asio::io_context& loop_;
  boost::asio::steady_timer timer_;
  std::move_only_function<void()> expire_;
  std::move_only_function<void()> turn_;
  Time wanted_ = kNever;
  Time armed_ =
      kNever;  // at or before `wanted_`: deadlines mostly move away, and that costs no system call
  bool turn_posted_ = false;
};

}  // namespace raftkv::app
