// How long verdicts take: the recorded histories, and long ones of ten clients. Reading is timed
// apart. The figures that this project promises stand in docs/linearizability.md.
#include <benchmark/benchmark.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "linearizability/check.h"
#include "linearizability/readers/reader.h"
#include "linearizability/verify.h"
#include "tests/linearizability/large_history.h"

namespace raftkv::linearizability {
namespace {

const std::filesystem::path kFolder =
    std::filesystem::path(RAFTKV_SOURCE_DIR).parent_path() / "shared" / "histories";

struct Recorded {
  std::string file, text;
  History history;
  Options options;
};

// Those whose name begins so; empty if the folder is not there.
std::vector<Recorded> recorded(std::string_view folder) {
  std::vector<Recorded> out;
  std::ifstream in(kFolder / "verdicts.tsv");
  std::string line;
  while (std::getline(in, line)) {
    if (!line.starts_with(folder)) continue;
    std::stringstream fields(line);
    std::string model, initial;
    Recorded r;
    std::getline(fields, r.file, '\t');
    std::getline(fields, model, '\t');
    std::getline(fields, initial, '\t');
    std::ifstream file(kFolder / r.file);
    std::stringstream text;
    text << file.rdbuf();
    r.text = text.str();
    Result<Reading> reading = read_history(r.text, {.model = model});
    if (!reading) continue;
    r.history = std::move(reading->history);
    r.options.model = find_model(model);
    r.options.initial = read_initial(r.history, initial).value_or(kUnsaid);
    r.options.want_core = false;
    out.push_back(std::move(r));
  }
  return out;
}

void check_all(benchmark::State& state, std::string_view folder, bool want_core) {
  std::vector<Recorded> histories = recorded(folder);
  if (histories.empty()) return state.SkipWithError("no recorded histories beside the project");
  for (Recorded& r : histories) r.options.want_core = want_core;
  for (auto _ : state) {
    for (const Recorded& r : histories) benchmark::DoNotOptimize(check(r.history, r.options));
  }
}
// All of a folder, one after the other.
BENCHMARK_CAPTURE(check_all, etcd, "etcd/", false)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(check_all, etcd_with_cores, "etcd/", true)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(check_all, kv, "kv/", false)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(check_all, knossos, "knossos/", false)->Unit(benchmark::kMicrosecond);

// The slowest single file of a folder, by the median of each.
void check_slowest(benchmark::State& state, std::string_view folder) {
  const std::vector<Recorded> histories = recorded(folder);
  if (histories.empty()) return state.SkipWithError("no recorded histories beside the project");
  const auto median = [](const Recorded& r) {
    std::vector<std::chrono::nanoseconds> times;
    for (int i = 0; i < 11; ++i) {
      const auto begin = std::chrono::steady_clock::now();
      benchmark::DoNotOptimize(check(r.history, r.options));
      times.push_back(std::chrono::steady_clock::now() - begin);
    }
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
  };
  for (auto _ : state) {
    std::chrono::nanoseconds slowest{0};
    for (const Recorded& r : histories) slowest = std::max(slowest, median(r));
    state.SetIterationTime(std::chrono::duration<double>(slowest).count());
  }
}
BENCHMARK_CAPTURE(check_slowest, etcd, "etcd/")
    ->UseManualTime()
    ->Iterations(3)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(check_slowest, kv, "kv/")
    ->UseManualTime()
    ->Iterations(3)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(check_slowest, knossos, "knossos/")
    ->UseManualTime()
    ->Iterations(3)
    ->Unit(benchmark::kMicrosecond);

void read_all_etcd(benchmark::State& state) {
  const std::vector<Recorded> histories = recorded("etcd/");
  if (histories.empty()) return state.SkipWithError("no recorded histories beside the project");
  std::size_t bytes = 0;
  for (const Recorded& r : histories) bytes += r.text.size();
  for (auto _ : state) {
    for (const Recorded& r : histories) benchmark::DoNotOptimize(read_history(r.text));
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes * state.iterations()));
}
BENCHMARK(read_all_etcd)->Unit(benchmark::kMicrosecond);

void check_long(benchmark::State& state, LargeHistory what, std::string_view model) {
  what.operations = static_cast<std::size_t>(state.range(0));
  what.planted_at = what.operations / 2;
  const History history = make_history(what);
  Options options;
  options.model = find_model(model);
  const Verdict expected =
      what.plant == Plant::nothing ? Verdict::linearizable : Verdict::not_linearizable;
  std::uint64_t memory = 0;
  for (auto _ : state) {
    const Result<Report> report = check(history, options);
    if (!report || report->verdict != expected) return state.SkipWithError("wrong verdict");
    memory = report->memory_bytes_max;
  }
  state.counters["checker_MiB"] = static_cast<double>(memory >> 20);
  state.counters["history_MiB"] = static_cast<double>(history.memory_bytes() >> 20);
}
constexpr std::int64_t kMillion = 1'000'000;
BENCHMARK_CAPTURE(check_long, one_key_unique_writes, LargeHistory{}, "register")
    ->Arg(kMillion)
    ->Arg(10 * kMillion)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(check_long, thousand_keys_cas_unknown_ends,
                  (LargeHistory{.keys = 1000, .workload = Workload::cas, .unknown_per_mille = 10}),
                  "cas-register")
    ->Arg(kMillion)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(check_long, thousand_keys_unique_cas_unknown_ends,
                  (LargeHistory{
                      .keys = 1000, .workload = Workload::unique_cas, .unknown_per_mille = 10}),
                  "cas-register")
    ->Arg(kMillion)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(check_long, hundred_keys_appends,
                  (LargeHistory{.keys = 100, .workload = Workload::appends}), "append-kv")
    ->Arg(kMillion)
    ->Unit(benchmark::kMillisecond);
// Multi-key sets tie all keys together.
BENCHMARK_CAPTURE(check_long, ten_keys_store_unknown_ends,
                  (LargeHistory{.keys = 10, .workload = Workload::store, .unknown_per_mille = 10}),
                  "kv")
    ->Arg(20'000)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(check_long, ten_keys_indexed_store_unknown_ends,
                  (LargeHistory{
                      .keys = 10, .workload = Workload::indexed_store, .unknown_per_mille = 10}),
                  "kv")
    ->Arg(20'000)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(check_long, one_key_stale_read, LargeHistory{.plant = Plant::stale_read},
                  "register")
    ->Arg(kMillion)
    ->Unit(benchmark::kMillisecond);

void verify_long(benchmark::State& state) {
  const History history = make_history({.operations = 1'000'000});
  const Options options{.model = find_model("register")};
  const Result<Report> report = check(history, options);
  for (auto _ : state) {
    if (!verify_witness(history, "register", kUnsaid, report->witness)) {
      return state.SkipWithError("the witness does not verify");
    }
  }
}
BENCHMARK(verify_long)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace raftkv::linearizability
