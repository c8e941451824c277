// Long histories: what is planted anywhere in a million operations is found and shown in a core
// that a person can read.
#include <gtest/gtest.h>

#include "linearizability/check.h"
#include "linearizability/verify.h"
#include "tests/linearizability/large_history.h"

namespace raftkv::linearizability {
namespace {

constexpr std::size_t kMillion = 1'000'000;
// Of this project's store; sanitizers are slow.
constexpr std::size_t kStore = RAFTKV_RANDOM_HISTORIES < 100'000 ? 5'000 : 20'000;

std::string_view model_of(Workload workload) {
  switch (workload) {
    case Workload::unique_writes:
      return "register";
    case Workload::appends:
      return "append-kv";
    case Workload::store:
    case Workload::indexed_store:
      return "kv";
    default:
      return "cas-register";
  }
}

Report checked(const History& history, Workload workload) {
  Options options;
  options.model = find_model(model_of(workload));
  Result<Report> report = check(history, options);
  EXPECT_TRUE(report.has_value());
  return *report;
}

class Planted : public testing::TestWithParam<LargeHistory> {};

TEST_P(Planted, NothingIsFoundWhereNothingIs) {
  LargeHistory what = GetParam();
  const History history = make_history(what);
  const Report report = checked(history, what.workload);
  ASSERT_EQ(report.verdict, Verdict::linearizable) << report.reason;
  const Status status = verify_witness(history, model_of(what.workload), kUnsaid, report.witness);
  EXPECT_TRUE(status.has_value()) << status.error().message;
}

TEST_P(Planted, EveryViolationIsFoundWhereverItStands) {
  for (const Plant plant :
       {Plant::stale_read, Plant::lost_write, Plant::duplicated_effect, Plant::reordered_pair}) {
    // Near the beginning, in the middle, near the end.
    for (const std::size_t percent : {1u, 50u, 99u}) {
      LargeHistory what = GetParam();
      what.plant = plant;
      what.planted_at = what.operations / 100 * percent;
      what.seed = percent;
      const History history = make_history(what);
      const Report report = checked(history, what.workload);
      ASSERT_EQ(report.verdict, Verdict::not_linearizable)
          << static_cast<int>(plant) << " at " << percent << " %";
      EXPECT_TRUE(report.core.minimal);
      EXPECT_LE(report.core.operations.size(), 150u);
      Options options;
      options.model = find_model(model_of(what.workload));
      const History core = history.restricted_to(report.core.operations, report.core.weakened);
      EXPECT_EQ(check(core, options)->verdict, Verdict::not_linearizable);
      // A text with all its appends, in whatever order, is too much to explain.
      if (what.workload == Workload::appends) continue;
      EXPECT_FALSE(explain(history, report.core, options).possibilities.empty());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Workloads, Planted,
    testing::Values(
        LargeHistory{.operations = kMillion, .workload = Workload::unique_writes},
        LargeHistory{
            .operations = kMillion, .workload = Workload::unique_writes, .unknown_per_mille = 10},
        LargeHistory{.operations = kMillion / 10,
                     .keys = 100,
                     .workload = Workload::cas,
                     .unknown_per_mille = 10},
        LargeHistory{.operations = kMillion / 10,
                     .keys = 100,
                     .workload = Workload::unique_cas,
                     .unknown_per_mille = 10},
        LargeHistory{.operations = kMillion / 10,
                     .keys = 20,
                     .workload = Workload::appends,
                     .unknown_per_mille = 10},
        LargeHistory{
            .operations = kStore, .keys = 10, .workload = Workload::store, .unknown_per_mille = 10},
        LargeHistory{.operations = kStore,
                     .keys = 10,
                     .workload = Workload::indexed_store,
                     .unknown_per_mille = 10}),
    [](const auto& what) { return "Workload" + std::to_string(what.index); });

}  // namespace
}  // namespace raftkv::linearizability
