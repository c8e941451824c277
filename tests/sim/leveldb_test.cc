// LevelDB and the production storage code under whole clusters.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "sim/simulate.h"
#include "sim/swarm.h"

namespace raftkv::sim {
namespace {

Options on_leveldb(Schedule schedule, Duration duration = 6s) {
  Options options;
  options.duration = duration;
  options.leveldb = 1;
  options.schedule = std::move(schedule);
  return options;
}

// It happens to each of three nodes.
Schedule to_all(Duration time, Action (*what)(Who)) {
  return {at(time, what(node(1))), at(time, what(node(2))), at(time, what(node(3)))};
}

Schedule joined(const std::vector<Schedule>& parts) {
  Schedule whole;
  for (const Schedule& part : parts) whole.insert(whole.end(), part.begin(), part.end());
  return whole;
}

Run expect_clean(const Options& options) {
  Run run = simulate(options);
  EXPECT_FALSE(run.failure) << report(*run.failure, "this test");
  return run;
}

// The lines of the trace that hold this.
std::vector<std::string> lines_with(const Options& options, std::string_view text) {
  std::vector<std::string> found;
  SimulateOptions how;
  how.trace = [&](std::string_view line) {
    if (line.find(text) != std::string_view::npos) found.emplace_back(line);
  };
  EXPECT_FALSE(simulate(options, how).failure);
  return found;
}

TEST(LevelDbInside, TheSameOptionsGiveTheSameRun) {
  const Options options = draw_options(4, {.voters = 5, .duration = 5s, .leveldb = true});
  const auto one = simulate(options);
  EXPECT_EQ(one.trace_hash, simulate(options).trace_hash);
  Options in_memory = options;
  in_memory.leveldb = 0;
  EXPECT_NE(simulate(in_memory).trace_hash, one.trace_hash);
}

TEST(LevelDbInside, AnAcknowledgedWriteSurvivesThePowerFailureOfAll) {
  const Options options = on_leveldb(joined({
      {at(500ms, put("k", "v"))},
      to_all(1s, power),
      to_all(1500ms, start),
      {at(3s, get("k", Level::consistent))},
  }));
  EXPECT_EQ(lines_with(options, " ok 500ms put k=v").size(), 1u);
  EXPECT_EQ(lines_with(options, " ok 3s get k consistent").size(), 1u);
}

TEST(LevelDbInside, ANodeWhoseDiskFailsStopsAndComesBack) {
  for (const Action& fault : {fail_syncs(leader()), fail_reads(leader()), full(leader(), 100)}) {
    SCOPED_TRACE(print(fault));
    const Options options = on_leveldb(joined({
        {at(500ms, put("k", "v")), at(1s, fault), at(1100ms, put("k", "w")),
         at(1100ms, get("k", Level::consistent))},
        to_all(2s, kill),
        to_all(2100ms, start),
        to_all(3s, mend),
        {at(5s, put("k", "x"))},
    }));
    EXPECT_THAT(lines_with(options, "cannot start"), ::testing::Not(::testing::IsEmpty()));
    EXPECT_EQ(lines_with(options, " ok 5s put k=x").size(), 1u);
  }
}

// A file of every kind, damaged in every way: a node finds what it promised, or says that it does
// not and gets it from the others, or refuses and joins again.
TEST(LevelDbInside, DamageAtRestIsRecoveredFromRepairedOrRefused) {
  RotCounts all;
  for (std::uint64_t file = 20'000; file < 1'000'000; file += 40'000) {
    const std::uint64_t place = file * 7 % 1'000'000;
    for (const Action& damage : {flip(node(1), file, place), zero(node(1), file, place),
                                 chop(node(1), file, place), lose(node(1), file)}) {
      SCOPED_TRACE(print(damage));
      Schedule schedule;
      for (int i = 0; i < 20; ++i)
        schedule.push_back(at(500ms + i * 50ms, put("k" + std::to_string(i), "v")));
      schedule.push_back(at(2s, damage));
      schedule.push_back(at(2500ms, start(node(1))));
      schedule.push_back(at(4s, put("k", "x")));
      Options options = on_leveldb(std::move(schedule));
      options.state_sync_bytes = 200;
      const auto run = expect_clean(options);
      EXPECT_EQ(run.statistics.rot.damaged, 1u);
      all.whole += run.statistics.rot.whole;
      all.state_lost += run.statistics.rot.state_lost;
      all.promise_lost += run.statistics.rot.promise_lost;
    }
  }
  EXPECT_GT(all.whole, 10u);
  EXPECT_GT(all.state_lost, 10u);
  EXPECT_GT(all.promise_lost, 10u);
}

// The checks are worth something: a disk whose syncs do nothing is found out.
TEST(LevelDbInside, ADiskThatLiesIsFoundOut) {
  std::set<std::string> violated;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Options options = on_leveldb({
        at(500ms, put("k", "v")),
        at(1s, strike(node(1), seed)),
        at(1500ms, power(node(1))),
        at(2s, start(node(1))),
    });
    options.seed = seed;
    expect_clean(options);
    options.syncs_lie = 1;
    const auto run = simulate(options);
    if (run.failure) violated.insert(run.failure->violation.invariant);
  }
  EXPECT_THAT(violated, ::testing::Not(::testing::IsEmpty()));
  for (const std::string& invariant : violated)
    EXPECT_THAT((std::vector<std::string>{"I9", "I20", "I21"}), ::testing::Contains(invariant));
}

}  // namespace
}  // namespace raftkv::sim
