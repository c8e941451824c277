// Loop: the order in which a node's one thread does what is ready. Asio alone takes everything in
// the order in which it became ready: with many clients, what a worker reports and what a peer has
// sent would wait behind a hundred requests, and the Host's turn behind a hundred more. So:
//
//   1. what workers report, and then the Host's turn at once: a disk that is done gets its next
//      write, a client its answer
//   2. inputs, one by one: requests, frames, timers
//   3. a turn when no input is ready or a few have been taken; before the latter, what peers sent
//
// With nothing of these to do it looks for a moment, if inputs have come quickly, and then sleeps.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "src/app/busy_poll.h"
#include "src/replica/ports.h"

namespace raftkv::app {

class Loop {
 public:
  // Inputs that are taken before a turn that was asked for. More: larger batches, fewer messages;
  // fewer: each waits for less.
  static constexpr std::size_t kInputsPerTurn = 32;

  // `context` must outlive it, and is run by nobody else while run() does. `busy_poll`: for how
  // long the loop, and the workers that report to it, look for work before they sleep.
  explicit Loop(boost::asio::io_context& context, Duration busy_poll = {})
      : context_(context), busy_poll_limit_(busy_poll), busy_poll_(busy_poll) {}
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  [[nodiscard]] boost::asio::io_context& context() { return context_; }
  [[nodiscard]] Duration busy_poll_limit() const { return busy_poll_limit_; }

  // What to call: `turn` is Host::turn and what goes with it; `peers` looks whether peers have sent
  // something, out of turn. Before run(); both outlive its last run.
  void attach(std::move_only_function<void()> turn, std::move_only_function<void()> peers);

  // Calls `turn` once, soon. Asked for again before that, it is one call. On the loop.
  void turn_soon() { turn_asked_ = true; }
  // run() calls `done` with this, before any input that is ready. Any thread.
  void report(replica::Done done, Status status);

  // Until the context is stopped, or has nothing left to wait for.
  void run();

 private:
  using Reports = std::vector<std::pair<replica::Done, Status>>;
  void take_reports();
  void turn();
  // False: none is ready.
  bool take_input();
  // Waits for an input, or a report. False: there is nothing left to wait for.
  bool sleep();

  boost::asio::io_context& context_;
  std::move_only_function<void()> turn_;
  std::move_only_function<void()> peers_;
  bool turn_asked_ = false;
  bool urgent_ = false;     // workers have reported since the last turn
  std::size_t inputs_ = 0;  // since the last turn
  const Duration busy_poll_limit_;
  BusyPoll<> busy_poll_;

  std::mutex mutex_;  // of the next line
  Reports reports_;
  // Whoever reports sets the first and then looks at the second; before the loop sleeps it sets the
  // second and then looks at the first. So one of them sees the other's. The second stays set while
  // the input is taken that ended the sleep: whoever reports meanwhile posts once for nothing.
  std::atomic<bool> reported_ = false;
  std::atomic<bool> sleeping_ = false;
  Reports taking_;
};

}  // namespace raftkv::app
