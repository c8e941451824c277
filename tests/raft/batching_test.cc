#include "src/raft/batching.h"

#include <gtest/gtest.h>

#include "src/base/time.h"

namespace raftkv::raft {
namespace {

using Verdict = Batching::Verdict;

constexpr Duration kWaitMax = 5ms;

// A leader's log: who proposes lengthens it, and a turn asks what leaves.
class Leader {
 public:
  explicit Leader(Duration wait_max = kWaitMax) : wait_max_(wait_max) {
    batching_.begin_term(last_, wait_max_, now_);
    commit();
  }

  void propose(std::uint64_t entries = 1) { last_ = last_ + entries; }
  // A turn of its own: nobody answered can propose before it.
  void commit() {
    committed_ = batching_.end();
    after_commit_ = turn();
  }
  void pass(Duration time) { now_ += time; }
  Verdict turn(bool fills_a_message = false) {
    return batching_.decide(last_, committed_, fills_a_message, wait_max_, now_);
  }

  // A batch of so many, which takes so long until it is committed; its clients are not back yet.
  void batch(std::uint64_t entries, Duration took) {
    propose(entries);
    pass(kWaitMax);  // nobody from before is waited for
    turn();
    EXPECT_EQ(batching_.end(), last_);
    pass(took);
    commit();
    EXPECT_EQ(after_commit(), Verdict::nothing_new);
  }

  [[nodiscard]] Verdict after_commit() const { return after_commit_; }
  [[nodiscard]] const Batching& batching() const { return batching_; }
  [[nodiscard]] Time now() const { return now_; }

 private:
  Duration wait_max_;
  Index last_{7};
  Index committed_;
  Time now_ = Time() + 1s;
  Batching batching_;
  Verdict after_commit_{};
};

TEST(Batching, OneClientNeverWaits) {
  Leader leader;
  for (int i = 0; i < 5; ++i) {
    leader.propose();
    EXPECT_EQ(leader.turn(), Verdict::leaves);
    EXPECT_EQ(leader.turn(), Verdict::nothing_new);
    leader.pass(1ms);
    leader.commit();
    EXPECT_EQ(leader.after_commit(), Verdict::nothing_new);
  }
}

TEST(Batching, WhatComesMeanwhileWaitsForTheCommit) {
  Leader leader;
  leader.propose();
  ASSERT_EQ(leader.turn(), Verdict::leaves);
  const Index end = leader.batching().end();
  leader.pass(1ms);
  leader.propose(3);
  EXPECT_EQ(leader.turn(), Verdict::waits_for_commit);
  EXPECT_EQ(leader.batching().end(), end);
  EXPECT_EQ(leader.batching().deadline(), leader.now() - 1ms + kWaitMax);
}

TEST(Batching, ThenForThoseWhoWereAnswered) {
  Leader leader;
  leader.batch(20, 2ms);
  leader.propose(17);
  EXPECT_EQ(leader.turn(), Verdict::waits_for_clients);
  leader.propose();  // nine tenths of them
  EXPECT_EQ(leader.turn(), Verdict::leaves);
}

TEST(Batching, ThoseWhoWaitedAlreadyDoNotCountAsBack) {
  Leader leader;
  leader.propose(10);
  ASSERT_EQ(leader.turn(), Verdict::leaves);
  leader.propose(30);
  leader.pass(1ms);
  ASSERT_EQ(leader.turn(), Verdict::waits_for_commit);
  leader.commit();
  EXPECT_EQ(leader.after_commit(), Verdict::waits_for_clients);
  leader.propose(8);
  EXPECT_EQ(leader.turn(), Verdict::waits_for_clients);
  leader.propose();
  EXPECT_EQ(leader.turn(), Verdict::leaves);
}

TEST(Batching, ForNoLongerThanTheBatchTook) {
  Leader leader;
  leader.batch(20, 2ms);
  leader.propose();
  leader.pass(2ms - 1ns);
  EXPECT_EQ(leader.turn(), Verdict::waits_for_clients);
  leader.pass(1ns);
  EXPECT_EQ(leader.turn(), Verdict::leaves_without_some);
  // The one who came back is the only one who is waited for from now on.
  leader.pass(1ms);
  leader.commit();
  leader.propose();
  EXPECT_EQ(leader.turn(), Verdict::leaves);
}

TEST(Batching, WhoComesMuchLaterIsNotHeldBack) {
  Leader leader;
  leader.batch(20, 2ms);
  leader.pass(1s);
  leader.propose();
  EXPECT_EQ(leader.turn(), Verdict::leaves_without_some);
}

TEST(Batching, NeitherWaitIsLongerThanItsLimit) {
  Leader leader;
  leader.propose(20);
  ASSERT_EQ(leader.turn(), Verdict::leaves);
  leader.propose();
  leader.pass(kWaitMax - 1ns);
  EXPECT_EQ(leader.turn(), Verdict::waits_for_commit);
  leader.pass(1ns);
  EXPECT_EQ(leader.turn(), Verdict::leaves_overdue);

  leader.batch(20, 30ms);  // a long way to a majority
  leader.propose();
  EXPECT_EQ(leader.batching().deadline(), leader.now() + kWaitMax);
  leader.pass(kWaitMax);
  EXPECT_EQ(leader.turn(), Verdict::leaves_without_some);
}

TEST(Batching, WhatFillsAMessageWaitsForNothing) {
  Leader leader;
  leader.propose();
  ASSERT_EQ(leader.turn(), Verdict::leaves);
  leader.propose(5);
  EXPECT_EQ(leader.turn(true), Verdict::leaves);
  leader.batch(20, 2ms);
  leader.propose(5);
  EXPECT_EQ(leader.turn(true), Verdict::leaves);
}

TEST(Batching, WithoutATimeToWaitEverythingLeavesAtOnce) {
  Leader leader(0ms);
  for (int i = 0; i < 3; ++i) {
    leader.propose(10);
    EXPECT_EQ(leader.turn(), Verdict::leaves);
  }
  leader.commit();
  leader.propose();
  EXPECT_EQ(leader.turn(), Verdict::leaves);
}

TEST(Batching, ANewTermForgetsTheBatchesOfAnEarlierOne) {
  Batching batching;
  batching.begin_term(Index(1), kWaitMax, Time());
  ASSERT_EQ(batching.decide(Index(40), Index(1), false, kWaitMax, Time()), Verdict::leaves);
  batching.begin_term(Index(30), kWaitMax, Time() + 1s);  // a leader between them has cut the log
  EXPECT_EQ(batching.end(), Index(30));
  EXPECT_EQ(batching.decide(Index(31), Index(29), false, kWaitMax, Time() + 1s),
            Verdict::waits_for_commit);
  EXPECT_EQ(batching.decide(Index(31), Index(30), false, kWaitMax, Time() + 1s + 1ms),
            Verdict::leaves);
}

}  // namespace
}  // namespace raftkv::raft
