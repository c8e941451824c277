#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <vector>

#include "sim/cli/options.h"
#include "sim/simulate.h"
#include "sim/swarm.h"

namespace raftkv::sim::cli {
namespace {

struct Totals {
  std::uint64_t seeds = 0;
  std::uint64_t failed = 0;
  std::uint64_t lively = 0;     // had their second phase
  std::uint64_t undecided = 0;  // had a history too hard to judge as a whole
  std::uint64_t events = 0;
  std::uint64_t operations = 0;
  Duration simulated{};
};

std::string command_for(const SwarmCommand& command, std::uint64_t seed) {
  std::string text = fmt::format("raftkv-sim run --seed {}", seed);
  if (command.nodes > 0) text += fmt::format(" --nodes {}", command.nodes);
  if (command.duration != SwarmOverrides().duration)
    text += " --duration " + print(command.duration);
  return text;
}

// False: violated.
bool run_seed(const SwarmCommand& command, std::uint64_t seed, Totals& totals) {
  const std::string reproduce = command_for(command, seed);
  note_run(reproduce);
  const Options options = draw_options(seed, {command.nodes, command.duration});
  const Run result = simulate(options);
  ++totals.seeds;
  totals.lively += result.statistics.lively;
  totals.undecided += result.statistics.undecided;
  totals.events += result.statistics.events;
  totals.operations += result.statistics.operations;
  totals.simulated += result.statistics.simulated;
  if (command.hashes) fmt::print("{} {:016x}\n", seed, result.trace_hash);
  if (result.failure) {
    fmt::print("seed {}:\n{}", seed, report(*result.failure, reproduce));
    ++totals.failed;
    return false;
  }
  if (command.twice && simulate(options).trace_hash != result.trace_hash) {
    fmt::print(
        "seed {}:\nviolated: Determinism: two runs have different trace hashes\nreproduce: {}\n",
        seed, fmt::format("raftkv-sim swarm --seeds {} --twice", seed));
    ++totals.failed;
    return false;
  }
  return true;
}

// Seeds first, first + stride, …; the exit code.
int run_share(const SwarmCommand& command, std::uint64_t first, std::uint64_t stride,
              Totals& totals) {
  for (std::uint64_t seed = first; seed <= command.last; seed += stride) {
    const bool clean = run_seed(command, seed, totals);
    (void)std::fflush(stdout);
    if (!clean && !command.keep_going) break;
    if (command.last - seed < stride) break;
  }
  return totals.failed == 0 ? kExitClean : kExitViolated;
}

struct Job {
  pid_t pid = -1;
  int totals = -1;  // the pipe's end to read from
};

// A child runs its share and says its totals through the pipe when it ends; one that a CHECK
// stopped says none.
Job start_job(const SwarmCommand& command, std::uint64_t share) {
  std::array<int, 2> ends{-1, -1};
  if (pipe(ends.data()) != 0) return {};
  (void)std::fflush(stdout);
  const pid_t pid = fork();
  if (pid != 0) {
    close(ends[1]);
    return {pid, ends[0]};
  }
  close(ends[0]);
  Totals own;
  const int code = run_share(command, command.first + share, command.jobs, own);
  (void)std::fflush(stdout);
  (void)!write(ends[1], &own, sizeof own);
  _exit(code);
}

int run_jobs(const SwarmCommand& command, Totals& totals) {
  std::vector<Job> jobs;
  for (std::uint64_t i = 0; i < command.jobs && i <= command.last - command.first; ++i) {
    jobs.push_back(start_job(command, i));
  }
  int worst = kExitClean;
  for (const Job& job : jobs) {
    Totals own;
    if (job.pid < 0 || read(job.totals, &own, sizeof own) != static_cast<ssize_t>(sizeof own)) {
      worst = kExitViolated;
    }
    totals.seeds += own.seeds;
    totals.failed += own.failed;
    totals.lively += own.lively;
    totals.undecided += own.undecided;
    totals.events += own.events;
    totals.operations += own.operations;
    totals.simulated += own.simulated;
    if (job.pid < 0) continue;
    close(job.totals);
    int status = 0;
    waitpid(job.pid, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != kExitClean) worst = kExitViolated;
  }
  return worst;
}

}  // namespace

int swarm(const SwarmCommand& command) {
  const auto began = std::chrono::steady_clock::now();
  Totals totals;
  const int code =
      command.jobs > 1 ? run_jobs(command, totals) : run_share(command, command.first, 1, totals);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  const double simulated = std::chrono::duration<double>(totals.simulated).count();
  // After a failure the last lines are those that say how to reproduce it: the summary goes
  // elsewhere.
  fmt::print(code == kExitClean ? stdout : stderr,
             "swarm: seeds={} failed={} lively={} undecided={} events={} operations={} "
             "simulated={:.0f}s wall={:.1f}s "
             "({:.0f} simulated seconds a second)\n",
             totals.seeds, totals.failed, totals.lively, totals.undecided, totals.events,
             totals.operations, simulated, seconds, simulated / seconds);
  return code;
}

}  // namespace raftkv::sim::cli
