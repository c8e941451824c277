#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>

#include "sim/cli/file.h"
#include "sim/cli/options.h"
#include "sim/cli/picture.h"
#include "sim/options.h"
#include "sim/report/recorder.h"
#include "sim/simulate.h"
#include "sim/swarm.h"

namespace raftkv::sim::cli {
namespace {

// What the process is running, for the handler below: a CHECK in the code under test ends it by
// SIGABRT.
std::array<char, 512> running{};
// Then its page is still to be written.
std::move_only_function<void()> last_words;

void on_abort(int /*signal*/) {
  constexpr std::string_view kStart =
      "violated: CHECK: the code under test stopped itself, see above\nreproduce: ";
  // The abort comes from check_failed(), in between two statements of ours: memory is whole.
  if (last_words) std::exchange(last_words, nullptr)();
  (void)!write(STDERR_FILENO, kStart.data(), kStart.size());
  (void)!write(STDERR_FILENO, running.data(), std::strlen(running.data()));
  (void)!write(STDERR_FILENO, "\n", 1);
  _exit(kExitViolated);
}

// What a run is to leave behind; empty names: nothing.
struct Outputs {
  std::string trace;
  std::string history;
  std::string html;
  std::string title;
};

// The trace as lines into a file; nullopt: it cannot be written, which is said.
std::optional<Trace::Sink> trace_into(const std::string& path, File& file) {
  if (path.empty()) return Trace::Sink();
  std::FILE* out = stdout;
  if (path != "-") {
    file.reset(std::fopen(path.c_str(), "wb"));
    out = file.get();
  }
  if (out == nullptr) {
    fmt::print(stderr, "raftkv-sim: cannot write {}\n", path);
    return std::nullopt;
  }
  return [out](std::string_view line) {
    fmt::print(out, "{}\n", line);
    (void)std::fflush(out);  // the last line must be there when a CHECK stops the process
  };
}

// The page of a run that a CHECK ended: as far as it came.
void write_page_of_the_dead(const Outputs& outputs, const Recorder& recorder,
                            const Options& options, const std::string& reproduce) {
  Run run;
  run.failure.emplace();
  run.failure->violation = {"CHECK", "the code under test stopped itself: the program says where"};
  run.failure->at = recorder.record().end;
  (void)write_pages(outputs.html, recorder.record(), options, run, outputs.title, reproduce);
}

// Runs, writes what was asked for, reports; the exit code.
int run_and_report(const Options& options, const Outputs& outputs, const std::string& reproduce) {
  note_run(reproduce);
  Recorder recorder;
  SimulateOptions how;
  how.keep_history = !outputs.history.empty() || !outputs.html.empty();
  File trace_file;
  auto sink = trace_into(outputs.trace, trace_file);
  if (!sink) return kExitUsage;
  how.trace = *std::move(sink);
  if (!outputs.html.empty()) {
    how.watcher = &recorder;
    last_words = [&] { write_page_of_the_dead(outputs, recorder, options, reproduce); };
  }
  const Run result = simulate(options, how);
  last_words = nullptr;
  if (!outputs.history.empty() && !write_file(outputs.history, result.history)) return kExitUsage;
  if (!outputs.html.empty() &&
      !write_pages(outputs.html, recorder.record(), options, result, outputs.title, reproduce)) {
    return kExitUsage;
  }
  const Statistics& counts = result.statistics;
  fmt::print(
      "simulated {} events={} committed={} leaders={} operations={} ok={} unknown={} "
      "trace_hash={:016x}\n",
      print(std::chrono::floor<std::chrono::milliseconds>(counts.simulated)), counts.events,
      counts.committed, counts.leaders, counts.operations, counts.operations_ok,
      counts.operations_unknown, result.trace_hash);
  if (const RotCounts& rot = counts.rot; rot.damaged > 0) {
    fmt::print("damaged={} whole={} state_lost={} promise_lost={} hidden={} refused={}\n",
               rot.damaged, rot.whole, rot.state_lost, rot.promise_lost, rot.hidden, rot.refused);
  }
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
  const SwarmOverrides fixed = {command.nodes, command.duration, command.leveldb};
  const Options options = draw_options(command.seed, fixed);
  if (!command.schedule.empty() && !write_file(command.schedule, print(options))) return kExitUsage;
  const std::string reproduce =
      fmt::format("raftkv-sim run --seed {}{}", command.seed, fixed_options(fixed));
  return run_and_report(
      options, {command.trace, command.history, command.html, fmt::format("seed {}", command.seed)},
      reproduce);
}

int replay(const ReplayCommand& command) {
  auto options = read_schedule(command.file);
  if (!options) return kExitUsage;
  if (command.leveldb) options->leveldb = *command.leveldb ? 1 : 0;
  const std::string name = command.file.substr(command.file.find_last_of('/') + 1);
  return run_and_report(*options, {command.trace, command.history, command.html, name},
                        "raftkv-sim replay " + command.file);
}

}  // namespace raftkv::sim::cli
