// How fast histories are read, in bytes a second: the same 200,000 reads and writes in each form.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <string>

#include "linearizability/readers/reader.h"
#include "src/base/check.h"

namespace raftkv::linearizability {
namespace {

constexpr int kOperations = 200'000;

// Calls form(out, process, invoke, return, is_write, value) for each operation. Ten processes, one
// after the other.
template <typename Write>
std::string history_of(Write form) {
  std::string out;
  for (int i = 0; i < kOperations; ++i) {
    form(std::back_inserter(out), i % 10, i * 1'000'000LL, i * 1'000'000LL + 700'000, i % 2 == 0,
         i / 2);
  }
  return out;
}

std::string json_lines() {
  return history_of([](auto out, int process, auto invoke, auto back, bool write, int value) {
    fmt::format_to(out,
                   "{{\"process\":{},\"invoke\":{},\"return\":{},\"end\":\"ok\",\"f\":\"{}\","
                   "\"key\":\"x\",\"{}\":{}}}\n",
                   process, invoke, back, write ? "write" : "read", write ? "value" : "result",
                   value);
  });
}

std::string edn_lines() {
  return history_of([](auto out, int process, auto invoke, auto back, bool write, int value) {
    fmt::format_to(out, "{{:process {}, :type :invoke, :f :{}, :value {}, :time {}}}\n", process,
                   write ? "write" : "read", write ? std::to_string(value) : "nil", invoke);
    fmt::format_to(out, "{{:process {}, :type :ok, :f :{}, :value {}, :time {}}}\n", process,
                   write ? "write" : "read", value, back);
  });
}

std::string jepsen_log() {
  return history_of([](auto out, int process, auto, auto, bool write, int value) {
    fmt::format_to(out, "INFO  jepsen.util - {}\t:invoke\t:{}\t{}\n", process,
                   write ? "write" : "read", write ? std::to_string(value) : "nil");
    fmt::format_to(out, "INFO  jepsen.util - {}\t:ok\t:{}\t{}\n", process, write ? "write" : "read",
                   value);
  });
}

// Texts as values: each is interned.
std::string json_texts() {
  return history_of([](auto out, int process, auto invoke, auto back, bool write, int value) {
    fmt::format_to(out,
                   "{{\"process\":{},\"invoke\":{},\"return\":{},\"end\":\"ok\",\"f\":\"{}\","
                   "\"key\":\"key-{}\",\"{}\":\"value-{}\"}}\n",
                   process, invoke, back, write ? "write" : "read", value % 1000,
                   write ? "value" : "result", value);
  });
}

void read_all(benchmark::State& state, const std::string& text) {
  for (auto _ : state) {
    const auto reading = read_history(text);
    CHECK(reading.has_value());
    CHECK(reading->history.size() == kOperations);
    benchmark::DoNotOptimize(reading->history.size());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}

void BM_ReadJsonLines(benchmark::State& state) {
  read_all(state, json_lines());
}
void BM_ReadJsonLinesOfTexts(benchmark::State& state) {
  read_all(state, json_texts());
}
void BM_ReadEdnLines(benchmark::State& state) {
  read_all(state, edn_lines());
}
void BM_ReadEdnCollection(benchmark::State& state) {
  read_all(state, "[" + edn_lines() + "]");
}
void BM_ReadJepsenLog(benchmark::State& state) {
  read_all(state, jepsen_log());
}
BENCHMARK(BM_ReadJsonLines)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_ReadJsonLinesOfTexts)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_ReadEdnLines)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_ReadEdnCollection)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_ReadJepsenLog)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace raftkv::linearizability
