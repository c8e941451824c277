// raftkv-sim swarm and merge. Every seed runs in a child: one that a CHECK stops is a failure like
// any other, and its share goes on behind it if the rest is wanted.
#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "sim/cli/file.h"
#include "sim/cli/options.h"
#include "sim/simulate.h"
#include "sim/swarm.h"
#include "sim/tally.h"

namespace raftkv::sim::cli {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr auto kProgressEvery = 200ms;

SwarmOverrides fixed_by(const SwarmCommand& command) {
  return {command.nodes, command.duration, command.leveldb};
}

// A child says each result as it is: less than what a pipe takes in one piece.
static_assert(std::is_trivially_copyable_v<SeedResult> && sizeof(SeedResult) <= 512);

// --- a share of the seeds, in a child ---

SeedResult run_seed(const SwarmCommand& command, std::uint64_t seed) {
  const std::string reproduce =
      command_for({command.nodes, command.duration, command.leveldb}, seed);
  note_run(reproduce);
  const Options options = draw_options(seed, fixed_by(command));
  const Run run = simulate(options);
  SeedResult result = result_of(seed, run);
  if (command.hashes) fmt::print("{} {:016x}\n", seed, run.trace_hash);
  if (run.failure) {
    fmt::print("seed {}:\n{}", seed, report(*run.failure, reproduce));
  } else if (command.twice && simulate(options).trace_hash != run.trace_hash) {
    fmt::print(
        "seed {}:\nviolated: Determinism: two runs have different trace hashes\n"
        "reproduce: raftkv-sim swarm --seeds {} --twice\n",
        seed, seed);
    set_violated(result, "Determinism");
  }
  return result;
}

// Seeds first, first + jobs, …
void run_share(const SwarmCommand& command, std::uint64_t first, int out) {
  for (std::uint64_t seed = first; seed <= command.last; seed += command.jobs) {
    const SeedResult result = run_seed(command, seed);
    (void)std::fflush(stdout);
    (void)!write(out, &result, sizeof result);
    if (result.violated[0] != '\0' && !command.keep_going) return;
    if (command.last - seed < command.jobs) return;
  }
}

struct Job {
  pid_t pid = -1;
  int results = -1;        // the pipe's end to read from; -1: it has ended
  std::uint64_t next = 0;  // the seed whose result comes next
  bool stopped = false;    // at a failure
};

Job start_job(const SwarmCommand& command, std::uint64_t first) {
  std::array<int, 2> ends{-1, -1};
  if (pipe(ends.data()) != 0) return {};
  (void)std::fflush(stdout);
  const pid_t pid = fork();
  if (pid != 0) {
    close(ends[1]);
    return {.pid = pid, .results = ends[0], .next = first};
  }
  close(ends[0]);
  run_share(command, first, ends[1]);
  _exit(kExitClean);
}

// --- all of them ---

class Swarm {
 public:
  explicit Swarm(const SwarmCommand& command)
      : command_(command), tally_({command.nodes, command.duration, command.leveldb}) {}

  // False: no child could be started.
  bool run() {
    for (std::uint64_t i = 0; i < command_.jobs && i <= command_.last - command_.first; ++i) {
      jobs_.push_back(start_job(command_, command_.first + i));
      if (jobs_.back().pid < 0) return false;
    }
    while (wait()) show_progress();
    if (shown_) fmt::print(stderr, "\r\x1b[K");
    tally_.took(elapsed(), jobs_.size());
    return true;
  }
  [[nodiscard]] const Tally& tally() const { return tally_; }

 private:
  [[nodiscard]] Duration elapsed() const { return SteadyClock::now() - began_; }

  // Takes the results that are there, or waits a moment for some. False: all have ended.
  bool wait() {
    std::vector<pollfd> pipes;
    std::vector<Job*> waiting;
    for (Job& job : jobs_) {
      if (job.results < 0) continue;
      pipes.push_back({.fd = job.results, .events = POLLIN, .revents = 0});
      waiting.push_back(&job);
    }
    if (pipes.empty()) return false;
    (void)poll(pipes.data(), pipes.size(),
               static_cast<int>(std::chrono::milliseconds(kProgressEvery).count()));
    for (std::size_t i = 0; i < pipes.size(); ++i) {
      if (pipes[i].revents != 0) take(*waiting[i]);
    }
    return true;
  }

