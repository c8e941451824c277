// One run: options in, verdict out. Everything else in this folder serves this function.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/client_checks.h"
#include "sim/invariants.h"
#include "sim/kernel.h"
#include "sim/options.h"
#include "sim/trace.h"
#include "sim/watcher.h"
#include "src/base/marks.h"

namespace raftkv::sim {

// How many lines of the trace a failure shows.
inline constexpr std::size_t kLinesBeforeFailure = 40;

struct Failure {
  Violation violation;
  Instant at{};
  std::string event;  // the line of the trace during which it happened, or the last before it
  std::string state;  // every node in a line
  std::vector<std::string> lines;  // the last of the trace
};

// The name, among those of the invariants, of a history that is neither known to be linearizable
// nor known not to be.
inline constexpr std::string_view kUndecided = "Undecided";

struct Statistics {
  std::uint64_t events = 0;
  Duration simulated{};
  std::uint64_t committed = 0;  // entries
  std::uint64_t leaders = 0;    // terms that had one
  std::uint64_t lively = 0;     // 1: the second phase took place
  std::uint64_t undecided = 0;  // 1: the history was too hard to judge as a whole
  std::uint64_t operations = 0;
  std::uint64_t operations_ok = 0;
  std::uint64_t operations_unknown = 0;
  RotCounts rot;
  MarkSet marks;  // that the run came to
};

struct SimulateOptions {
  Watcher* watcher = nullptr;  // may be nobody
  Trace::Sink trace;           // a line an event
  bool check_history = true;   // judge the whole history with linearizability/
  // Most take a thousandth of it; an end state `unknown` is a failure, named kUndecided.
  std::uint64_t history_steps_max = 10'000'000;
  bool keep_history = false;  // Run::history
  bool retell = true;  // run a failure once more for its report; else it says what failed only
};

struct Run {
  std::optional<Failure> failure;
  std::uint64_t trace_hash = 0;
  Statistics statistics;
  std::string history;  // JSON lines, if asked for

  [[nodiscard]] bool linearizable() const { return !failure; }
};

// Runs it. A violated invariant ends the run; then it is run once more with its trace, for the
// report.
[[nodiscard]] Run simulate(const Options& options, const SimulateOptions& how = {});

// The report of a failure, for people; `reproduce` is the command that runs it again.
[[nodiscard]] std::string report(const Failure& failure, std::string_view reproduce);

}  // namespace raftkv::sim
