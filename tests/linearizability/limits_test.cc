// Limits end in unknown, soon enough, and never in a guess.
#include <gtest/gtest.h>

#include "linearizability/check.h"
#include "tests/linearizability/large_history.h"

namespace raftkv::linearizability {
namespace {

// Many writes at once of few values, then reads that only few of their orders explain: a hard one.
History hard_history(std::uint32_t writers) {
  HistoryBuilder builder;
  const auto value = [&](std::uint32_t i) { return builder.values().integer(i % (writers / 2)); };
  std::vector<OperationId> writes;
  for (std::uint32_t i = 0; i < writers; ++i)
    writes.push_back(*builder.invoke(i, write(kUnsaid, value(i))));
  const OperationId first = *builder.invoke(writers, read(kUnsaid));
  EXPECT_TRUE(builder.complete(first, End::ok, {value(0), 0, {}}).has_value());
  for (const OperationId id : writes) EXPECT_TRUE(builder.complete(id, End::ok).has_value());
  for (std::uint32_t i = 0; i < writers / 2; ++i) {
    const OperationId id = *builder.invoke(writers, read(kUnsaid));
    EXPECT_TRUE(builder.complete(id, End::ok, {value(i * 7), 0, {}}).has_value());
  }
  return builder.finish();
}

class Limits : public testing::TestWithParam<Algorithm> {};

TEST_P(Limits, MemoryIsKeptWithinATenth) {
  const History history = hard_history(40);
  Options options;
  options.model = find_model("register");
  options.algorithm = GetParam();
  options.memory_bytes_max = 16 << 20;
  options.keep_going = [](const Progress& progress) { return progress.steps < 200'000'000; };
  const Result<Report> report = check(history, options);
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->verdict, Verdict::unknown);
  EXPECT_EQ(report->reason, "memory");
  EXPECT_LE(report->memory_bytes_max, options.memory_bytes_max + options.memory_bytes_max / 10);
}

TEST_P(Limits, AnEndIsHeededSoon) {
  const History history = hard_history(40);
  Options options;
  options.model = find_model("register");
  options.algorithm = GetParam();
  std::uint64_t steps_at_end = 0;
  options.keep_going = [&](const Progress& progress) {
    if (progress.steps < 1'000'000) return true;
    steps_at_end = progress.steps;
    return false;
  };
  const Result<Report> report = check(history, options);
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->verdict, Verdict::unknown);
  EXPECT_EQ(report->reason, "time");
  EXPECT_LE(report->steps, steps_at_end + (1 << 16));
}

INSTANTIATE_TEST_SUITE_P(Searches, Limits,
                         testing::Values(Algorithm::automatic, Algorithm::just_in_time,
                                         Algorithm::depth_first),
                         [](const auto& algorithm) {
                           std::string name(to_string(algorithm.param));
                           std::erase(name, '-');
                           return name;
                         });

TEST(Limits, FastAlgorithmsHeedAnEnd) {
  for (const Workload workload :
       {Workload::unique_writes, Workload::unique_cas, Workload::appends}) {
    const History history = make_history({.operations = 300'000, .workload = workload});
    Options options;
    options.model = find_model(workload == Workload::appends ? "append-kv" : "cas-register");
    int asked = 0;
    options.keep_going = [&](const Progress&) { return ++asked < 2; };
    const Result<Report> report = check(history, options);
    ASSERT_TRUE(report.has_value());
    EXPECT_EQ(report->verdict, Verdict::unknown);
    EXPECT_EQ(report->reason, "time");
  }
}

TEST(Limits, AHardKeyHidesNoEasyViolation) {
  HistoryBuilder builder;
  const Value hard_key = builder.values().text("hard");
  const Value easy_key = builder.values().text("easy");
  const History hard = hard_history(40);
  for (const Operation& op : hard.operations()) {
    if (op.function == Function::write) {
      ASSERT_TRUE(builder.invoke(op.process, write(hard_key, op.argument)).has_value());
    }
  }
  for (OperationId id = 0; id < 40; ++id) ASSERT_TRUE(builder.complete(id, End::ok).has_value());
  for (const Operation& op : hard.operations()) {
    if (op.function != Function::read) continue;
    const OperationId id = *builder.invoke(op.process, read(hard_key));
    ASSERT_TRUE(builder.complete(id, End::ok, {op.result, 0, {}}).has_value());
  }
  const OperationId lie = *builder.invoke(50, cas(easy_key, kNil, builder.values().integer(1)));
  ASSERT_TRUE(builder.complete(lie, End::ok, {Value::boolean(false), 0, {}}).has_value());
  const History history = builder.finish();
  Options options;
  options.model = find_model("cas-register");
  options.keep_going = [](const Progress& progress) { return progress.steps < 1'000'000; };
  const Result<Report> report = check(history, options);
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->verdict, Verdict::not_linearizable);
  EXPECT_EQ(report->core.operations, std::vector<OperationId>{lie});
}

}  // namespace
}  // namespace raftkv::linearizability
