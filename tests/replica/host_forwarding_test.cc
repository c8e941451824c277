// The Host of three nodes: what comes from other nodes, requests passed on and frames.
#include <gtest/gtest.h>

#include "src/replica/forward.h"
#include "tests/replica/host_cluster.h"

namespace raftkv::replica {
namespace {

// --- barriers ---

TEST_F(Cluster, ABarrierIsAReadThatFindsNothing) {
  const std::string leader = world.elect();
  world.ask(leader, set("k", "v"));
  for (const Level level : {Level::default_, Level::consistent, Level::stale}) {
    const Reply reply = world.ask(leader, Barrier{level});
    ASSERT_TRUE(std::holds_alternative<ReadResult>(reply.answer));
    EXPECT_FALSE(std::get<ReadResult>(reply.answer).value.has_value());
  }
  EXPECT_TRUE(
      std::holds_alternative<ReadResult>(world.ask(follower(), Barrier{Level::stale}).answer));
}

// It is about the state of the node that is asked.
TEST_F(ForwardingCluster, ABarrierIsNotPassedOn) {
  world.elect();
  for (const Level level : {Level::default_, Level::consistent}) {
    const Reply reply = world.ask(follower(), Barrier{level});
    const auto* refused = std::get_if<Failed>(&reply.answer);
    ASSERT_NE(refused, nullptr);
    EXPECT_EQ(refused->problem, Problem::not_leader);
    EXPECT_TRUE(reply.leader.has_value());
  }
}

// --- forwarding ---

TEST_F(ForwardingCluster, FollowerPassesRequestsOnAndItsAnswersBack) {
  const std::string leader = world.elect();
  const std::string via = follower();
  const Reply written = world.ask(via, set("k", "v"));
  ASSERT_TRUE(std::holds_alternative<Written>(written.answer)) << failure_of(written)->detail;
  EXPECT_EQ(written.node, leader) << "the reply says who answered";
  EXPECT_EQ(value_of(world.ask(via, get("k", Level::consistent))), "v");
  EXPECT_EQ(value_of(world.ask(via, get("k", Level::default_))), "v");
  EXPECT_TRUE(std::get<Written>(world.ask(via, del("k")).answer).outcome.deleted);
  EXPECT_EQ(value_of(world.ask(via, get("k", Level::consistent))), std::nullopt);
  const Reply transferred = world.ask(via, Transfer{via});
  EXPECT_TRUE(std::holds_alternative<Transferred>(transferred.answer))
      << failure_of(transferred)->detail;
}

TEST_F(ForwardingCluster, JoinsAndRemovesThroughAFollower) {
  const std::string via = follower();
  World::Node& fourth = world.add("n4");
  const Reply joined = world.ask(
      via, Join{"n4", fourth.http_address, fourth.raft_address, fourth.identity.instance});
  ASSERT_TRUE(std::holds_alternative<Joined>(joined.answer)) << failure_of(joined)->detail;
  EXPECT_EQ(std::get<Joined>(joined.answer).members.members.size(), 4u);
  EXPECT_TRUE(std::holds_alternative<Removed>(world.ask(via, Remove{"n4"}).answer));
}

TEST_F(ForwardingCluster, LeaderUnknownIsSaidAtOnce) {
  const std::string left = follower();
  for (const std::string name : {"n1", "n2", "n3"}) {
    if (name != left) world.kill(name);
  }
  world.run_for(5s);
  expect_failure(world.ask(left, set("k", "v")), Problem::not_leader, Effect::not_applied);
}

TEST_F(ForwardingCluster, BrokenConnectionToTheLeaderMeansUnknownForWrites) {
  const std::string leader = world.elect();
  const std::string via = follower();
  world.drop = [&](const World::Packet& p) { return p.from == leader && p.to == via; };
  const Ticket write = world.submit(via, set("k", "v"));
  const Ticket read = world.submit(via, get("k", Level::consistent));
  world.run_for(50ms);
  EXPECT_EQ(world.reply(write), nullptr);
  world.kill(leader);
  world.drop = nullptr;
  world.run_for(1ms);
  ASSERT_NE(world.reply(write), nullptr);
  expect_failure(*world.reply(write), Problem::leadership_lost, Effect::unknown);
  ASSERT_NE(world.reply(read), nullptr);
  expect_failure(*world.reply(read), Problem::leadership_lost, Effect::not_applied);
}

TEST_F(ForwardingCluster, RestartOfTheLeaderIsNoticedEvenWithoutAReset) {
  const std::string leader = world.elect();
  const std::string via = follower();
  world.drop = [&](const World::Packet& p) { return p.from == leader && p.to == via; };
  const Ticket write = world.submit(via, set("k", "v"));
  world.run_for(50ms);
  world.kill(leader, true);
  world.drop = nullptr;
  world.start(leader);
  ASSERT_TRUE(world.run_until([&] { return world.reply(write) != nullptr; }, 4s));
  expect_failure(*world.reply(write), Problem::leadership_lost, Effect::unknown);
}

TEST_F(ForwardingCluster, SilenceOfTheLeaderTimesOutAsUnknown) {
  const std::string leader = world.elect();
  const std::string via = follower();
  world.drop = [&](const World::Packet& p) {
    return p.from == leader && p.to == via &&
           static_cast<raft::FrameKind>(p.bytes[5]) == raft::FrameKind::forward_reply;
  };
  const Reply reply = world.ask(via, set("k", "v"));
  expect_failure(reply, Problem::timeout, Effect::unknown);
  world.drop = nullptr;
  EXPECT_EQ(value_of(world.ask(via, get("k", Level::consistent))), "v") << "it did happen";
}

TEST_F(ForwardingCluster, DoubledFramesAreExecutedOnce) {
  const std::string leader = world.elect();
  const std::string via = follower();
  const Index before = world.host(leader).raft().log().last_index();
  std::vector<World::Packet> doubled;
  world.drop = [&](const World::Packet& p) {
    const auto kind = static_cast<raft::FrameKind>(p.bytes[5]);
    if (kind == raft::FrameKind::forward || kind == raft::FrameKind::forward_reply)
      doubled.push_back(p);
    return false;
  };
  ASSERT_TRUE(std::holds_alternative<Written>(world.ask(via, set("k", "v")).answer));
  EXPECT_EQ(doubled.size(), 2u);
  const std::vector<World::Packet> again = doubled;
  for (const World::Packet& packet : again) world.network().push_back(packet);
  world.run_for(1s);
  EXPECT_EQ(world.host(leader).raft().log().last_index(), before.next());
}

TEST_F(ForwardingCluster, WhoeverDoesNotLeadPassesNothingFurther) {
  // The frame names a leader that has lost its leadership meanwhile.
  const std::string leader = world.elect();
  const std::string via = follower();
  const std::string third = other_follower();
  ASSERT_NE(via, third);
  std::vector<World::Packet> held;
  world.drop = [&](const World::Packet& p) {
    if (static_cast<raft::FrameKind>(p.bytes[5]) != raft::FrameKind::forward || p.from != via)
      return false;
    held.push_back(p);
    return true;
  };
  const Ticket ticket = world.submit(via, set("k", "v"));
  world.run_for(10ms);
  ASSERT_EQ(held.size(), 1u);
  ASSERT_TRUE(std::holds_alternative<Transferred>(world.ask(leader, Transfer{third}).answer));
  world.elect();
  world.drop = nullptr;
  world.network().push_back(held[0]);
  ASSERT_TRUE(world.run_until([&] { return world.reply(ticket) != nullptr; }, 3s));
  expect_failure(*world.reply(ticket), Problem::not_leader, Effect::not_applied);
  EXPECT_EQ(world.reply(ticket)->node, leader);
}

// --- frames ---

class Frames : public Cluster {
 protected:
  raft::Route route(const std::string& from, const std::string& to) {
    const raft::Identity& sender = world.node(from).identity;
    return {.cluster = sender.cluster,
            .from = sender.member,
            .from_incarnation = sender.incarnation,
            .to = world.node(to).identity.member,
            .to_incarnation = {}};
  }
  Status deliver(const std::string& to, const raft::Route& route) {
    return world.host(to).receive(
        SharedBytes::from(raft::encode({route, Term(1), raft::TimeoutNow{}}).flatten()));
  }
};

TEST_F(Frames, GarbageIsAReasonToCloseTheConnection) {
  EXPECT_FALSE(world.host("n1").receive(SharedBytes::from("GET / HTTP/1.1\r\n\r\n")).has_value());
  EXPECT_FALSE(world.host("n1").receive(SharedBytes::from(std::string(200, '\xff'))).has_value());
  EXPECT_TRUE(std::ranges::any_of(world.node("n1").events, [](const Event& e) {
    return std::holds_alternative<FrameRefused>(e);
  }));
}

TEST_F(Frames, RightOnesAreTaken) {
  EXPECT_TRUE(deliver("n1", route("n2", "n1")).has_value());
}

TEST_F(Frames, AnotherClusterIsRefused) {
  raft::Route r = route("n2", "n1");
  r.cluster = raft::ClusterId(0xbad);
  EXPECT_FALSE(deliver("n1", r).has_value());
}

TEST_F(Frames, AnotherAddresseeIsRefused) {
  EXPECT_FALSE(deliver("n1", route("n2", "n3")).has_value());
}

TEST_F(Frames, OnesOwnNumberIsRefused) {
  raft::Route r = route("n1", "n1");
  EXPECT_FALSE(deliver("n1", r).has_value());
}

TEST_F(Frames, AnOldIncarnationIsRefusedOnceANewerWasHeard) {
  const raft::Route old = route("n2", "n1");
  raft::Route newer = old;
  ++newer.from_incarnation;
  ASSERT_TRUE(deliver("n1", newer).has_value());
  EXPECT_FALSE(deliver("n1", old).has_value());
}

TEST_F(Frames, AForwardThatCannotBeReadIsRefused) {
  raft::Route r = route("n2", "n1");
  r.to_incarnation = world.node("n1").identity.incarnation;
  const raft::Frame frame = raft::make_frame(raft::FrameKind::forward, r, Term(1), "no request");
  EXPECT_FALSE(world.host("n1").receive(SharedBytes::from(frame.flatten())).has_value());
}

TEST_F(Frames, AForwardForAnEarlierRunIsDroppedSilently) {
  const std::string leader = world.elect();
  const std::string from = follower();
  const Index last = world.host(leader).raft().log().last_index();
  raft::Route r = route(from, leader);
  r.to_incarnation = raft::Incarnation(world.node(leader).identity.incarnation.value - 1);
  const std::string body = encode(Forward{Ticket(1), set("k", "v")});
  EXPECT_TRUE(world.host(leader)
                  .receive(SharedBytes::from(
                      raft::make_frame(raft::FrameKind::forward, r, Term(1), body).flatten()))
                  .has_value());
  world.run_for(500ms);
  EXPECT_EQ(world.host(leader).raft().log().last_index(), last);
}

}  // namespace
}  // namespace raftkv::replica
