// The real clock and the real worker on a real loop.
#include <gtest/gtest.h>

#include <boost/asio/post.hpp>
#include <thread>
#include <vector>

#include "src/app/loop_clock.h"
#include "src/app/thread_worker.h"

namespace raftkv::app {
namespace {

namespace asio = boost::asio;

TEST(LoopClock, TurnsOnceForAllThatAskedBefore) {
  asio::io_context loop{1};
  LoopClock clock(loop);
  int turns = 0;
  clock.attach([] {}, [&] { ++turns; });
  clock.turn_soon();
  clock.turn_soon();
  loop.poll();
  EXPECT_EQ(turns, 1);
  clock.turn_soon();
  loop.restart();
  loop.poll();
  EXPECT_EQ(turns, 2);
}

TEST(LoopClock, TurnsAfterTheInputsThatAreReady) {
  asio::io_context loop{1};
  LoopClock clock(loop);
  std::vector<int> order;
  clock.attach([] {}, [&] { order.push_back(0); });
  asio::post(loop, [&] {
    clock.turn_soon();
    order.push_back(1);
  });
  asio::post(loop, [&] { order.push_back(2); });
  loop.poll();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 0}));
}

TEST(LoopClock, WakesAtTheLastTimeThatWasAskedFor) {
  asio::io_context loop{1};
  LoopClock clock(loop);
  int expired = 0;
  Time at;
  clock.attach(
      [&] {
        ++expired;
        at = clock.now();
      },
      [] {});
  const Time start = clock.now();
  clock.wake_at(start + 5ms);
  clock.wake_at(start + 20ms);  // later: the timer is armed anew only when the first has passed
  loop.run();
  EXPECT_EQ(expired, 1);
  EXPECT_GE(at, start + 20ms);

  clock.wake_at(start + 1h);
  clock.wake_at(clock.now() + 1ms);  // earlier
  loop.restart();
  loop.run();
  EXPECT_EQ(expired, 2);
}

TEST(LoopClock, DoesNotWakeWhenNobodyWantsItAnyMore) {
  asio::io_context loop{1};
  LoopClock clock(loop);
  int expired = 0;
  clock.attach([&] { ++expired; }, [] {});
  clock.wake_at(clock.now() + 1ms);
  clock.wake_at(kNever);
  loop.run();
  EXPECT_EQ(expired, 0);
}

TEST(ThreadWorker, RunsJobsInOrderOffTheLoopAndReportsOnIt) {
  asio::io_context loop{1};
  auto work = asio::make_work_guard(loop);
  ThreadWorker worker(loop, "test");
  const auto loop_thread = std::this_thread::get_id();
  std::vector<int> ran;  // by the worker only
  std::vector<int> reported;
  for (int i = 0; i < 100; ++i) {
    worker.run(
        [&ran, i, loop_thread]() -> Status {
          if (std::this_thread::get_id() == loop_thread)
            return failure(ErrorCode::invalid, "on the loop");
          ran.push_back(i);
          if (i == 50) return failure(ErrorCode::fatal, "fifty");
          return {};
        },
        [&, i](Status status) {
          EXPECT_EQ(std::this_thread::get_id(), loop_thread);
          EXPECT_EQ(status.has_value(), i != 50);
          reported.push_back(i);
          if (i == 99) work.reset();
        });
  }
  loop.run();
  worker.stop();
  EXPECT_EQ(ran.size(), 100u);
  EXPECT_EQ(ran, reported);
}

TEST(ThreadWorker, FinishesWhatItWasGivenBeforeItStops) {
  asio::io_context loop{1};
  int ran = 0;
  {
    ThreadWorker worker(loop, "test");
    for (int i = 0; i < 10; ++i) {
      worker.run(
          [&ran]() -> Status {
            ++ran;
            return {};
          },
          [](const Status&) {});
    }
  }
  EXPECT_EQ(ran, 10);
}

}  // namespace
}  // namespace raftkv::app
