// The Host of three nodes: writes and reads, who leads, what fails, how it stops.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/replica/host_cluster.h"

namespace raftkv::replica {
namespace {

using testing::HasSubstr;

// --- one node ---

TEST(SingleNode, LeadsItselfAndServes) {
  World world(1);
  world.bootstrap("n1");
  const Reply written = world.ask(world.elect(), set("k", "v"));
  ASSERT_TRUE(std::holds_alternative<Written>(written.answer));
  EXPECT_EQ(written.node, "n1");
  EXPECT_EQ(written.leader->http_address, "n1:http");
  for (const Level level : {Level::default_, Level::consistent, Level::stale}) {
    const Reply read = world.ask("n1", get("k", level));
    ASSERT_TRUE(std::holds_alternative<ReadResult>(read.answer));
    EXPECT_EQ(std::get<ReadResult>(read.answer).value->bytes, "v");
  }
}

// --- writes and reads ---

TEST_F(Cluster, AppliesAWriteOnEveryNode) {
  const Reply reply = world.ask(world.elect(), set("colour", "green"));
  ASSERT_TRUE(std::holds_alternative<Written>(reply.answer));
  const Index index = std::get<Written>(reply.answer).index;
  EXPECT_GE(reply.index, index);
  world.run_for(500ms);
  for (const auto& [name, node] : world.nodes()) {
    const Reply read = world.ask(name, get("colour", Level::stale));
    EXPECT_EQ(value_of(read), "green") << name;
    EXPECT_EQ(std::get<ReadResult>(read.answer).value->index, index.value);
    ASSERT_TRUE(read.last_contact_ms.has_value()) << name;
    EXPECT_LE(*read.last_contact_ms, 200);
    EXPECT_EQ(node->host->applied().digest, world.host("n1").applied().digest);
  }
}

TEST_F(Cluster, SaysWhetherAKeyWasThereToDelete) {
  const std::string leader = world.elect();
  world.ask(leader, set("k", "v"));
  const Reply first = world.ask(leader, del("k"));
  const Reply second = world.ask(leader, del("k"));
  EXPECT_TRUE(std::get<Written>(first.answer).outcome.deleted);
  EXPECT_FALSE(std::get<Written>(second.answer).outcome.deleted);
  EXPECT_EQ(value_of(world.ask(leader, get("k", Level::consistent))), std::nullopt);
}

TEST_F(Cluster, ConsistentReadSeesEveryWriteAcknowledgedBefore) {
  const std::string leader = world.elect();
  for (int i = 0; i < 20; ++i) {
    world.ask(leader, set("n", std::to_string(i)));
    EXPECT_EQ(value_of(world.ask(leader, get("n", Level::consistent))), std::to_string(i));
    EXPECT_EQ(value_of(world.ask(leader, get("n", Level::default_))), std::to_string(i));
  }
}

TEST_F(Cluster, ConsistentReadWaitsUntilItsIndexIsApplied) {
  const std::string leader = world.elect();
  world.node(leader).apply_stalled = true;
  const Ticket write = world.submit(leader, set("k", "new"));
  world.run_for(300ms);
  const Ticket read = world.submit(leader, get("k", Level::consistent));
  world.run_for(300ms);
  EXPECT_EQ(world.reply(write), nullptr);
  EXPECT_EQ(world.reply(read), nullptr) << "it would not see a write that is committed";
  world.node(leader).apply_stalled = false;
  world.run_for(300ms);
  ASSERT_NE(world.reply(read), nullptr);
  EXPECT_EQ(value_of(*world.reply(read)), "new");
}

TEST_F(Cluster, DeposedLeaderServesNoConsistentRead) {
  const std::string old_leader = world.elect();
  world.ask(old_leader, set("k", "old"));
  world.isolate(old_leader);
  const Ticket read = world.submit(old_leader, get("k", Level::consistent));
  world.run_for(3s);
  ASSERT_NE(world.reply(read), nullptr);
  expect_failure(*world.reply(read), Problem::not_leader, Effect::not_applied);
  EXPECT_EQ(value_of(world.ask(old_leader, get("k", Level::stale))), "old");
}

TEST_F(Cluster, ManyWritesOfOneTurnShareALogWrite) {
  const std::string leader = world.elect();
  world.run_for(1s);
  world.node(leader).log_stalled = true;
  std::vector<Ticket> tickets;
  for (int i = 0; i < 50; ++i) {
    tickets.push_back(world.submit(leader, set("k" + std::to_string(i), "v")));
    world.run_for(1ms);
  }
  EXPECT_EQ(world.node(leader).log_worker.jobs.size(), 1u)
      << "group commit: the rest waits in the pipeline";
  world.node(leader).log_stalled = false;
  world.run_for(500ms);
  for (const Ticket ticket : tickets) {
    ASSERT_NE(world.reply(ticket), nullptr);
    EXPECT_TRUE(std::holds_alternative<Written>(world.reply(ticket)->answer));
  }
}

TEST_F(Cluster, NotesHowFarTheLogIsSyncedSoonAfterAWrite) {
  const std::string leader = world.elect();
  world.ask(leader, set("k", "v"));
  world.run_for(60ms);
  const LogImage& disk = world.node(leader).log_store->durable();
  EXPECT_EQ(disk.through, disk.last());
}

// --- who leads ---

TEST_F(Cluster, FollowerNamesTheLeader) {
  const std::string leader = world.elect();
  const Reply reply = world.ask(follower(), set("k", "v"));
  expect_failure(reply, Problem::not_leader, Effect::not_applied);
  ASSERT_TRUE(reply.leader.has_value());
  EXPECT_EQ(reply.leader->name, leader);
  EXPECT_EQ(reply.leader->http_address, leader + ":http");
  EXPECT_THAT(failure_of(reply)->detail, HasSubstr(leader + ":http"));
}

// A follower may have applied it and shown it.
TEST_F(Cluster, DefaultReadWaitsForWhatIsCommittedWithoutTheLeadersDisk) {
  const std::string leader = world.elect();
  world.ask(leader, set("k", "old"));
  world.node(leader).log_stalled = true;
  const Index before = world.host(leader).raft().commit_index();
  world.submit(leader, set("k", "new"));
  ASSERT_TRUE(world.run_until([&] { return world.host(leader).raft().commit_index() > before; }));
  const Ticket read = world.submit(leader, get("k", Level::default_));
  world.run_for(20ms);
  EXPECT_EQ(world.reply(read), nullptr) << "it would not see what is committed";
  world.node(leader).log_stalled = false;
  ASSERT_TRUE(world.run_until([&] { return world.reply(read) != nullptr; }));
  EXPECT_EQ(value_of(*world.reply(read)), "new");
}

TEST_F(Cluster, WithoutALeaderNobodyIsNamed) {
  const std::string left = follower();
  for (const std::string name : {"n1", "n2", "n3"}) {
    if (name != left) world.kill(name);
  }
  world.run_for(5s);
  for (const Level level : {Level::default_, Level::consistent}) {
    const Reply reply = world.ask(left, get("k", level));
    expect_failure(reply, Problem::not_leader, Effect::not_applied);
    EXPECT_FALSE(reply.leader.has_value());
  }
  EXPECT_FALSE(world.host(left).status().ready);
  const Reply stale = world.ask(left, get("k", Level::stale));
  EXPECT_TRUE(std::holds_alternative<ReadResult>(stale.answer));
}

TEST_F(Cluster, ResetConnectionsMakeAFastElection) {
  const std::string leader = world.elect();
  world.run_for(1s);
  const Time killed = world.now();
  world.kill(leader);
  world.elect();
  EXPECT_LT(world.now() - killed, 500ms);
}

TEST_F(Cluster, HandsLeadershipToAnotherMember) {
  const std::string leader = world.elect();
  world.run_for(1s);
  const std::string target = follower();
  const Reply reply = world.ask(leader, Transfer{target});
  ASSERT_TRUE(std::holds_alternative<Transferred>(reply.answer)) << failure_of(reply)->detail;
  EXPECT_EQ(std::get<Transferred>(reply.answer).name, target);
  EXPECT_EQ(world.elect(), target);
}

TEST_F(Cluster, TransferToNobodyIsRefused) {
  expect_failure(world.ask(world.elect(), Transfer{"nobody"}), Problem::unknown_member,
                 Effect::not_applied);
}

TEST_F(Cluster, TransferToADeadMemberFailsWithinAnElectionTimeout) {
  const std::string leader = world.elect();
  const std::string target = follower();
  world.kill(target, true);
  const Time begun = world.now();
  const Reply reply = world.ask(leader, Transfer{target});
  expect_failure(reply, Problem::transfer_failed, Effect::unknown);
  EXPECT_LE(world.now() - begun, 2s);
  EXPECT_TRUE(std::holds_alternative<Written>(world.ask(world.elect(), set("k", "v")).answer));
}

TEST_F(Cluster, OneTransferAtATime) {
  const std::string leader = world.elect();
  world.kill(other_follower(), true);
  const std::string dead = world.node("n2").up() ? "n3" : "n2";
  world.submit(leader, Transfer{dead == leader ? "n1" : dead});
  expect_failure(world.ask(leader, Transfer{follower()}), Problem::transferring,
                 Effect::not_applied);
}

// --- failing ---

TEST_F(Cluster, RestartedNodeHasWhatWasAcknowledged) {
  const std::string leader = world.elect();
  for (int i = 0; i < 10; ++i) world.ask(leader, set("k" + std::to_string(i), "v"));
  for (const std::string name : {"n1", "n2", "n3"}) world.kill(name);
  world.forget_state("n2");  // the log must redo it
  for (const std::string name : {"n1", "n2", "n3"}) world.start(name);
  world.elect();
  world.run_for(1s);
  for (const std::string name : {"n1", "n2", "n3"}) {
    for (int i = 0; i < 10; ++i) {
      EXPECT_EQ(value_of(world.ask(name, get("k" + std::to_string(i), Level::stale))), "v")
          << name << i;
    }
  }
  EXPECT_EQ(world.host("n1").applied().digest, world.host("n2").applied().digest);
}

TEST_F(Cluster, WriteWithoutAMajorityIsUnknown) {
  const std::string leader = world.elect();
  world.isolate(leader);
  const Ticket ticket = world.submit(leader, set("k", "v"));
  const Time begun = world.now();
  ASSERT_TRUE(world.run_until([&] { return world.reply(ticket) != nullptr; }, 10s));
  expect_failure(*world.reply(ticket), Problem::leadership_lost, Effect::unknown);
  EXPECT_LE(world.now() - begun, 4s) << "stepping down, and one election timeout for a resolution";
}

TEST_F(Cluster, WriteThatIsNeitherDoneNorLostTimesOutAsUnknown) {
  const std::string leader = world.elect();
  world.node(leader).apply_stalled = true;
  const Time begun = world.now();
  const Ticket write = world.submit(leader, set("k", "v"));
  world.run_for(50ms);
  const Ticket read = world.submit(leader, get("k", Level::consistent));
  ASSERT_TRUE(world.run_until([&] { return world.reply(write) != nullptr; }, 10s));
  EXPECT_EQ(world.now() - begun, 5s);
  EXPECT_EQ(world.reply(read), nullptr);
  ASSERT_TRUE(world.run_until([&] { return world.reply(read) != nullptr; }, 10s));
  EXPECT_EQ(world.now() - begun, 5050ms);
  expect_failure(*world.reply(write), Problem::timeout, Effect::unknown);
  expect_failure(*world.reply(read), Problem::timeout, Effect::not_applied);
  world.node(leader).apply_stalled = false;
  world.run_for(1s);
  EXPECT_EQ(value_of(world.ask(world.elect(), get("k", Level::consistent))), "v");
}

// Rule 8, one way: the entry of the lost leadership is committed by the next leader.
TEST_F(Cluster, LostLeaderLearnsThatItsWriteWasCommitted) {
  const std::string leader = world.elect();
  world.run_for(500ms);
  world.node(leader).log_stalled = true;  // the others have it first
  const Ticket ticket = world.submit(leader, set("k", "v"));
  // Acknowledgements are lost, so the leader cannot commit.
  world.drop = [&](const World::Packet& p) { return p.to == leader; };
  world.run_for(50ms);
  world.isolate(leader);
  world.drop = nullptr;
  world.node(leader).log_stalled = false;
  std::string next;
  ASSERT_TRUE(world.run_until(
      [&] {
        next = world.leader();
        return !next.empty() && next != leader && world.host(next).raft().may_serve_default_reads();
      },
      3s));
  EXPECT_EQ(world.reply(ticket), nullptr);
  world.heal();
  ASSERT_TRUE(world.run_until([&] { return world.reply(ticket) != nullptr; }, 3s));
  EXPECT_TRUE(std::holds_alternative<Written>(world.reply(ticket)->answer));
  EXPECT_EQ(value_of(world.ask(next, get("k", Level::consistent))), "v");
}

// Rule 8, the other way: another leader's entry is committed at its index.
TEST_F(Cluster, LostLeaderLearnsThatItsWriteWasSuperseded) {
  const std::string leader = world.elect();
  world.run_for(500ms);
  world.isolate(leader);
  const Ticket ticket = world.submit(leader, set("k", "never"));
  std::string next;
  ASSERT_TRUE(world.run_until(
      [&] {
        next = world.leader();
        return !next.empty() && next != leader && world.host(next).raft().may_serve_default_reads();
      },
      3s));
  EXPECT_EQ(world.reply(ticket), nullptr);
  world.heal();
  ASSERT_TRUE(world.run_until([&] { return world.reply(ticket) != nullptr; }, 3s));
  expect_failure(*world.reply(ticket), Problem::leadership_lost, Effect::not_applied);
  EXPECT_EQ(value_of(world.ask(world.elect(), get("k", Level::consistent))), std::nullopt);
}

TEST_F(Cluster, NodeWithAFailedDiskTakesNoFurtherPart) {
  const std::string leader = world.elect();
  world.ask(leader, set("before", "v"));
  world.run_for(200ms);
  world.node(leader).log_store->fail_after(0);
  const Ticket write = world.submit(leader, set("k", "v"));
  const Ticket read = world.submit(leader, get("before", Level::consistent));
  ASSERT_TRUE(world.run_until([&] { return world.host(leader).stopped(); }, 3s));
  world.run_for(10ms);
  ASSERT_NE(world.reply(write), nullptr);
  expect_failure(*world.reply(write), Problem::stopping, Effect::unknown);
  ASSERT_NE(world.reply(read), nullptr);
  EXPECT_TRUE(world.node(leader).observed_stop());
  expect_failure(world.ask(leader, get("before", Level::stale)), Problem::stopping,
                 Effect::not_applied);
  expect_failure(world.ask(leader, set("k", "v")), Problem::stopping, Effect::not_applied);
  EXPECT_FALSE(world.host(leader).receive(SharedBytes::from("anything")).has_value());

  std::size_t sent = 0;
  world.drop = [&](const World::Packet& p) {
    if (p.from == leader) ++sent;
    return false;
  };
  ASSERT_TRUE(
      world.run_until([&] { return !world.leader().empty() && world.leader() != leader; }, 10s))
      << "the others go on";
  world.run_for(3s);
  EXPECT_EQ(sent, 0u) << "a node without a disk says nothing";
  EXPECT_EQ(world.host(leader).open_requests(), 0u);
}

TEST_F(Cluster, StateThatCannotBeAppliedStopsTheNode) {
  const std::string victim = follower();
  world.node(victim).contents.full = true;
  world.ask(world.elect(), set("k", "v"));
  world.run_for(1s);
  EXPECT_TRUE(world.host(victim).stopped());
  EXPECT_TRUE(std::holds_alternative<Written>(world.ask(world.elect(), set("k", "w")).answer));
}

// It would meet the damage again and again, and as a leader keep the others waiting.
TEST_F(Cluster, StateThatCannotBeReadStopsTheNode) {
  const std::string leader = world.elect();
  world.ask(leader, set("k", "v"));
  world.run_for(1s);
  world.node(leader).contents.damaged = true;
  expect_failure(world.ask(leader, get("k", Level::stale)), Problem::internal, Effect::not_applied);
  EXPECT_TRUE(world.host(leader).stopped());
  ASSERT_TRUE(
      world.run_until([&] { return !world.leader().empty() && world.leader() != leader; }, 10s));
  EXPECT_EQ(value_of(world.ask(world.elect(), get("k", Level::consistent))), "v");
}

TEST_F(Cluster, RefusesMoreOpenRequestsThanItsLimit) {
  world.kill("n3");
  world.node("n3").options.requests_max = 4;
  world.start("n3");
  world.run_for(3s);
  if (world.elect() != "n3") world.ask(world.elect(), Transfer{"n3"});
  ASSERT_EQ(world.elect(), "n3");
  world.node("n3").log_stalled = true;
  world.drop = [](const World::Packet&) { return true; };
  for (int i = 0; i < 4; ++i) world.submit("n3", set("k", "v"));
  const Ticket fifth = world.submit("n3", set("k", "v"));
  world.run_for(1ms);
  ASSERT_NE(world.reply(fifth), nullptr);
  expect_failure(*world.reply(fifth), Problem::busy, Effect::not_applied);
}

// --- stopping ---

TEST_F(Cluster, StoppingLeaderHandsOverAndLeavesACleanDisk) {
  const std::string leader = world.elect();
  world.run_for(1s);
  const Ticket last = world.submit(leader, set("k", "v"));
  bool done = false;
  world.host(leader).stop(5s, [&] { done = true; });
  const Ticket late = world.submit(leader, set("k", "late"));
  const Time begun = world.now();
  ASSERT_TRUE(world.run_until([&] { return done; }, 10s));
  EXPECT_LT(world.now() - begun, 1s);
  ASSERT_NE(world.reply(last), nullptr);
  EXPECT_TRUE(std::holds_alternative<Written>(world.reply(last)->answer));
  ASSERT_NE(world.reply(late), nullptr);
  expect_failure(*world.reply(late), Problem::stopping, Effect::not_applied);
  EXPECT_NE(world.leader(), leader);
  EXPECT_NE(world.leader(), "") << "somebody else leads already";
  const LogImage& disk = world.node(leader).log_store->durable();
  EXPECT_EQ(disk.through, disk.last());
  EXPECT_EQ(world.unanswered(), 0u);
}

TEST_F(Cluster, StoppingLeaderDoesNotWaitLongForASuccessorThatCannotBe) {
  const std::string leader = world.elect();
  world.isolate(leader);
  bool done = false;
  const Time begun = world.now();
  world.host(leader).stop(60s, [&] { done = true; });
  ASSERT_TRUE(world.run_until([&] { return done; }, 60s));
  EXPECT_LT(world.now() - begun, 5s);
}

TEST_F(Cluster, StopEndsAtItsLimitEvenIfTheDiskHangs) {
  const std::string leader = world.elect();
  world.isolate(leader);
  world.node(leader).log_stalled = true;
  const Ticket ticket = world.submit(leader, set("k", "v"));
  bool done = false;
  const Time begun = world.now();
  world.host(leader).stop(700ms, [&] { done = true; });
  ASSERT_TRUE(world.run_until([&] { return done; }, 10s));
  EXPECT_EQ(world.now() - begun, 700ms);
  ASSERT_NE(world.reply(ticket), nullptr);
  expect_failure(*world.reply(ticket), Problem::stopping, Effect::unknown);
}

TEST(SingleNode, StopsCleanly) {
  World world(2);
  world.bootstrap("n1");
  world.ask(world.elect(), set("k", "v"));
  bool done = false;
  world.host("n1").stop(5s, [&] { done = true; });
  ASSERT_TRUE(world.run_until([&] { return done; }, 10s));
  EXPECT_EQ(world.node("n1").log_store->durable().through,
            world.node("n1").log_store->durable().last());
}

}  // namespace
}  // namespace raftkv::replica
