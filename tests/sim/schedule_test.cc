#include "sim/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "sim/options.h"
#include "sim/swarm.h"

namespace raftkv::sim {
namespace {

using ::testing::HasSubstr;

TEST(Schedule, PrintsAsTheHeaderSays) {
  EXPECT_EQ(print(at(500ms, isolate(leader()))), "500ms isolate leader");
  EXPECT_EQ(print(at(1500ms, put("k", "new").through(majority()))),
            "1500ms put k=new through majority");
  EXPECT_EQ(print(at(1600ms, get("k", Level::consistent).through(deposed_leader()))),
            "1600ms get k consistent through deposed");
  EXPECT_EQ(print(at(3s, heal())), "3s heal");
}

TEST(Schedule, EveryActionIsReadBackAsItWas) {
  const std::vector<Action> actions = {
      kill(node(1)),
      power(leader()),
      strike(node(2), 3),
      start(node(7)),
      pause(follower()),
      resume(node(1)),
      wipe(minority()),
      damage(node(1)),
      fail_syncs(node(1)),
      fail_reads(leader()),
      full(node(2), 4000),
      mend(node(2)),
      flip(node(1), 500'000, 1),
      zero(node(1), 0, 999'999),
      chop(node(1), 7, 8),
      lose(node(1), 9),
      isolate(leader()).named(4),
      split({node(1), leader()}).named(5),
      mute(node(1)),
      deafen(node(1)),
      bridge(node(3)),
      ring(),
      cut_clients(node(2)),
      heal(),
      heal(5),
      clog(node(1), node(2)),
      unclog(),
      unclog(node(1), node(2)),
      reset(node(1), node(2)),
      disk(node(1), 0),
      weather(1, 2, 3),
      remove(node(4)).through(node(1)),
      transfer(node(3)),
      put("a", "1"),
      put({{"a", "1"}, {"b", "2"}}).by(3),
      get("a", Level::stale).through(node(2)).by(1),
      del("a"),
  };
  for (const Action& action : actions) {
    const Action timed = at(1234us, action);
    const auto parsed = parse_action(print(timed));
    ASSERT_TRUE(parsed) << print(timed) << ": " << parsed.error().message;
    EXPECT_EQ(*parsed, timed) << print(timed);
  }
}

TEST(Schedule, ALineThatMeansNothingIsRefusedWithAReason) {
  const std::vector<std::pair<std::string, std::string>> lines = {
      {"soon isolate n1", "no duration"},
      {"1s explode n1", "no action"},
      {"1s isolate", "ends too early"},
      {"1s isolate n0", "names no node"},
      {"1s isolate n1 n2", "belong here"},
      {"1s put k", "needs a pair"},
      {"1s get k fresh", "no level"},
      {"1s disk n1 fast", "no number"},
      {"1s heal #0", "no label"},
      {"1s kill n1 #3", "belong here"},
      {"1s put k=v by 3", "no client"},
      {"-1s heal", "no duration"},
      {"1s put k=a\"b", "no pair"},
      {"99999999999999999999s heal", "no duration"},
      {"9000000000000000s heal", "no duration"},
  };
  for (const auto& [line, reason] : lines) {
    const auto parsed = parse_action(line);
    ASSERT_FALSE(parsed) << line;
    EXPECT_THAT(parsed.error().message, HasSubstr(reason)) << line;
  }
}

TEST(Options, WhatIsDrawnIsReadBackAsItWas) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const Options drawn = draw_options(seed, {.voters = 0, .duration = 2s});
    const auto parsed = parse_options(print(drawn));
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(*parsed, drawn);
  }
}

TEST(Options, AFileSaysInWhichLineItIsWrong) {
  EXPECT_THAT(parse_options("voters 3\nvoters x\n").error().message, HasSubstr("line 2"));
  EXPECT_THAT(parse_options("colour 3\n").error().message, HasSubstr("no option"));
  EXPECT_THAT(parse_options("2s heal\n1s heal\n").error().message, HasSubstr("time goes back"));
  EXPECT_THAT(parse_options("voters 0\n").error().message, HasSubstr("nodes"));
  EXPECT_THAT(parse_options("voters 3\n1s kill n4\n").error().message, HasSubstr("no such node"));
  EXPECT_THAT(parse_options("latency_min 5s\n").error().message, HasSubstr("_max"));
}

TEST(Swarm, DrawsEveryKindOfFaultSometimesAndNeverAlways) {
  constexpr std::uint64_t kSeeds = 200;
  for (const Verb verb :
       {Verb::kill, Verb::power, Verb::strike, Verb::pause, Verb::wipe, Verb::isolate, Verb::split,
        Verb::mute, Verb::deafen, Verb::bridge, Verb::ring, Verb::cut_clients, Verb::clog,
        Verb::reset, Verb::disk, Verb::weather, Verb::remove, Verb::transfer, Verb::del}) {
    std::uint64_t seeds_with = 0;
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
      const Options options = draw_options(seed);
      if (std::ranges::count(options.schedule, verb, &Action::verb) > 0) ++seeds_with;
    }
    EXPECT_GT(seeds_with, 5u) << print(at(0s, Action{.verb = verb}));
    EXPECT_LT(seeds_with, kSeeds - 5) << print(at(0s, Action{.verb = verb}));
  }
}

TEST(Swarm, DrawsLevelDbInATenthOfTheSeedsAndItsFaultsThere) {
  std::uint64_t with_leveldb = 0;
  std::map<Verb, int> seeds_with;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    const Options options = draw_options(seed);
    with_leveldb += options.leveldb;
    const Options forced = draw_options(seed, {.duration = 20s, .leveldb = true});
    EXPECT_EQ(forced.leveldb, 1u);
    for (const Verb verb : {Verb::fail_syncs, Verb::fail_reads, Verb::full, Verb::mend, Verb::flip,
                            Verb::zero, Verb::chop, Verb::lose}) {
      const auto drawn = std::ranges::count(options.schedule, verb, &Action::verb);
      EXPECT_TRUE(options.leveldb == 1 || drawn == 0);
      if (std::ranges::count(forced.schedule, verb, &Action::verb) > 0) ++seeds_with[verb];
    }
    EXPECT_EQ(draw_options(seed, {.duration = 20s, .leveldb = false}).leveldb, 0u);
  }
  EXPECT_GT(with_leveldb, 20u);
  EXPECT_LT(with_leveldb, 60u);
  EXPECT_EQ(seeds_with.size(), 8u);
  for (const auto& [verb, seeds] : seeds_with)
    EXPECT_GT(seeds, 20) << print(at(0s, Action{.verb = verb}));
}

}  // namespace
}  // namespace raftkv::sim
