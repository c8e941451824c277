// Three nodes in a world without sockets, threads and real time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/replica/forward.h"
#include "tests/replica/world.h"

namespace raftkv::replica {
namespace {

using testing::HasSubstr;

class Cluster : public testing::Test {
 protected:
  explicit Cluster(HostOptions options = {}) : world(11, std::move(options)) {}

  void SetUp() override {
    world.bootstrap("n1");
    world.join("n2");
    world.join("n3");
  }
  std::string follower() {
    const std::string leader = world.elect();
    for (const auto& [name, node] : world.nodes()) {
      if (name != leader && node->up()) return name;
    }
    ADD_FAILURE() << "no follower";
    return "";
  }
  std::string other_follower() {
    const std::string leader = world.elect();
    for (auto it = world.nodes().rbegin(); it != world.nodes().rend(); ++it) {
      if (it->first != leader && it->second->up()) return it->first;
    }
    return "";
  }
  std::optional<std::string> value_of(const Reply& reply) {
    const auto* result = std::get_if<ReadResult>(&reply.answer);
    EXPECT_NE(result, nullptr) << (failure_of(reply) ? failure_of(reply)->detail : "not a read");
    if (result == nullptr || !result->value) return std::nullopt;
    return result->value->bytes;
  }
  void expect_failure(const Reply& reply, Problem problem, Effect effect) {
    const Failed* failed = failure_of(reply);
    ASSERT_NE(failed, nullptr);
    EXPECT_EQ(failed->problem, problem) << failed->detail;
    EXPECT_EQ(failed->effect, effect) << failed->detail;
    EXPECT_NE(failed->detail, "");
  }

  World world;
};

class ForwardingCluster : public Cluster {
 protected:
  ForwardingCluster() : Cluster(forwarding()) {}
  static HostOptions forwarding() {
    HostOptions options;
    options.forward = true;
    return options;
  }
};

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
