#include "sim/simulate.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "linearizability/check.h"
#include "linearizability/model.h"
#include "sim/history.h"
#include "sim/world.h"
#include "src/base/check.h"
#include "src/base/checksum.h"

namespace raftkv::sim {
namespace {

Statistics statistics_of(const World& world) {
  const Kernel& kernel = world.kernel();
  Statistics statistics;
  statistics.events = world.events();
  statistics.simulated = kernel.now;
  statistics.lively = world.lively() ? 1 : 0;
  statistics.committed = kernel.ghost.committed.size();
  statistics.rot = kernel.rot;
  statistics.leaders = kernel.ghost.leaders.size();
  statistics.marks = kernel.marks;
  for (const Operation& operation : kernel.client_checks.operations()) {
    ++statistics.operations;
    if (operation.outcome == Outcome::ok) ++statistics.operations_ok;
    if (operation.outcome == Outcome::info) ++statistics.operations_unknown;
  }
  return statistics;
}

// Where the committed log has a write whose end no client knows. Values are unique, so it can be
// told of writes, if not of deletions; of one that stands there twice it is not.
std::optional<std::uint64_t> find_in_log(const Ghost& ghost, const Operation& operation) {
  if (operation.action->verb != Verb::put) return std::nullopt;
  const auto& [key, value] = operation.action->pairs.front();
  const auto history = ghost.keys.find(key);
  if (history == ghost.keys.end()) return 0;
  std::uint64_t found = 0;
  for (const Version& version : history->second.versions) {
    if (version.value != checksum64(value)) continue;
    if (found > 0) return std::nullopt;
    found = version.index.value;
  }
  return found;
}

linearizability::Report judge(const linearizability::History& history, std::uint64_t steps_max) {
  linearizability::Options options;
  options.model = linearizability::find_model("kv");
  options.want_witness = false;
  options.keep_going = [steps_max](const linearizability::Progress& progress) {
    return progress.steps < steps_max;
  };
  auto verdict = linearizability::check(history, options);
  CHECK(verdict.has_value(), "the model knows every operation of a client");
  return *std::move(verdict);
}

// The whole history at the end: the incremental checks know the committed log, this knows only what
// clients saw. Only where that is too hard to judge within the bound is the log asked what became
// of writes of unknown end: linearizable with that is linearizable without. What is still
// undecided then is no pass.
std::optional<Violation> judge_history(const World& world, std::uint64_t steps_max) {
  using linearizability::Verdict;
  const auto& operations = world.kernel().client_checks.operations();
  const linearizability::History history = to_history(operations);
  const auto verdict = judge(history, steps_max);
  if (verdict.verdict == Verdict::linearizable) return std::nullopt;
  if (verdict.verdict == Verdict::unknown) {
    const auto told = to_told_history(operations, [&](const Operation& operation) {
      return find_in_log(world.kernel().ghost, operation);
    });
    if (judge(told, steps_max).verdict == Verdict::linearizable) return std::nullopt;
    return Violation{
        std::string(kUndecided),
        fmt::format("lincheck's verdict on the history is unknown after {} steps", verdict.steps)};
  }
  std::string what = "the history is not linearizable:";
  for (const linearizability::OperationId id : verdict.core.operations)
    what += " [" + history.print(id) + "]";
  return Violation{"I13", what};
}

Failure without_report(const World& world, const Violation& violation) {
  Failure failure;
  failure.violation = violation;
  failure.at = world.kernel().now;
  return failure;
}

// The run once more, with its trace: equal options give an equal run.
Failure tell(const Options& options, const std::optional<Violation>& found_behind) {
  std::deque<std::string> lines;
  World world(options, [&](std::string_view line) {
    lines.emplace_back(line);
    if (lines.size() > kLinesBeforeFailure) lines.pop_front();
  });
  world.run();
  Failure failure;
  const auto& violation = found_behind ? found_behind : world.kernel().verdict.violation();
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
  World world(options, how.trace, how.watcher);
  world.run();
  const Kernel& kernel = world.kernel();
  result.trace_hash = kernel.trace.hash();
  result.statistics = statistics_of(world);
  if (how.keep_history) result.history = to_json_lines(kernel.client_checks.operations());
  if (kernel.verdict.failed()) {
    const Violation& first = *kernel.verdict.violation();
    result.failure = how.retell ? tell(options, std::nullopt) : without_report(world, first);
    // Not the same violation again: the run is not deterministic, and that is the worse news.
    if (result.failure->violation.what != first.what) {
      result.failure->violation = {
          "Determinism", "a second run of the same options does not violate " + first.invariant +
                             ": " + first.what};
    }
  } else if (how.check_history) {
    const auto violation = judge_history(world, how.history_steps_max);
    if (violation)
      result.failure = how.retell ? tell(options, violation) : without_report(world, *violation);
    result.statistics.undecided = violation && violation->invariant == kUndecided ? 1 : 0;
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
