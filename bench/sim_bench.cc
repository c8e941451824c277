// How many simulated seconds the simulator runs in a second on one core: five members, 50 client
// operations a simulated second, every kind of fault, all checks.
#include <benchmark/benchmark.h>

#include <cstdint>

#include "sim/simulate.h"
#include "sim/swarm.h"
#include "src/base/check.h"

namespace raftkv::sim {
namespace {

void run_seeds(benchmark::State& state, bool leveldb) {
  std::uint64_t seed = 0;
  double simulated = 0;
  std::uint64_t events = 0;
  for (auto _ : state) {
    const auto run = simulate(benchmark_options(++seed, 20s, leveldb),
                              {.trace = {}, .check_history = state.range(0) != 0});
    CHECK(!run.failure, "a benchmark is no place for a violation: raftkv-sim swarm finds them");
    simulated += std::chrono::duration<double>(run.statistics.simulated).count();
    events += run.statistics.events;
  }
  state.counters["simulated_seconds"] = benchmark::Counter(simulated, benchmark::Counter::kIsRate);
  state.counters["events"] =
      benchmark::Counter(static_cast<double>(events), benchmark::Counter::kIsRate);
}

void BM_SimulatedSeconds(benchmark::State& state) {
  run_seeds(state, /*leveldb=*/false);
}
BENCHMARK(BM_SimulatedSeconds)
    ->ArgName("lincheck")
    ->Arg(0)
    ->Arg(1)
    ->Unit(benchmark::kMillisecond)
    ->Iterations(50);

// The same with LevelDB inside, and the faults of its disk.
void BM_SimulatedSecondsLevelDb(benchmark::State& state) {
  run_seeds(state, /*leveldb=*/true);
}
BENCHMARK(BM_SimulatedSecondsLevelDb)
    ->ArgName("lincheck")
    ->Arg(0)
    ->Arg(1)
    ->Unit(benchmark::kMillisecond)
    ->Iterations(50);

}  // namespace
}  // namespace raftkv::sim
