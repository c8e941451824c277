// The order of the loop; the real clock and the real worker on it.
#include "src/app/loop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "src/app/loop_clock.h"
#include "src/app/thread_worker.h"

namespace raftkv::app {
namespace {

namespace asio = boost::asio;

// A Loop whose steps a test sees, in order.
struct Steps {
  asio::io_context context{1};
  Loop loop{context};
  std::vector<std::string> seen;

  Steps() {
    loop.attach([this] { seen.emplace_back("turn"); }, [this] { seen.emplace_back("peers"); });
  }
  void input(std::function<void()> what) { asio::post(context, std::move(what)); }
  std::ptrdiff_t count(const std::string& step) const { return std::ranges::count(seen, step); }
};

TEST(Loop, TurnsOnceForAllThatAskedBefore) {
  Steps steps;
  for (int i = 0; i < 3; ++i) steps.input([&] { steps.loop.turn_soon(); });
  steps.loop.run();
  EXPECT_EQ(steps.seen, std::vector<std::string>{"turn"});
  steps.context.restart();
  steps.loop.run();
  EXPECT_EQ(steps.count("turn"), 1) << "nobody asked again";
}

TEST(Loop, TurnsWhenNoInputIsReady) {
  Steps steps;
  steps.input([&] {
    steps.loop.turn_soon();
    steps.seen.emplace_back("first");
  });
  steps.input([&] { steps.seen.emplace_back("second"); });
  steps.loop.run();
  EXPECT_EQ(steps.seen, (std::vector<std::string>{"first", "second", "turn"}));
}

TEST(Loop, TurnsBetweenManyInputsAndLooksAtPeersBefore) {
  Steps steps;
  constexpr std::size_t kInputs = 3 * Loop::kInputsPerTurn + 1;
  for (std::size_t i = 0; i < kInputs; ++i) {
    steps.input([&] {
      steps.loop.turn_soon();
      steps.seen.emplace_back("input");
    });
  }
  steps.loop.run();
  EXPECT_EQ(steps.count("turn"), 4);
  EXPECT_EQ(steps.count("peers"), 3);
  EXPECT_EQ(steps.seen[Loop::kInputsPerTurn], "peers");
  EXPECT_EQ(steps.seen[Loop::kInputsPerTurn + 1], "turn");
}

// A disk that is done does not wait behind the requests that are ready.
TEST(Loop, ReportsOvertakeInputsAndTurnAtOnce) {
  Steps steps;
  steps.input([&] {
    steps.seen.emplace_back("input");
    steps.loop.report(
        [&](const Status&) {
          steps.seen.emplace_back("report");
          steps.loop.turn_soon();
        },
        {});
  });
  steps.input([&] { steps.seen.emplace_back("input"); });
  steps.loop.run();
  EXPECT_EQ(steps.seen, (std::vector<std::string>{"input", "report", "turn", "input"}));
}

TEST(Loop, AReportWakesIt) {
  Steps steps;
  auto work = asio::make_work_guard(steps.context);
  std::thread other([&] {
    steps.loop.report(
        [&](const Status&) {
          steps.loop.turn_soon();
          work.reset();
        },
        {});
  });
  steps.loop.run();
  other.join();
  EXPECT_EQ(steps.seen, std::vector<std::string>{"turn"});
}

// Each report finds the loop asleep, or about to be: one that is missed would end this test never.
TEST(Loop, EveryReportWakesIt) {
  for (const Duration busy_poll : {Duration(0), Duration(20us)}) {
    asio::io_context context{1};
    Loop loop(context, busy_poll);
    loop.attach([] {}, [] {});
    auto work = asio::make_work_guard(context);
    constexpr int kReports = 20'000;
    std::atomic<int> taken = 0;
    std::thread other([&] {
      for (int i = 1; i <= kReports; ++i) {
        loop.report(
            [&, i](const Status&) {
              if (i == kReports) work.reset();
              taken = i;
              taken.notify_one();
            },
            {});
        taken.wait(i - 1);
      }
    });
    loop.run();
    other.join();
    EXPECT_EQ(taken, kReports);
  }
}

// A wake-up is a system call, and an input more.
TEST(Loop, ALoopThatIsAwakeIsNotWoken) {
  Steps steps;
  std::size_t ready = 0;
  steps.input([&] {
    std::thread([&] { steps.loop.report([](const Status&) {}, {}); }).join();
    ready = steps.context.poll();
  });
  steps.loop.run();
  EXPECT_EQ(ready, 0u);
}

TEST(LoopClock, WakesAtTheLastTimeThatWasAskedFor) {
  asio::io_context context{1};
  Loop loop(context);
  loop.attach([] {}, [] {});
  LoopClock clock(loop);
  int expired = 0;
  Time at;
  clock.attach([&] {
    ++expired;
    at = clock.now();
  });
  const Time start = clock.now();
  clock.wake_at(start + 5ms);
  clock.wake_at(start + 20ms);  // later: the timer is armed anew only when the first has passed
  loop.run();
  EXPECT_EQ(expired, 1);
  EXPECT_GE(at, start + 20ms);

  clock.wake_at(start + 1h);
  clock.wake_at(clock.now() + 1ms);  // earlier
  context.restart();
  loop.run();
  EXPECT_EQ(expired, 2);
}

TEST(LoopClock, DoesNotWakeWhenNobodyWantsItAnyMore) {
  asio::io_context context{1};
  Loop loop(context);
  loop.attach([] {}, [] {});
  LoopClock clock(loop);
  int expired = 0;
  clock.attach([&] { ++expired; });
  clock.wake_at(clock.now() + 1ms);
  clock.wake_at(kNever);
  loop.run();
  EXPECT_EQ(expired, 0);
}

TEST(ThreadWorker, RunsJobsInOrderOffTheLoopAndReportsOnIt) {
  asio::io_context context{1};
  Loop loop(context);
  loop.attach([] {}, [] {});
  auto work = asio::make_work_guard(context);
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

TEST(ThreadWorker, RunsAShortJobOnTheLoopIfNothingIsBeforeIt) {
  asio::io_context context{1};
  Loop loop(context);
  loop.attach([] {}, [] {});
  auto work = asio::make_work_guard(context);
  ThreadWorker worker(loop, "test");
  const auto loop_thread = std::this_thread::get_id();
  std::vector<std::string> ran;
  std::vector<std::string> reported;
  std::promise<void> may_end;
  const auto job = [&](const std::string& name) {
    return [&ran, name, loop_thread]() -> Status {
      ran.push_back(std::this_thread::get_id() == loop_thread ? name + " here" : name);
      return {};
    };
  };
  const auto note = [&](const std::string& name) {
    return [&reported, name](const Status&) { reported.push_back(name); };
  };
  worker.run_short(job("first"), note("first"));
  EXPECT_EQ(ran, std::vector<std::string>{"first here"});
  EXPECT_TRUE(reported.empty()) << "as with any other job";

  worker.run(
      [&, long_job = job("long")]() mutable -> Status {
        may_end.get_future().wait();
        return long_job();
      },
      note("long"));
  worker.run_short(job("behind"), [&](const Status&) {
    reported.push_back("behind");
    worker.run_short(job("last"), [&](const Status&) {
      reported.push_back("last");
      work.reset();
    });
  });
  may_end.set_value();
  loop.run();
  worker.stop();
  EXPECT_EQ(reported, (std::vector<std::string>{"first", "long", "behind", "last"}));
  ASSERT_EQ(ran.size(), 4u);
  EXPECT_EQ(ran[1], "long");
  EXPECT_EQ(ran[2], "behind");
  EXPECT_TRUE(ran[3] == "last here" || ran[3] == "last");
}

TEST(ThreadWorker, FinishesWhatItWasGivenBeforeItStops) {
  asio::io_context context{1};
  Loop loop(context);
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
