// From a failing run to a schedule that a person understands: faults, operations, nodes and options
// are dropped, times and names simplified, as long as the same invariant fails.
//
// A drawn run is full of luck: which frame was lost, who campaigned first. Whatever is dropped
// shifts the draws, and a failure that needs luck would seem to need everything. So a candidate is
// tried with a few seeds, and the one that fails is kept: the luck that is left stands in the seed.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "sim/event_queue.h"
#include "sim/options.h"
#include "sim/watcher.h"

namespace raftkv::sim {

// What came of a run, as far as shrinking goes.
struct Judged {
  std::string invariant;  // that was violated first; empty: none
  Instant at{};           // when; of a clean run its end
  std::uint64_t events = 0;
};

// Runs options; equal ones must give an equal answer. `target` is the invariant that is looked for,
// empty for any: the history is judged as a whole only where that found the first violation.
using Judge = std::function<Judged(const Options& options, std::string_view target)>;

// Runs them in this process: a CHECK that fails in the code under test ends it.
[[nodiscard]] Judged judge(const Options& options, std::string_view target,
                           Watcher* watcher = nullptr);

struct ShrinkProgress {
  std::uint64_t runs = 0;
  const Options& best;
};

struct ShrinkOptions {
  Judge judge = [](const Options& options, std::string_view target) {
    return sim::judge(options, target);
  };
  // At most so many runs: the same input gives the same result.
  std::uint64_t runs_max = 20'000;
  // Asked before each run; false: the best so far is the result.
  std::function<bool(const ShrinkProgress&)> keep_going = {};
};

struct Shrunk {
  Options options;
  std::string invariant;
  std::uint64_t runs = 0;
  bool finished = false;  // nothing more can be dropped; else a bound was reached
};

// nullopt: the run violates nothing.
[[nodiscard]] std::optional<Shrunk> shrink(const Options& options, const ShrinkOptions& how = {});

// How much there is to read in a schedule.
struct ScheduleSize {
  std::uint64_t faults = 0;      // everything but operations
  std::uint64_t operations = 0;  // put, get, del
};
[[nodiscard]] ScheduleSize size_of(const Schedule& schedule);

}  // namespace raftkv::sim
