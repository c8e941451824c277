// Time points and durations. No clock stands behind them: time is an argument, handed in by a Clock
// port.
#pragma once

#include <chrono>

namespace raftkv {

using Duration = std::chrono::nanoseconds;

// The tag of a node's monotonic time line. It has no now(): only a Clock (src/replica/ports.h)
// does.
struct MonotonicTimeline {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  using time_point = std::chrono::time_point<MonotonicTimeline>;
  static constexpr bool is_steady = true;
};

// A point on one node's monotonic time line. Those of two nodes cannot be compared.
using Time = MonotonicTimeline::time_point;

inline constexpr Time kNever = Time::max();

using namespace std::chrono_literals;  // NOLINT: 500ms reads better than any helper

}  // namespace raftkv
