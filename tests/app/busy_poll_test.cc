#include "src/app/busy_poll.h"

#include <gtest/gtest.h>

namespace raftkv::app {
namespace {

// Goes on by 10 us whenever somebody looks.
struct SlowClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<SlowClock>;
  [[maybe_unused]] static constexpr bool is_steady = true;
  static time_point now() { return time_point(passed += 10us); }
  static inline Duration passed{};
};

constexpr Duration kLimit = 200us;

// How often a thread looks before it sleeps.
int looks(BusyPoll<SlowClock>& busy_poll) {
  int count = 0;
  EXPECT_FALSE(busy_poll([&] { return ++count < 0; }));
  return count;
}
void wait_for(BusyPoll<SlowClock>& busy_poll, Duration time) {
  (void)looks(busy_poll);
  SlowClock::passed += time;
  busy_poll.slept();
}

TEST(BusyPoll, LooksOnlyAfterAShortWait) {
  BusyPoll<SlowClock> busy_poll(kLimit);
  EXPECT_EQ(looks(busy_poll), 0) << "nothing is known yet";
  wait_for(busy_poll, 50us);
  EXPECT_GT(looks(busy_poll), 10);
  wait_for(busy_poll, 5ms);
  EXPECT_EQ(looks(busy_poll), 0) << "nothing came for long";
  wait_for(busy_poll, 50us);
  EXPECT_GT(looks(busy_poll), 10);
}

TEST(BusyPoll, LooksForNoLongerThanTheLimit) {
  BusyPoll<SlowClock> busy_poll(kLimit);
  wait_for(busy_poll, 50us);
  const Duration before = SlowClock::passed;
  EXPECT_LE(looks(busy_poll), kLimit / 10us);
  EXPECT_LE(SlowClock::passed - before, kLimit + 20us);
}

TEST(BusyPoll, StopsLookingWhenThereIsSomething) {
  BusyPoll<SlowClock> busy_poll(kLimit);
  wait_for(busy_poll, 50us);
  int count = 0;
  EXPECT_TRUE(busy_poll([&] { return ++count == 3; }));
  EXPECT_EQ(count, 3);
  EXPECT_GT(looks(busy_poll), 10) << "that was a short wait as well";
}

TEST(BusyPoll, NeverLooksWithALimitOfNothing) {
  BusyPoll<SlowClock> busy_poll{Duration(0)};
  const Duration before = SlowClock::passed;
  wait_for(busy_poll, Duration(0));
  EXPECT_EQ(looks(busy_poll), 0);
  EXPECT_EQ(SlowClock::passed, before) << "nor asks what time it is";
}

}  // namespace
}  // namespace raftkv::app
