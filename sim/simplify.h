// The single steps by which a failing run becomes simpler (sim/shrink.h): each is a candidate, and
// may not fail any more.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "sim/options.h"
#include "sim/schedule.h"

namespace raftkv::sim {

// Without the node of this number, from 1 on: those behind it move up, and what was about it goes.
// False: it is the only voter.
bool drop_node(Options& options, std::uint64_t number);

// What an action may be instead, the simplest first.
[[nodiscard]] std::vector<Action> simpler(const Action& action);

// A value for an option that makes fewer operations and faults do.
struct Strong {
  std::string_view name;
  std::uint64_t value;
};
// What a condition that is needed may become.
[[nodiscard]] std::span<const Strong> strong_conditions();
// False: it is as strong, or is the default and not needed.
bool strengthen(Options& options, const Strong& strong);

// Disks and messages so slow that what has to happen meanwhile happens: else it may take dozens of
// tries to hit the moment.
struct Slow {
  Duration Options::* min;
  Duration Options::* max;
  Duration least;
  Duration most;
};
[[nodiscard]] std::span<const Slow> slow_times();
// False: they are as slow.
bool slow_down(Options& options, const Slow& slow);

// Limits that one operation fills: what has to reach one takes as many operations as it is large.
[[nodiscard]] std::span<const Strong> smallest_limits();
// Whatever it was before. False: it is that.
bool set(Options& options, const Strong& strong);

}  // namespace raftkv::sim
