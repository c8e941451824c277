// The joining machine: whom it asks, how long it waits, when it gives up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/replica/join.h"

namespace raftkv::replica {
namespace {

using testing::HasSubstr;

class Join3 : public testing::Test {
 protected:
  Join3() : joining(options()) {}

  static JoinOptions options() {
    JoinOptions out;
    out.endpoints = {"a:1", "b:1", "c:1"};
    out.request.name = "node04";
    return out;
  }
  // Whom it asks now; "" if nobody.
  std::string asks() {
    const JoinStep step = joining.next(now);
    const auto* send = std::get_if<JoinSend>(&step);
    return send == nullptr ? "" : send->endpoint;
  }
  // How long it waits now.
  Duration waits() {
    const JoinStep step = joining.next(now);
    const auto* wait = std::get_if<JoinWait>(&step);
    return wait == nullptr ? Duration(0) : wait->until - now;
  }
  void answer(const JoinAnswer& a) { joining.answer(a, now); }
  std::string failure() {
    const JoinStep step = joining.next(now);
    const auto* failed = std::get_if<JoinFailed>(&step);
    return failed == nullptr ? "" : failed->error.message;
  }

  Joining joining;
  Time now{1h};
};

TEST_F(Join3, AsksTheFirstEndpointUntilItAnswers) {
  EXPECT_EQ(asks(), "a:1");
  now += 1s;
  EXPECT_EQ(asks(), "a:1");
}

TEST_F(Join3, IsDoneWhenAMemberAccepts) {
  (void)asks();
  answer(JoinAccepted{raft::ClusterId(7), raft::MemberId(9)});
  const JoinStep step = joining.next(now);
  ASSERT_TRUE(std::holds_alternative<JoinDone>(step));
  EXPECT_EQ(std::get<JoinDone>(step).cluster, raft::ClusterId(7));
  EXPECT_EQ(std::get<JoinDone>(step).member, raft::MemberId(9));
}

TEST_F(Join3, FollowsARedirectAtOnce) {
  (void)asks();
  answer(JoinRedirected{"leader:1"});
  EXPECT_EQ(asks(), "leader:1");
}

TEST_F(Join3, AsksEachInTurnAndWaitsLongerEachTime) {
  std::vector<std::string> asked;
  std::vector<Duration> waited;
  for (int i = 0; i < 7; ++i) {
    asked.push_back(asks());
    answer(JoinRetry{"refused"});
    EXPECT_EQ(asks(), "");
    waited.push_back(waits());
    now += waited.back();
  }
  EXPECT_THAT(asked, testing::ElementsAre("a:1", "b:1", "c:1", "a:1", "b:1", "c:1", "a:1"));
  EXPECT_THAT(waited, testing::ElementsAre(125ms, 250ms, 500ms, 1s, 2s, 2s, 2s));
}

TEST_F(Join3, AsksTheMemberAgainThatNamedADeadLeader) {
  (void)asks();
  answer(JoinRedirected{"leader:1"});
  (void)asks();
  answer(JoinRetry{"refused"});
  now += waits();
  EXPECT_EQ(asks(), "a:1") << "it may know the new leader by now";
}

TEST_F(Join3, RedirectsInACircleAreAFailureToo) {
  (void)asks();
  int redirects = 0;
  for (; asks() != "" && redirects < 100; ++redirects)
    answer(JoinRedirected{redirects % 2 ? "a:1" : "b:1"});
  EXPECT_LT(redirects, 10);
  EXPECT_GT(waits(), Duration(0));
}

TEST_F(Join3, AFinalAnswerEndsIt) {
  (void)asks();
  answer(JoinRefused{"the id belongs to a member that is alive"});
  EXPECT_THAT(failure(), HasSubstr("a:1"));
  EXPECT_THAT(failure(), HasSubstr("alive"));
}

TEST_F(Join3, GivesUpAtTheDeadlineAndSaysWhatTheLastOneSaid) {
  (void)asks();
  answer(JoinRetry{"connection refused"});
  now += 59s;
  EXPECT_EQ(failure(), "");
  now += 1s;
  EXPECT_THAT(failure(), HasSubstr("a:1: connection refused"));
  EXPECT_THAT(failure(), HasSubstr("--join"));
  answer(JoinAccepted{raft::ClusterId(7), raft::MemberId(9)});
  EXPECT_NE(failure(), "") << "too late";
}

TEST_F(Join3, NeverWaitsBeyondTheDeadline) {
  (void)asks();
  now += 59'950ms;
  answer(JoinRetry{"refused"});
  EXPECT_EQ(waits(), 50ms);
}

}  // namespace
}  // namespace raftkv::replica
