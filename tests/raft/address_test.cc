// Where others are that no configuration names here.
#include <gtest/gtest.h>

#include "tests/raft/cluster.h"

namespace raftkv::raft {
namespace {

constexpr MemberId kSelf{1};
constexpr MemberId kStranger{9};

// A node in term 3 that knows of itself and of 2 only.
class Addresses : public testing::Test {
 protected:
  Addresses() {
    cluster_.add(kSelf, configuration_of({1, 2}, {}), {1}, HardState{Term(3), MemberId()});
    cluster_.start(kSelf);
  }
  void receive(Term term, Message message) {
    const Route route{.cluster = cluster_.raft(kSelf).identity().cluster,
                      .from = kStranger,
                      .from_incarnation = Incarnation(1),
                      .to = kSelf,
                      .to_incarnation = {}};
    cluster_.act(kSelf, [&](Raft& raft) {
      raft.receive({route, term, std::move(message)}, cluster_.now());
    });
  }
  void expect_an_answer_to(const std::string& address) {
    ASSERT_EQ(cluster_.network().size(), 1u);
    EXPECT_EQ(cluster_.network().front().route.to, kStranger);
    EXPECT_EQ(cluster_.network().front().term, Term(3)) << "it learns of the later term";
    const std::string* const told = cluster_.raft(kSelf).told_address(kStranger);
    ASSERT_NE(told, nullptr);
    EXPECT_EQ(*told, address);
  }

  Cluster cluster_{1};
};

// Seed 60018685 of a hunt: it had lost its state, and with it the configuration that named the
// leader; its answers went nowhere, and the leader led on in the term before.
TEST_F(Addresses, ALeaderOfAnOlderTermIsAnsweredWhereItSaysThatItIs) {
  AppendEntries heartbeat;
  heartbeat.leader_address = "r:9";
  receive(Term(2), heartbeat);
  expect_an_answer_to("r:9");
}

TEST_F(Addresses, SoIsOneThatSendsASnapshot) {
  InstallSnapshot chunk;
  chunk.leader_address = "r:9";
  receive(Term(2), chunk);
  expect_an_answer_to("r:9");
}

TEST_F(Addresses, ACandidateIsAnsweredWhereItSaysThatItIs) {
  PreVote request;
  request.next_term = Term(3);
  request.candidate_address = "r:9";
  receive(Term(2), request);
  expect_an_answer_to("r:9");
}

TEST_F(Addresses, WhoSaysNothingIsNowhere) {
  receive(Term(2), AppendEntries{});
  EXPECT_EQ(cluster_.raft(kSelf).told_address(kStranger), nullptr);
}

}  // namespace
}  // namespace raftkv::raft
