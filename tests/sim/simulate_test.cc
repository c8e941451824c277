#include "sim/simulate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "sim/swarm.h"

namespace raftkv::sim {
namespace {

using ::testing::HasSubstr;

void expect_clean(const Options& options) {
  const auto run = simulate(options);
  EXPECT_FALSE(run.failure) << report(*run.failure, "this test");
}

// The ends of operations in the trace: "ok 1500ms put …".
std::vector<std::string> ends_of(const Options& options) {
  std::vector<std::string> ends;
  SimulateOptions how;
  how.trace = [&](std::string_view line) {
    for (const std::string_view end : {" ok ", " fail ", " info "}) {
      const std::size_t at = line.find(end);
      if (line.find(" c") == 11 && at != std::string_view::npos)
        ends.emplace_back(line.substr(at + 1));
    }
  };
  EXPECT_FALSE(simulate(options, how).failure);
  return ends;
}

TEST(Simulation, TheSameOptionsGiveTheSameRun) {
  const Options options = draw_options(4, {.voters = 5, .duration = 5s});
  const auto one = simulate(options);
  const auto two = simulate(options);
  EXPECT_EQ(one.trace_hash, two.trace_hash);
  EXPECT_EQ(one.statistics.events, two.statistics.events);
}

TEST(Simulation, AnotherSeedGivesAnotherRun) {
  Options options = draw_options(4, {.voters = 5, .duration = 2s});
  const std::uint64_t first = simulate(options).trace_hash;
  options.seed = 5;
  EXPECT_NE(simulate(options).trace_hash, first);
}

TEST(Simulation, ListeningToTheTraceDoesNotChangeTheRun) {
  const Options options = draw_options(6, {.voters = 3, .duration = 2s});
  SimulateOptions how;
  std::size_t lines = 0;
  how.trace = [&](std::string_view) { ++lines; };
  EXPECT_EQ(simulate(options, how).trace_hash, simulate(options).trace_hash);
  EXPECT_GT(lines, 100u);
}

TEST(Simulation, AScheduleFileGivesTheRunThatItWasDrawnFor) {
  const Options drawn = draw_options(9, {.voters = 0, .duration = 3s});
  const auto read = parse_options(print(drawn));
  ASSERT_TRUE(read);
  EXPECT_EQ(simulate(*read).trace_hash, simulate(drawn).trace_hash);
}

TEST(Simulation, AHistoryThatIsNotDecidedIsNoPass) {
  SimulateOptions how;
  how.history_steps_max = 0;
  const auto run = simulate(draw_options(4, {.voters = 3, .duration = 2s}), how);
  ASSERT_TRUE(run.failure);
  EXPECT_EQ(run.failure->violation.invariant, kUndecided);
  EXPECT_THAT(run.failure->violation.what, HasSubstr("unknown"));
  EXPECT_EQ(run.statistics.undecided, 1u);
}

TEST(Partition, DeposedLeaderServesNoConsistentRead) {
  Options options;
  options.seed = 7;
  options.duration = 4s;
  options.schedule = {
      at(500ms, isolate(leader())),
      at(1500ms, put("k", "new").through(majority())),
      at(1600ms, get("k", Level::consistent).through(deposed_leader())),
      at(3s, heal()),
  };
  expect_clean(options);
}

TEST(Partition, AMajorityGoesOnWithoutItsLeader) {
  Options options;
  options.duration = 3s;
  options.schedule = {
      at(500ms, isolate(leader())),
      at(2s, put("k", "v").through(majority())),
  };
  EXPECT_THAT(ends_of(options), ::testing::Contains(HasSubstr("ok 2s put k=v")));
}

TEST(Partition, AMinorityAcknowledgesNothing) {
  Options options;
  options.duration = 3s;
  options.schedule = {
      at(500ms, isolate(leader())),
      at(501ms, put("k", "v").through(minority())),
  };
  EXPECT_THAT(ends_of(options), ::testing::Not(::testing::Contains(HasSubstr("ok 501ms put k=v"))));
}

// Seed 60006380 of a hunt: what it lacks may take longer than any fixed time.
TEST(Liveness, AFollowerThatMayTakeOneEntryAtATimeHasTheTimeForEach) {
  Options options;
  options.liveness = 1;
  options.duration = 5s;
  options.unapplied_bytes_max = 1;
  options.bytes_per_message_max = 1;
  options.election_timeout = 110ms;
  options.heartbeat_interval = 36ms;
  options.sync_min = 10ms;
  options.sync_max = 30ms;
  options.schedule = {at(500ms, isolate(node(3)))};
  for (int i = 0; i < 600; ++i) {
    options.schedule.push_back(at(600ms + i * 5ms, put("k", std::to_string(i))));
  }
  expect_clean(options);
}

TEST(Crash, AnAcknowledgedWriteSurvivesThePowerFailureOfAll) {
  Options options;
  options.duration = 4s;
  options.schedule = {
      at(500ms, put("k", "v")),   at(1s, power(node(1))),
      at(1s, power(node(2))),     at(1s, power(node(3))),
      at(1500ms, start(node(1))), at(1500ms, start(node(2))),
      at(1500ms, start(node(3))), at(3s, get("k", Level::consistent)),
  };
  // That the read sees the write is I13's to check.
  EXPECT_THAT(ends_of(options),
              ::testing::IsSupersetOf({"ok 500ms put k=v", "ok 3s get k consistent"}));
}

TEST(Membership, AWipedNodeComesBackAsAnotherMember) {
  Options options;
  options.duration = 6s;
  options.schedule = {
      at(500ms, put("k", "v")),
      at(1s, wipe(node(2))),
      at(2s, start(node(2))),
      at(4s, get("k", Level::stale).through(node(2))),
  };
  EXPECT_THAT(ends_of(options), ::testing::Contains("ok 4s get k stale through n2"));
}

TEST(Membership, ASpareJoinsAndAMemberLeaves) {
  Options options;
  options.spares = 1;
  options.duration = 6s;
  options.schedule = {
      at(500ms, start(node(4))),
      at(2s, remove(leader())),
      at(4s, put("k", "v")),
  };
  EXPECT_THAT(ends_of(options), ::testing::Contains("ok 4s put k=v"));
}

TEST(Report, NamesTheInvariantTheStateAndTheCommand) {
  Failure failure;
  failure.violation = {"I3", "two logs differ"};
  failure.event = "n1 commits 3";
  failure.state = "  n1 follower\n";
  failure.lines = {"n1 commits 3"};
  const std::string text = report(failure, "raftkv-sim run --seed 3");
  EXPECT_THAT(text, HasSubstr("violated: I3: two logs differ"));
  EXPECT_THAT(text, HasSubstr("n1 follower"));
  EXPECT_THAT(text, HasSubstr("event: n1 commits 3"));
  EXPECT_TRUE(text.ends_with("reproduce: raftkv-sim run --seed 3\n"));
}

}  // namespace
}  // namespace raftkv::sim
