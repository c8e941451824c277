#include "sim/simulate.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "sim/history.h"
#include "sim/world.h"

namespace raftkv::sim {
namespace {

Statistics statistics_of(const World& world) {
  const Kernel& kernel = world.kernel();
  Statistics statistics;
  statistics.events = world.events();
  statistics.simulated = kernel.now;
  statistics.lively = world.lively() ? 1 : 0;
  statistics.committed = kernel.ghost.committed.size();
  statistics.leaders = kernel.ghost.leaders.size();
  for (const Operation& operation : kernel.client_checks.operations()) {
    ++statistics.operations;
    if (operation.outcome == Outcome::ok) ++statistics.operations_ok;
    if (operation.outcome == Outcome::info) ++statistics.operations_unknown;
  }
  return statistics;
}

// The run once more, with its trace: equal options give an equal run.
Failure tell(const Options& options) {
  std::deque<std::string> lines;
  World world(options, [&](std::string_view line) {
    lines.emplace_back(line);
    if (lines.size() > kLinesBeforeFailure) lines.pop_front();
  });
  world.run();
  Failure failure;
  const auto& violation = world.kernel().verdict.violation();
  if (violation) failure.violation = *violation;
  failure.at = world.kernel().now;
  if (!lines.empty()) failure.event = lines.back();
  failure.state = world.state();
  failure.lines.assign(lines.begin(), lines.end());
  return failure;
}

}  // namespace

Run simulate(const Options& options, const SimulateOptions& how) {
  Run result;
  World world(options, how.trace);
  world.run();
  const Kernel& kernel = world.kernel();
  result.trace_hash = kernel.trace.hash();
  result.statistics = statistics_of(world);
  if (how.keep_history) result.history = to_json_lines(kernel.client_checks.operations());
  if (kernel.verdict.failed()) {
    result.failure = tell(options);
    // Not the same violation again: the run is not deterministic, and that is the worse news.
    const Violation& first = *kernel.verdict.violation();
    if (result.failure->violation.what != first.what) {
      result.failure->violation = {
          "Determinism", "a second run of the same options does not violate " + first.invariant +
                             ": " + first.what};
    }
  }
  return result;
}

std::string report(const Failure& failure, std::string_view reproduce) {
  std::string text = "the last of the trace:\n";
  for (const std::string& line : failure.lines) text += "  " + line + "\n";
  text +=
      fmt::format("state at {}:\n{}",
                  print(std::chrono::floor<std::chrono::microseconds>(failure.at)), failure.state);
  text += fmt::format("event: {}\n", failure.event);
  text += fmt::format("violated: {}: {}\n", failure.violation.invariant, failure.violation.what);
  text += fmt::format("reproduce: {}\n", reproduce);
  return text;
}

}  // namespace raftkv::sim
