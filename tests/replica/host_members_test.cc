// The Host of three nodes: who is a member, how far each is, and where it is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/replica/host_cluster.h"

namespace raftkv::replica {
namespace {

using testing::HasSubstr;

// --- members ---

TEST_F(Cluster, LearnerComesFirstThenTheVoter) {
  World::Node& fourth = world.add("n4");
  const std::string leader = world.elect();
  const Request join =
      Join{"n4", fourth.http_address, fourth.raft_address, fourth.identity.instance};
  const Reply reply = world.ask(leader, join);
  ASSERT_TRUE(std::holds_alternative<Joined>(reply.answer)) << failure_of(reply)->detail;
  const Joined joined = std::get<Joined>(reply.answer);
  EXPECT_EQ(joined.cluster, world.cluster());
  ASSERT_EQ(joined.members.members.size(), 4u);
  EXPECT_FALSE(joined.members.members.back().voter);
  EXPECT_GE(world.host(leader).applied().applied, joined.members.index)
      << "answered before it was committed";

  // The same again answers the same.
  const Reply again = world.ask(leader, join);
  ASSERT_TRUE(std::holds_alternative<Joined>(again.answer));
  EXPECT_EQ(std::get<Joined>(again.answer).member, joined.member);

  fourth.identity.member = joined.member;
  world.start("n4");
  EXPECT_EQ(world.host("n4").status().role, "learner");
  ASSERT_TRUE(world.run_until([&] { return world.host("n4").status().role == "follower"; }));
  world.run_for(500ms);
  EXPECT_TRUE(world.host("n4").status().ready) << world.host("n4").status().not_ready;
  EXPECT_EQ(world.host("n4").applied().digest, world.host(leader).applied().digest);
}

TEST_F(Cluster, LearnerThatNeverAnswersCostsNoQuorum) {
  World::Node& fourth = world.add("n4");
  world.ask(world.elect(),
            Join{"n4", fourth.http_address, fourth.raft_address, fourth.identity.instance});
  world.kill(follower(), true);
  const Reply reply = world.ask(world.elect(), set("k", "v"));
  EXPECT_TRUE(std::holds_alternative<Written>(reply.answer));
}

TEST_F(Cluster, JoinUnderAnAddressOfAnotherIsRefused) {
  const Reply reply =
      world.ask(world.elect(), Join{"n4", "n2:http", "n4:raft", raft::InstanceId(77)});
  expect_failure(reply, Problem::address_taken, Effect::not_applied);
}

TEST_F(Cluster, RemovedMemberIsGoneAndMayNotComeBack) {
  const std::string leader = world.elect();
  const std::string gone = follower();
  const raft::InstanceId instance = world.node(gone).identity.instance;
  const Reply reply = world.ask(leader, Remove{gone});
  ASSERT_TRUE(std::holds_alternative<Removed>(reply.answer)) << failure_of(reply)->detail;
  const Reply members = world.ask(leader, GetMembers{});
  EXPECT_EQ(std::get<Members>(members.answer).members.size(), 2u) << "answered before it was gone";
  world.run_for(1s);
  // It was told, knows that it is no member, and asks for no votes.
  const raft::Raft& told = world.host(gone).raft();
  EXPECT_EQ(told.configuration().find(told.identity().member), nullptr);
  EXPECT_EQ(told.commit_index(), world.host(leader).raft().commit_index());
  world.run_for(10s);
  EXPECT_EQ(told.role(), raft::Role::follower);
  expect_failure(world.ask(world.elect(), Join{gone, gone + ":http", gone + ":raft", instance}),
                 Problem::removed_instance, Effect::not_applied);
  expect_failure(world.ask(world.elect(), Remove{gone}), Problem::unknown_member,
                 Effect::not_applied);
}

TEST_F(Cluster, LeaderThatRemovesItselfAnswersAndStepsDown) {
  const std::string leader = world.elect();
  const Reply reply = world.ask(leader, Remove{leader});
  ASSERT_TRUE(std::holds_alternative<Removed>(reply.answer)) << failure_of(reply)->detail;
  ASSERT_TRUE(world.run_until([&] { return world.leader() != leader && !world.leader().empty(); }));
  EXPECT_TRUE(std::holds_alternative<Written>(world.ask(world.elect(), set("k", "v")).answer));
  EXPECT_FALSE(world.host(leader).status().ready);
}

TEST_F(Cluster, MembersShowProgressOnTheLeaderOnly) {
  const std::string leader = world.elect();
  world.ask(leader, set("k", "v"));
  world.run_for(300ms);
  const Members seen = std::get<Members>(world.ask(leader, GetMembers{}).answer);
  ASSERT_EQ(seen.members.size(), 3u);
  for (const MemberInfo& m : seen.members) {
    EXPECT_EQ(m.leader, m.name == leader);
    EXPECT_TRUE(m.voter);
    EXPECT_EQ(m.match, world.host(leader).raft().log().last_index()) << m.name;
    EXPECT_EQ(m.lag, 0u);
    ASSERT_TRUE(m.last_contact_ms.has_value()) << m.name;
    EXPECT_LE(*m.last_contact_ms, 200);
  }
  const Members there = std::get<Members>(world.ask(follower(), GetMembers{}).answer);
  EXPECT_EQ(there.members.size(), 3u);
  EXPECT_FALSE(there.members[0].match.has_value());
}

TEST_F(Cluster, StatusTellsWhoAndHowFar) {
  const std::string leader = world.elect();
  world.ask(leader, set("k", "v"));
  world.run_for(300ms);
  const auto status = std::get<NodeStatus>(world.ask(leader, GetStatus{}).answer);
  EXPECT_EQ(status.name, leader);
  EXPECT_EQ(status.role, "leader");
  EXPECT_EQ(status.cluster, world.cluster());
  EXPECT_EQ(status.commit_index, status.applied_index);
  EXPECT_EQ(status.last_index, status.commit_index);
  EXPECT_EQ(status.first_index, Index(1));
  EXPECT_TRUE(status.ready) << status.not_ready;
  EXPECT_EQ(status.uptime_ms > 0, true);
  EXPECT_EQ(world.host(follower()).status().role, "follower");
}

TEST_F(Cluster, NodeThatFallsBehindWithApplyingIsNotReady) {
  const std::string leader = world.elect();
  world.run_for(2s);
  const std::string slow = follower();
  world.node(slow).apply_stalled = true;
  world.ask(leader, set("k", "v"));
  world.run_for(800ms);
  EXPECT_TRUE(world.host(slow).status().ready) << "not yet a second";
  world.run_for(500ms);
  EXPECT_FALSE(world.host(slow).status().ready);
  EXPECT_THAT(world.host(slow).status().not_ready, HasSubstr("behind"));
  world.node(slow).apply_stalled = false;
  world.run_for(100ms);
  EXPECT_TRUE(world.host(slow).status().ready);
}

TEST_F(Cluster, NodeThatHearsOfWhatItDoesNotHaveIsNotReady) {
  const std::string leader = world.elect();
  const std::string behind = follower();
  world.drop = [&](const World::Packet& p) { return p.to == behind && get_u32(&p.bytes[12]) > 0; };
  world.ask(leader, set("k", "v"));
  world.run_for(1500ms);
  EXPECT_FALSE(world.host(behind).status().ready);
  EXPECT_THAT(world.host(behind).status().not_ready, HasSubstr("behind"));
  world.drop = nullptr;
  world.run_for(500ms);
  EXPECT_TRUE(world.host(behind).status().ready) << world.host(behind).status().not_ready;
}

TEST_F(Cluster, KeepsConnectionsToTheOtherMembers) {
  world.run_for(500ms);
  for (const auto& [name, node] : world.nodes()) {
    std::set<std::string> kept;
    for (const PeerAddress& peer : node->kept) kept.insert(peer.address);
    std::set<std::string> others = {"n1:raft", "n2:raft", "n3:raft"};
    others.erase(name + ":raft");
    EXPECT_EQ(kept, others) << name;
  }
}

TEST_F(Cluster, NodeThatMovedTellsTheLeaderItsNewAddresses) {
  const std::string leader = world.elect();
  const std::string moved = follower();
  world.kill(moved);
  world.run_for(3s);
  world.node(moved).http_address = "elsewhere:http";
  world.node(moved).raft_address = "elsewhere:raft";
  world.start(moved);
  ASSERT_TRUE(world.run_until(
      [&] {
        const raft::Member* m =
            world.host(leader).raft().configuration().find(world.node(moved).identity.member);
        return m != nullptr && m->raft_address == "elsewhere:raft" &&
               m->http_address == "elsewhere:http";
      },
      10s));
  world.ask(world.elect(), set("k", "v"));
  world.run_for(1s);
  EXPECT_EQ(value_of(world.ask(moved, get("k", Level::stale))), "v");
}

TEST_F(Cluster, LeaderThatMovedIsFoundAgain) {
  const std::string moved = world.elect();
  world.kill(moved);
  world.elect();
  world.node(moved).raft_address = "elsewhere:raft";
  world.start(moved);
  ASSERT_TRUE(world.run_until([&] { return world.host(moved).status().ready; }, 10s));
  ASSERT_TRUE(
      std::holds_alternative<Transferred>(world.ask(world.elect(), Transfer{moved}).answer));
  EXPECT_EQ(world.elect(), moved);
  EXPECT_TRUE(std::holds_alternative<Written>(world.ask(moved, set("k", "v")).answer));
}

// The apply worker has written a batch, and the loop does not know it yet.
TEST_F(Cluster, AnAnswerIsNeverNewerThanItSays) {
  const std::string name = follower();
  kv::Batch batch;
  batch.put(kv::kUserSpace, "k", "v", 99);
  ASSERT_TRUE(world.node(name).contents.write(batch));
  const Reply reply = world.ask(name, get("k", Level::stale));
  EXPECT_EQ(value_of(reply), "v");
  EXPECT_EQ(reply.index, Index(99));
}

// The only other voter that is up knows the old address only, and without its vote nobody leads: so
// nobody can be told the new one in the ordinary way.
TEST_F(Cluster, NodeThatMovedIsElectedWhileAnotherIsDead) {
  world.ask(world.elect(), set("k", "v"));
  const std::string dead = world.elect();
  const std::string moved = follower();
  world.kill(dead);
  world.kill(moved);
  world.node(moved).raft_address = "elsewhere:raft";
  world.start(moved);
  ASSERT_TRUE(world.run_until([&] { return world.host(moved).status().ready; }, 20s));
  EXPECT_EQ(value_of(world.ask(world.elect(), get("k", Level::consistent))), "v");
  EXPECT_TRUE(std::holds_alternative<Written>(world.ask(world.elect(), set("k", "w")).answer));
}

// Its own configuration names an address at which nobody is any more.
TEST_F(Cluster, NodeThatSleptWhileItsLeaderMovedAnswersItWhereItIs) {
  const std::string moved = world.elect();
  const std::string sleeper = follower();
  world.kill(moved);
  world.elect();
  world.run_for(500ms);
  // Heartbeats keep a quorum in contact until the leader knows the new address, but no entry gets
  // through.
  world.drop = [&](const World::Packet& p) { return p.to == sleeper && get_u32(&p.bytes[12]) > 0; };
  world.node(moved).raft_address = "elsewhere:raft";
  world.start(moved);
  ASSERT_TRUE(world.run_until([&] { return world.host(moved).status().ready; }, 20s));
  world.kill(sleeper);
  world.drop = nullptr;
  if (world.elect() != moved) {
    ASSERT_TRUE(
        std::holds_alternative<Transferred>(world.ask(world.elect(), Transfer{moved}).answer));
  }
  ASSERT_EQ(world.elect(), moved);
  world.ask(moved, set("k", "v"));
  world.start(sleeper);
  ASSERT_TRUE(world.run_until([&] { return world.host(sleeper).status().ready; }, 5s));
  world.run_for(500ms);
  EXPECT_EQ(value_of(world.ask(sleeper, get("k", Level::stale))), "v");
}

}  // namespace
}  // namespace raftkv::replica