  void take(Job& job) {
    SeedResult result;
    if (read(job.results, &result, sizeof result) != static_cast<ssize_t>(sizeof result))
      return ended(job);
    tally_.add(result);
    job.stopped = result.violated[0] != '\0' && !command_.keep_going;
    job.next = command_.last - result.seed < command_.jobs ? 0 : result.seed + command_.jobs;
  }

  void ended(Job& job) {
    close(job.results);
    job.results = -1;
    waitpid(job.pid, nullptr, 0);
    if (job.stopped || job.next == 0) return;
    // It has not said its next result: a CHECK has stopped it there.
    SeedResult result;
    result.seed = job.next;
    set_violated(result, "CHECK");
    tally_.add(result);
    if (command_.keep_going && command_.last - job.next >= command_.jobs)
      job = start_job(command_, job.next + command_.jobs);
  }

  void show_progress() {
    if (!watched_ || SteadyClock::now() < next_) return;
    next_ = SteadyClock::now() + kProgressEvery;
    shown_ = true;
    const std::uint64_t all = command_.last - command_.first + 1;
    const std::uint64_t done = tally_.seeds();
    const double spent = std::chrono::duration<double>(elapsed()).count();
    const std::string left = done == 0
                                 ? "?"
                                 : fmt::format("{:.0f}", spent * static_cast<double>(all - done) /
                                                             static_cast<double>(done));
    fmt::print(stderr, "\r\x1b[K{} of {} seeds, {} failed, {} of {} marks, {:.0f} s, {} s to go",
               done, all, tally_.failed().size(), kMarks - tally_.unreached().size(), kMarks, spent,
               left);
    (void)std::fflush(stderr);
  }

  const SwarmCommand& command_;
  Tally tally_;
  std::vector<Job> jobs_;
  SteadyClock::time_point began_ = SteadyClock::now();
  SteadyClock::time_point next_ = began_ + 1s;
  bool watched_ = ::isatty(STDERR_FILENO) == 1;
  bool shown_ = false;
};

// --- what is said at the end; the exit code ---

bool every_mark_reached(const Tally& tally, const std::vector<std::string>& but) {
  std::vector<Mark> unreached = tally.unreached();
  std::erase_if(unreached,
                [&](Mark mark) { return std::ranges::find(but, text_of(mark).name) != but.end(); });
  for (const Mark mark : unreached) {
    fmt::print("no seed reached the mark '{}': {}\n", text_of(mark).name, text_of(mark).what);
  }
  return unreached.empty();
}

int conclude(const Tally& tally, const TallyOutputs& outputs) {
  int code = tally.failed().empty() ? kExitClean : kExitViolated;
  // After a failure the last lines are those that say how to reproduce it: the summary goes
  // elsewhere.
  std::FILE* const out = code == kExitClean ? stdout : stderr;
  if (outputs.marks) fmt::print(out, "{}", tally.marks_table());
  if (!outputs.json.empty() && !write_file(outputs.json, tally.to_json())) return kExitUsage;
  fmt::print(out, "{}", tally.summary());
  if (outputs.every_mark && !every_mark_reached(tally, outputs.but)) code = kExitViolated;
  return code;
}

}  // namespace

int swarm(const SwarmCommand& command) {
  Swarm swarm(command);
  if (!swarm.run()) {
    fmt::print(stderr, "raftkv-sim swarm: no process could be started\n");
    return kExitViolated;
  }
  return conclude(swarm.tally(), command.outputs);
}

int merge(const MergeCommand& command) {
  std::optional<Tally> all;
  for (const std::string& file : command.files) {
    const auto text = read_file(file);
    if (!text) return kExitUsage;
    const auto part = Tally::from_json(*text);
    const Status added = !part  ? Status(failure(part))
                         : !all ? (all = *part, Status())
                                : all->merge(*part);
    if (!added) {
      fmt::print(stderr, "raftkv-sim merge: {}: {}\n", file, added.error().message);
      return kExitUsage;
    }
  }
  for (const Tally::Failed& failed : all->failed()) {
    fmt::print("violated: {}\nreproduce: {}\n", failed.invariant,
               command_for(all->settings(), failed.seed));
  }
  for (const SeedRange& gap : all->gaps())
    fmt::print("not run: seeds {}..{}\n", gap.first, gap.last);
  return conclude(*all, command.outputs);
}

}  // namespace raftkv::sim::cli
