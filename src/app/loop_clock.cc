#include "src/app/loop_clock.h"

namespace raftkv::app {

Time LoopClock::now() {
  return Time(
      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

void LoopClock::wake_at(Time time) {
  wanted_ = time;
  if (time < armed_) arm(time);
}

void LoopClock::arm(Time time) {
  armed_ = time;
  timer_.expires_at(std::chrono::steady_clock::time_point(time.time_since_epoch()));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) on_timer();
  });
}

void LoopClock::on_timer() {
  armed_ = kNever;
  if (wanted_ == kNever) return;
  if (now() < wanted_) return arm(wanted_);
  wanted_ = kNever;
  expire_();
}

}  // namespace raftkv::app
