#include "sim/shrink.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "sim/print_cpp.h"
#include "sim/swarm.h"

namespace raftkv::sim {
namespace {

// A world with a bug of our own making: it fails when this node has been killed and later something
// is written.
Judged fails_after_a_kill_and_a_put(const Options& options, std::string_view /*target*/) {
  bool killed = false;
  for (const Action& action : options.schedule) {
    if (action.verb == Verb::kill) killed = true;
    if (action.verb == Verb::put && killed)
      return {.invariant = "I3", .at = std::max<Instant>(action.at, 1ms), .events = 100};
  }
  return {.invariant = {}, .at = options.duration, .events = 100};
}

TEST(Shrink, LeavesWhatTheFailureNeeds) {
  const Options drawn = draw_options(3, {.voters = 5, .duration = 20s});
  ASSERT_FALSE(fails_after_a_kill_and_a_put(drawn, {}).invariant.empty());
  const auto shrunk = shrink(drawn, {.judge = fails_after_a_kill_and_a_put});
  ASSERT_TRUE(shrunk);
  EXPECT_TRUE(shrunk->finished);
  EXPECT_EQ(shrunk->invariant, "I3");
  const Schedule& schedule = shrunk->options.schedule;
  ASSERT_EQ(schedule.size(), 2u) << print(shrunk->options);
  EXPECT_EQ(schedule[0].verb, Verb::kill);
  EXPECT_EQ(print(schedule[1]), "0s put k1=v1");
  // No node, no option but what the two actions need.
  Options plain;
  plain.seed = shrunk->options.seed;
  plain.voters = shrunk->options.voters;
  plain.duration = shrunk->options.duration;
  plain.schedule = schedule;
  EXPECT_EQ(shrunk->options, plain);
  EXPECT_LE(shrunk->options.voters, 2u);
}

TEST(Shrink, IsTheSameEachTime) {
  const Options drawn = draw_options(3, {.voters = 5, .duration = 20s});
  const auto one = shrink(drawn, {.judge = fails_after_a_kill_and_a_put});
  const auto two = shrink(drawn, {.judge = fails_after_a_kill_and_a_put});
  ASSERT_TRUE(one && two);
  EXPECT_EQ(one->options, two->options);
  EXPECT_EQ(one->runs, two->runs);
}

TEST(Shrink, DoesNotSlipFromOneInvariantToAnother) {
  // Without the put another invariant fails, and that is another story.
  const auto judge = [](const Options& options, std::string_view target) {
    Judged judged = fails_after_a_kill_and_a_put(options, target);
    if (judged.invariant.empty()) judged.invariant = "I9";
    return judged;
  };
  const auto shrunk = shrink(draw_options(3, {.voters = 5, .duration = 20s}), {.judge = judge});
  ASSERT_TRUE(shrunk);
  EXPECT_EQ(shrunk->invariant, "I3");
  EXPECT_EQ(fails_after_a_kill_and_a_put(shrunk->options, {}).invariant, "I3");
}

TEST(Shrink, MakesAConditionStrongerWhereFewerOperationsDoThen) {
  // What comes twice is luck: the rarer it is, the more writes it takes.
  const auto judge = [](const Options& options, std::string_view /*target*/) {
    const auto puts =
        static_cast<std::uint64_t>(std::ranges::count(options.schedule, Verb::put, &Action::verb));
    const bool fails = puts * options.duplicate_ppm >= 600'000;
    return Judged{.invariant = fails ? "I2" : "", .at = options.duration, .events = 100};
  };
  Options options = draw_options(3, {.voters = 5, .duration = 20s});
  options.duplicate_ppm = 10'000;
  ASSERT_FALSE(judge(options, {}).invariant.empty());
  const auto shrunk = shrink(options, {.judge = judge});
  ASSERT_TRUE(shrunk);
  EXPECT_EQ(shrunk->options.duplicate_ppm, 200'000u);
  EXPECT_EQ(shrunk->options.schedule.size(), 3u) << print(shrunk->options);
}

TEST(Shrink, MakesALimitSmallWhereFewerOperationsReachItThen) {
  // Fails when the messages on their way have filled what may be on its way to a peer.
  const auto judge = [](const Options& options, std::string_view /*target*/) {
    std::uint64_t puts = 0;
    for (const Action& action : options.schedule) {
      if (action.verb == Verb::put && ++puts == options.inflight_messages_max)
        return Judged{.invariant = "I3", .at = std::max<Instant>(action.at, 1ms), .events = 100};
    }
    return Judged{.invariant = {}, .at = options.duration, .events = 100};
  };
  Options drawn = draw_options(3, {.voters = 3, .duration = 20s});
  drawn.inflight_messages_max = Options().inflight_messages_max;
  ASSERT_FALSE(judge(drawn, {}).invariant.empty());
  const auto shrunk = shrink(drawn, {.judge = judge});
  ASSERT_TRUE(shrunk);
  EXPECT_EQ(shrunk->options.inflight_messages_max, 1u);
  EXPECT_EQ(size_of(shrunk->options.schedule).operations, 1u) << print(shrunk->options);
}

TEST(Shrink, MakesAMomentLongWhereOneFaultHitsItThen) {
  // One kill does where a sync takes long; else it takes eleven for one of them to come during one.
  const auto judge = [](const Options& options, std::string_view /*target*/) {
    int needed = options.sync_min >= 10ms ? 1 : 11;
    for (const Action& action : options.schedule) {
      if (action.verb == Verb::kill && --needed == 0)
        return Judged{.invariant = "I3", .at = std::max<Instant>(action.at, 1ms), .events = 100};
    }
    return Judged{.invariant = {}, .at = options.duration, .events = 100};
  };
  Options drawn;
  drawn.voters = 2;
  drawn.schedule.assign(15, Action{.at = 1s, .verb = Verb::kill, .who = {Who::Kind::node, 1}});
  ASSERT_FALSE(judge(drawn, {}).invariant.empty());
  const auto shrunk = shrink(drawn, {.judge = judge});
  ASSERT_TRUE(shrunk);
  EXPECT_GE(shrunk->options.sync_min, 10ms);
  EXPECT_EQ(shrunk->options.schedule.size(), 1u) << print(shrunk->options);
}

TEST(Shrink, KeepsAFewFaultsWhereNoneCanGoAlone) {
  // Between four and forty kills there is no failure: dropping them one by one ends at once.
  const auto judge = [](const Options& options, std::string_view /*target*/) {
    const auto kills = std::ranges::count(options.schedule, Verb::kill, &Action::verb);
    if ((kills < 1 || kills > 4) && kills < 40)
      return Judged{.invariant = {}, .at = options.duration, .events = 100};
    return Judged{.invariant = "I3", .at = options.schedule.back().at, .events = 100};
  };
  Options drawn;
  drawn.schedule.assign(40, Action{.at = 1s, .verb = Verb::kill, .who = {Who::Kind::node, 1}});
  const auto shrunk = shrink(drawn, {.judge = judge});
  ASSERT_TRUE(shrunk);
  EXPECT_EQ(shrunk->options.schedule.size(), 1u) << print(shrunk->options);
}

TEST(Shrink, FindsTheSeedThatAFailureNeeds) {
  // What is left of the luck stands in the seed.
  const auto judge = [](const Options& options, std::string_view target) {
    Judged judged = fails_after_a_kill_and_a_put(options, target);
    const bool lucky = options.schedule.size() > 20 || options.seed % 16 == 5;
    return lucky ? judged : Judged{.invariant = {}, .at = options.duration, .events = 100};
  };
  const auto shrunk = shrink(draw_options(3, {.voters = 5, .duration = 20s}), {.judge = judge});
  ASSERT_TRUE(shrunk);
  EXPECT_EQ(shrunk->options.seed, 5u);
  EXPECT_EQ(shrunk->options.schedule.size(), 2u);
}

TEST(Shrink, AFailureOfTheSecondPhaseKeepsIt) {
  const auto judge = [](const Options& options, std::string_view /*target*/) {
    const bool fails = options.liveness == 1 &&
                       std::ranges::count(options.schedule, Verb::wipe, &Action::verb) > 0;
    return Judged{.invariant = fails ? "Liveness" : "", .at = options.duration + 3s, .events = 9};
  };
  Options options;
  options.schedule = {at(1s, kill(node(1))), at(2s, put("k", "v")), at(3s, wipe(node(2)))};
  const auto shrunk = shrink(options, {.judge = judge});
  ASSERT_TRUE(shrunk);
  EXPECT_EQ(shrunk->options.liveness, 1u);
  EXPECT_EQ(shrunk->options.schedule.size(), 1u);
  EXPECT_EQ(judge(shrunk->options, {}).invariant, "Liveness");
}

TEST(Shrink, EndsAtItsBoundWithTheBestSoFar) {
  const Options drawn = draw_options(3, {.voters = 5, .duration = 20s});
  const auto shrunk = shrink(drawn, {.judge = fails_after_a_kill_and_a_put, .runs_max = 5});
  ASSERT_TRUE(shrunk);
  EXPECT_FALSE(shrunk->finished);
  EXPECT_LE(shrunk->runs, 5u);
  EXPECT_EQ(fails_after_a_kill_and_a_put(shrunk->options, {}).invariant, "I3");

  const auto stopped =
      shrink(drawn, {.judge = fails_after_a_kill_and_a_put,
                     .keep_going = [](const ShrinkProgress& at) { return at.runs < 3; }});
  ASSERT_TRUE(stopped);
  EXPECT_FALSE(stopped->finished);
  EXPECT_EQ(stopped->runs, 3u);
}

TEST(Shrink, ACleanRunIsNothingToShrink) {
  Options options;
  options.duration = 500ms;
  EXPECT_FALSE(shrink(options));
}

TEST(Shrink, WritesATestToPaste) {
  Options options;
  options.seed = 3;
  options.voters = 5;
  options.duration = 1500ms;
  options.schedule = {
      at(500ms, isolate(leader()).named(2)),
      at(600ms, split({node(1), node(2)})),
      at(700ms, put("k", "new").through(majority()).by(1)),
      at(800ms, put({{"a", "1"}, {"b", "2"}})),
      at(1s, get("k", Level::consistent).through(deposed_leader())),
      at(1s, disk(node(1), 10)),
      at(1s, weather(1, 2, 3)),
      at(1200ms, heal(2)),
  };
  EXPECT_EQ(print_test(options, "Partition", "TellsAStory"), R"(TEST(Partition, TellsAStory) {
  Options options;
  options.seed = 3;
  options.voters = 5;
  options.duration = 1500ms;
  options.schedule = {
      at(500ms, isolate(leader()).named(2)),
      at(600ms, split({node(1), node(2)})),
      at(700ms, put("k", "new").through(majority()).by(1)),
      at(800ms, put({{"a", "1"}, {"b", "2"}})),
      at(1s, get("k", Level::consistent).through(deposed_leader())),
      at(1s, disk(node(1), 10)),
      at(1s, weather(1, 2, 3)),
      at(1200ms, heal().named(2)),
  };
  expect_clean(options);
}
)");
}

}  // namespace
}  // namespace raftkv::sim
