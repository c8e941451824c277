#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "sim/cli/file.h"
#include "sim/cli/options.h"
#include "sim/options.h"
#include "sim/simulate.h"
#include "sim/swarm.h"

namespace raftkv::sim::cli {
namespace {

// What the process is running, for the handler below: a CHECK in the code under test ends it by
// SIGABRT.
std::array<char, 512> running{};

void on_abort(int /*signal*/) {
  constexpr std::string_view kStart =
      "violated: CHECK: the code under test stopped itself, see above\nreproduce: ";
  (void)!write(STDERR_FILENO, kStart.data(), kStart.size());
  (void)!write(STDERR_FILENO, running.data(), std::strlen(running.data()));
  (void)!write(STDERR_FILENO, "\n", 1);
  _exit(kExitViolated);
}

// Runs, writes what was asked for, reports; the exit code.
int run_and_report(const Options& options, const std::string& trace, const std::string& history,
                   const std::string& reproduce) {
  note_run(reproduce);
  SimulateOptions how;
  how.keep_history = !history.empty();
  File trace_file;
  if (!trace.empty()) {
    std::FILE* out = stdout;
    if (trace != "-") {
      trace_file.reset(std::fopen(trace.c_str(), "wb"));
      out = trace_file.get();
    }
    if (out == nullptr) {
      fmt::print(stderr, "raftkv-sim: cannot write {}\n", trace);
      return kExitUsage;
    }
    how.trace = [out](std::string_view line) {
      fmt::print(out, "{}\n", line);
      (void)std::fflush(out);  // the last line must be there when a CHECK stops the process
    };
  }
  const Run result = simulate(options, how);
  if (!history.empty() && !write_file(history, result.history)) return kExitUsage;
  const Statistics& counts = result.statistics;
  fmt::print(
      "simulated {} events={} committed={} leaders={} operations={} ok={} unknown={} "
      "trace_hash={:016x}\n",
      print(std::chrono::floor<std::chrono::milliseconds>(counts.simulated)), counts.events,
      counts.committed, counts.leaders, counts.operations, counts.operations_ok,
      counts.operations_unknown, result.trace_hash);
  if (!result.failure) return kExitClean;
  fmt::print("{}", report(*result.failure, reproduce));
  return kExitViolated;
}

}  // namespace

void note_run(const std::string& reproduce) {
  (void)signal(SIGABRT, on_abort);
  const std::size_t size = std::min(reproduce.size(), running.size() - 1);
  std::memcpy(running.data(), reproduce.data(), size);
  running[size] = '\0';
}

int run(const RunCommand& command) {
  const Options options = draw_options(command.seed, {command.nodes, command.duration});
  if (!command.schedule.empty() && !write_file(command.schedule, print(options))) return kExitUsage;
  std::string reproduce = fmt::format("raftkv-sim run --seed {}", command.seed);
  if (command.nodes > 0) reproduce += fmt::format(" --nodes {}", command.nodes);
  if (command.duration != SwarmOverrides().duration)
    reproduce += " --duration " + print(command.duration);
  return run_and_report(options, command.trace, command.history, reproduce);
}

int replay(const ReplayCommand& command) {
  const auto options = read_schedule(command.file);
  if (!options) return kExitUsage;
  return run_and_report(*options, command.trace, command.history,
                        "raftkv-sim replay " + command.file);
}

}  // namespace raftkv::sim::cli
