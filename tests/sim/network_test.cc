#include "sim/network.h"

#include <gtest/gtest.h>

namespace raftkv::sim {
namespace {

struct Fixture {
  Options options;
  Network network{options, 5, Prng(1)};
};

TEST(Cuts, OverlapAndHealInPieces) {
  Fixture f;
  f.network.cut(1, {{0, 1}, {1, 0}});
  f.network.cut(2, {{0, 1}, {0, 2}});
  EXPECT_FALSE(f.network.open(0, 1));
  f.network.heal(1);
  EXPECT_FALSE(f.network.open(0, 1)) << "the second cut still blocks it";
  EXPECT_TRUE(f.network.open(1, 0));
  f.network.heal(2);
  EXPECT_TRUE(f.network.open(0, 1));
  EXPECT_TRUE(f.network.open(0, 2));
}

TEST(Cuts, AllHealAtOnceWithoutALabel) {
  Fixture f;
  f.network.cut(1, {{0, 1}});
  f.network.cut(2, {{0, 1}, {3, 4}});
  f.network.heal(0);
  EXPECT_TRUE(f.network.open(0, 1));
  EXPECT_TRUE(f.network.open(3, 4));
  EXPECT_FALSE(f.network.any_cut());
}

TEST(Frames, AreLostOnACutLink) {
  Fixture f;
  f.network.cut(1, {{0, 1}});
  EXPECT_FALSE(f.network.send(0, 1, 100, 0s).first);
  EXPECT_TRUE(f.network.send(1, 0, 100, 0s).first);
}

TEST(Frames, ArriveInOrderUnlessTheNetworkReorders) {
  for (const std::uint64_t reorder : {0u, 1u}) {
    Options options;
    options.reorder = reorder;
    options.latency_max = 10ms;
    Network network(options, 2, Prng(7));
    Instant last{};
    int overtaken = 0;
    for (int i = 0; i < 200; ++i) {
      const Instant arrives = *network.send(0, 1, 100, i * 100us).first;
      if (arrives < last) ++overtaken;
      last = arrives;
    }
    EXPECT_EQ(overtaken > 0, reorder == 1);
  }
}

TEST(Frames, AreLostDoubledAndCorruptedAboutAsOftenAsTheWeatherSays) {
  Fixture f;
  f.network.weather(250'000, 500'000, 100'000);
  int lost = 0;
  int doubled = 0;
  int corrupt = 0;
  for (int i = 0; i < 4000; ++i) {
    const Fate fate = f.network.send(0, 1, 100, 0s);
    lost += fate.first ? 0 : 1;
    doubled += fate.second ? 1 : 0;
    corrupt += fate.corrupt ? 1 : 0;
  }
  EXPECT_NEAR(lost, 1000, 150);
  EXPECT_NEAR(doubled, 1500, 200);
  EXPECT_NEAR(corrupt, 300, 100);
}

TEST(Frames, WaitForBandwidthAndAreDroppedWhenTheBacklogIsLong) {
  Options options;
  options.bandwidth = 10'000;
  Network network(options, 2, Prng(7));
  const Instant first = *network.send(0, 1, 1'000, 0s).first;
  EXPECT_GE(first, 100ms);
  const Instant second = *network.send(0, 1, 1'000, 0s).first;
  EXPECT_GE(second, 200ms);
  EXPECT_TRUE(network.send(0, 1, 1'000, 0s).first);
  EXPECT_FALSE(network.send(0, 1, 1'000, 0s).first);
}

TEST(Clogging, HoldsFrames) {
  Fixture f;
  f.network.clog(0, 1, true);
  EXPECT_TRUE(f.network.send(0, 1, 100, 0s).clogged);
  EXPECT_FALSE(f.network.send(1, 0, 100, 0s).clogged);
}

}  // namespace
}  // namespace raftkv::sim
