// The agenda gives its events in order of time, and within an instant in the order in which they
// were pushed, however they are spread over its rows and its heap.
#include "sim/event_queue.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <utility>

#include "src/base/prng.h"

namespace raftkv::sim {
namespace {

// A queue beside what it has to be: a map by time and order.
struct Checked {
  EventQueue queue;
  std::map<std::pair<Instant, std::uint64_t>, std::uint32_t> expected;
  std::uint32_t pushed = 0;

  void push(Instant at) {
    ++pushed;
    expected[{at, pushed}] = pushed;
    queue.push({.at = at, .payload = pushed});
  }
  [[nodiscard]] testing::AssertionResult pops_the_next(Instant& now) {
    const auto [when, payload] = *expected.begin();
    expected.erase(expected.begin());
    const Event top = queue.top();
    const Event event = queue.pop();
    now = event.at;
    if (top.order == event.order && event.payload == payload && event.at == when.first)
      return testing::AssertionSuccess();
    return testing::AssertionFailure() << "event " << event.payload << " instead of " << payload
                                       << "; top said " << top.payload;
  }
};

TEST(EventQueue, GivesTheScheduleTheTimeoutsAndTheRestInOrder) {
  Prng prng(1);
  for (int run = 0; run < 50; ++run) {
    Checked checked;
    Instant scheduled{};
    for (int i = 0; i < 200; ++i) {
      scheduled += Duration(static_cast<std::int64_t>(prng.below(3)));
      checked.push(scheduled);
    }
    Instant now{};
    for (int step = 0; step < 2'000 && !checked.expected.empty(); ++step) {
      ASSERT_TRUE(checked.pops_the_next(now)) << "run " << run << ", step " << step;
      // A timeout far ahead, something soon, something at this very instant; ever fewer of them.
      if (prng.chance(1, 3)) checked.push(now + Duration(100));
      if (prng.chance(1, 3))
        checked.push(now + Duration(static_cast<std::int64_t>(prng.below(20))));
      if (prng.chance(1, 4)) checked.push(now);
    }
    while (!checked.expected.empty()) ASSERT_TRUE(checked.pops_the_next(now)) << "run " << run;
    EXPECT_TRUE(checked.queue.empty());
  }
}

TEST(EventQueue, GivesAnyOrderOfPushesInOrder) {
  Prng prng(2);
  for (int run = 0; run < 50; ++run) {
    Checked checked;
    for (int i = 0; i < 300; ++i)
      checked.push(Duration(static_cast<std::int64_t>(prng.below(100))));
    EXPECT_EQ(checked.queue.size(), 300u);
    Instant now{};
    while (!checked.expected.empty()) ASSERT_TRUE(checked.pops_the_next(now)) << "run " << run;
  }
}

}  // namespace
}  // namespace raftkv::sim
