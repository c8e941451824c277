// Real nodes on real sockets and disks: what must survive a kill, and every way in and out of a
// cluster.
#include <gmock/gmock.h>
#include <signal.h>

#include <algorithm>
#include <thread>

#include "tests/process/fixture.h"
#include "tests/process/load.h"

namespace raftkv::process {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Read = ProcessTest;
using KilledFollower = ProcessTest;
using KilledLeader = ProcessTest;
using KilledCluster = ProcessTest;
using Join = ProcessTest;
using Remove = ProcessTest;
using WipedNode = ProcessTest;
using Transfer = ProcessTest;
using Redirect = ProcessTest;
using Forward = ProcessTest;
using Sigterm = ProcessTest;
using Commands = ProcessTest;

TEST_F(Read, IsAnsweredAtEveryLevelByTheLeaderAndStaleByAll) {
  ASSERT_TRUE(cluster().put("k", "v"));
  Node& leader = cluster()[cluster().wait_for_leader()];
  for (const char* level : {"default", "consistent", "stale"}) {
    const auto answer = leader.get(std::string("/key/k?raw&level=") + level);
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->status, 200) << level;
    EXPECT_EQ(answer->body, "v") << level;
  }
  ASSERT_TRUE(cluster().settles());
  for (int i = 0; i < cluster().size(); ++i) {
    const auto answer = cluster()[i].get("/key/k?level=stale");
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(json_string(answer->body, "k"), "v");
    EXPECT_NE(answer->header("x-raft-last-contact"), "");
    EXPECT_EQ(answer->header("x-raft-node"), cluster()[i].id());
  }
}

TEST_F(KilledFollower, ComesBackAndCatchesUp) {
  write_keys("before", 10);
  const int follower = cluster().wait_for_follower();
  const auto incarnation = cluster()[follower].status()->incarnation;
  cluster()[follower].kill();
  write_keys("without", 10);
  cluster().start(follower);
  ASSERT_TRUE(cluster().settles());
  EXPECT_GT(cluster()[follower].status()->incarnation, incarnation);
  const auto answer = cluster()[follower].get("/key/without9?level=stale&raw");
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->body, "value 9");
  expect_keys("before", 10);
}

TEST_F(KilledLeader, IsReplacedAndNothingAcknowledgedIsLost) {
  Load load({.endpoints = cluster().endpoints(), .clients = 4});
  ASSERT_TRUE(eventually([&] { return load.acknowledged() >= 100; }));
  const int old_leader = cluster().wait_for_leader();
  const auto old_term = cluster()[old_leader].status()->term;
  cluster()[old_leader].kill();
  const int new_leader = cluster().wait_for_leader();
  EXPECT_NE(new_leader, old_leader);
  const auto acknowledged = load.acknowledged();
  EXPECT_TRUE(eventually([&] { return load.acknowledged() >= acknowledged + 100; }));
  load.stop();
  cluster().start(old_leader);
  ASSERT_TRUE(cluster().settles());
  const Node& leader = cluster()[cluster().wait_for_leader()];
  EXPECT_GT(leader.status()->term, old_term);
  EXPECT_THAT(load.broken_promises(leader.http_address()), IsEmpty());
  EXPECT_THAT(load.wrong_reads(), IsEmpty());
}

TEST_F(KilledCluster, ComesBackWithEverythingAcknowledged) {
  Load load({.endpoints = cluster().endpoints(), .clients = 4});
  ASSERT_TRUE(eventually([&] { return load.acknowledged() >= 200; }));
  for (int i = 0; i < cluster().size(); ++i) cluster()[i].signal(SIGKILL);
  for (int i = 0; i < cluster().size(); ++i) cluster()[i].kill();
  load.stop();
  for (int i = 0; i < cluster().size(); ++i) cluster().start(i);
  ASSERT_TRUE(cluster().settles());
  const Node& leader = cluster()[cluster().wait_for_leader()];
  EXPECT_THAT(load.broken_promises(leader.http_address()), IsEmpty());
  EXPECT_THAT(load.wrong_reads(), IsEmpty());
}

TEST_F(Join, MakesAFourthNodeAVoterThatServes) {
  write_keys("k", 20);
  Node& fourth = cluster().new_node();
  cluster().join(fourth);
  ASSERT_TRUE(cluster().voters_become({"node01", "node02", "node03", "node04"}));
  ASSERT_TRUE(cluster().settles());
  const auto answer = fourth.get("/key/k19?level=stale&raw");
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->body, "value 19");
  EXPECT_TRUE(eventually([&] {
    const auto ready = fourth.get("/readyz");
    return ready && ready->status == 200;
  }));
}

std::string join_body(const std::string& id, const Address& http, const Address& raft) {
  return R"({"id":")" + id + R"(","httpAddr":")" + http.text() + R"(","raftAddr":")" + raft.text() +
         R"("})";
}

TEST_F(Join, OfAnAddressThatDoesNotAnswerNeverCounts) {
  const Request join{.method = "POST",
                     .target = "/join",
                     .body = join_body("ghost", unused_address(), unused_address())};
  const auto answer = cluster().request(join);
  ASSERT_TRUE(answer.has_value());
  ASSERT_EQ(answer->status, 200) << answer->body;
  // With the ghost as a fourth voter two of four were no quorum.
  cluster()[cluster().wait_for_follower()].kill();
  write_keys("k", 10);
  const auto members = cluster()[cluster().wait_for_leader()].members();
  ASSERT_TRUE(members.has_value());
  const auto ghost = std::ranges::find(*members, "ghost", &Member::id);
  ASSERT_NE(ghost, members->end());
  EXPECT_EQ(ghost->role, "learner");
  const auto removed = cluster().request({.method = "DELETE", .target = "/members/ghost"});
  ASSERT_TRUE(removed.has_value());
  EXPECT_EQ(removed->status, 200) << removed->body;
  expect_keys("k", 10);
}

TEST_F(Join, OfAnotherNodesAddressIsRefused) {
  const Node& second = cluster()[1];
  const auto answer =
      cluster().request({.method = "POST",
                         .target = "/join",
                         .body = join_body("thief", second.http_address(), second.raft_address())});
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->status, 409) << answer->body;
  EXPECT_EQ(json_string(answer->body, "outcome"), "not_applied");
  EXPECT_TRUE(cluster().voters_become({"node01", "node02", "node03"}));
}

TEST_F(Remove, TakesAFollowerOutOfTheQuorum) {
  const int follower = cluster().wait_for_follower();
  const std::string id = cluster()[follower].id();
  const auto answer = cluster().request({.method = "DELETE", .target = "/members/" + id});
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->status, 200) << answer->body;
  cluster()[follower].kill();
  std::vector<std::string> rest = {"node01", "node02", "node03"};
  std::erase(rest, id);
  ASSERT_TRUE(cluster().voters_become(rest));
  write_keys("k", 10);
  expect_keys("k", 10);
}

TEST_F(Remove, LetsALeaderRemoveItself) {
  const int leader = cluster().wait_for_leader();
  const std::string id = cluster()[leader].id();
  const auto answer = cluster().request({.method = "DELETE", .target = "/members/" + id});
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->status, 200) << answer->body;
  std::vector<std::string> rest = {"node01", "node02", "node03"};
  std::erase(rest, id);
  ASSERT_TRUE(cluster().voters_become(rest));
  cluster()[leader].kill();
  EXPECT_NE(cluster().wait_for_leader(), leader);
  write_keys("k", 10);
}

TEST_F(Remove, OfAnUnknownMemberIsNotFound) {
  const auto answer = cluster().request({.method = "DELETE", .target = "/members/nobody"});
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->status, 404) << answer->body;
}

TEST_F(WipedNode, RejoinsUnderItsNameAsANewMember) {
  write_keys("k", 20);
  const int follower = cluster().wait_for_follower();
  Node& node = cluster()[follower];
  const auto old_member = node.status()->member;
  node.kill();
  node.wipe();
  cluster().join(node);
  // The old member is a voter until the new one takes its place.
  ASSERT_TRUE(eventually([&] {
    const auto status = node.status();
    return status && status->member > old_member && status->role != "learner";
  }));
  ASSERT_TRUE(cluster().voters_become({"node01", "node02", "node03"}));
  ASSERT_TRUE(cluster().settles());
  EXPECT_EQ(node.status()->cluster, cluster()[cluster().wait_for_leader()].status()->cluster);
  const auto answer = node.get("/key/k19?level=stale&raw");
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->body, "value 19");
}

TEST_F(WipedNode, DoesNotStartASecondClusterByItself) {
  const int follower = cluster().wait_for_follower();
  Node& node = cluster()[follower];
  node.kill();
  node.wipe();
  const Finished started = run(node.serve_command({}));
  EXPECT_NE(started.exit_code, 0) << started.output;
  EXPECT_THAT(started.output, HasSubstr("--join"));
}

TEST_F(Transfer, HandsLeadershipToTheNamedNode) {
  const int follower = cluster().wait_for_follower();
  const std::string id = cluster()[follower].id();
  const auto answer = cluster().request(
      {.method = "POST", .target = "/leader", .body = R"({"id":")" + id + R"("})"});
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->status, 200) << answer->body;
  EXPECT_TRUE(eventually([&] { return cluster().leader() == follower; }));
  write_keys("k", 3);
}

TEST_F(Redirect, NamesTheLeaderAndKeepsTheRawTarget) {
  const Node& leader = cluster()[cluster().wait_for_leader()];
  const Node& follower = cluster()[cluster().wait_for_follower()];
  const std::string key = "/key/a%2Fb%20%C3%A4";
  for (const Request& request : {Request{.target = key + "?level=consistent"},
                                 Request{.method = "PUT", .target = key, .body = "v"}}) {
    const auto answer = follower.request(request);
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->status, 307) << answer->body;
    EXPECT_EQ(answer->header("location"),
              "http://" + leader.http_address().text() + request.target);
    EXPECT_EQ(answer->header("x-raft-leader"), leader.id());
  }
}

TEST_F(Forward, MakesAFollowerAProxy) {
  cluster(3, {"--on-follower", "forward"});
  const Node& follower = cluster()[cluster().wait_for_follower()];
  const auto written = follower.request({.method = "PUT", .target = "/key/k", .body = "v"});
  ASSERT_TRUE(written.has_value());
  EXPECT_EQ(written->status, 200) << written->body;
  const auto read = follower.get("/key/k?level=consistent&raw");
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->status, 200) << read->body;
  EXPECT_EQ(read->body, "v");
}

TEST_F(Sigterm, HandsLeadershipOverAndStopsCleanly) {
  Load load({.endpoints = cluster().endpoints(), .clients = 4});
  ASSERT_TRUE(eventually([&] { return load.acknowledged() >= 100; }));
  const int leader = cluster().wait_for_leader();
  EXPECT_EQ(cluster()[leader].terminate(), 0);
  const int successor = cluster().wait_for_leader();
  EXPECT_NE(successor, leader);
  EXPECT_THAT(cluster()[successor].log(), HasSubstr("was handed leadership"));
  const auto acknowledged = load.acknowledged();
  EXPECT_TRUE(eventually([&] { return load.acknowledged() >= acknowledged + 100; }));
  load.stop();
  cluster().start(leader);
  ASSERT_TRUE(cluster().settles());
  EXPECT_THAT(load.broken_promises(cluster()[cluster().wait_for_leader()].http_address()),
              IsEmpty());
  EXPECT_THAT(load.wrong_reads(), IsEmpty());
}

TEST_F(Sigterm, StopsEveryNodeWithExitCodeZero) {
  for (int i = 0; i < cluster().size(); ++i) EXPECT_EQ(cluster()[i].terminate(), 0) << i;
}

std::string endpoints_flag(Cluster& cluster) {
  std::string urls;
  for (const Address& address : cluster.endpoints()) {
    urls += (urls.empty() ? "http://" : ",http://") + address.text();
  }
  return "--endpoints=" + urls;
}

TEST_F(Commands, SetGetAndDelete) {
  const std::string endpoints = endpoints_flag(cluster());
  const auto command = [&](std::vector<std::string> words) {
    words.insert(words.begin(), raftkv_program());
    words.push_back(endpoints);
    return run(words);
  };
  EXPECT_EQ(command({"set", "k", "v"}).exit_code, 0);
  const Finished got = command({"get", "k", "--level", "consistent"});
  EXPECT_EQ(got.exit_code, 0);
  EXPECT_THAT(got.output, HasSubstr("v"));
  EXPECT_EQ(command({"del", "k"}).exit_code, 0);
  EXPECT_EQ(command({"get", "k"}).exit_code, 1);
  EXPECT_EQ(command({"get"}).exit_code, 2);
  EXPECT_EQ(command({"get", "k", "--level", "guess"}).exit_code, 2);
}

TEST_F(Commands, AdministerTheCluster) {
  const std::string endpoints = endpoints_flag(cluster());
  const auto command = [&](std::vector<std::string> words) {
    words.insert(words.begin(), raftkv_program());
    words.push_back(endpoints);
    return run(words);
  };
  const Finished status = command({"status"});
  EXPECT_EQ(status.exit_code, 0) << status.output;
  EXPECT_THAT(status.output, HasSubstr("node01"));
  const Finished members = command({"members"});
  EXPECT_EQ(members.exit_code, 0) << members.output;
  EXPECT_THAT(members.output, HasSubstr("node03"));
  const int follower = cluster().wait_for_follower();
  const std::string id = cluster()[follower].id();
  EXPECT_EQ(command({"leader", "transfer", id}).exit_code, 0);
  EXPECT_TRUE(eventually([&] { return cluster().leader() == follower; }));
  EXPECT_EQ(command({"leader", "transfer", "nobody"}).exit_code, 4);
  const std::string other = cluster()[cluster().wait_for_follower()].id();
  EXPECT_EQ(command({"member", "remove", other}).exit_code, 0);
}

TEST_F(Commands, SayThatNobodyAnswers) {
  const Finished got =
      run({raftkv_program(), "get", "k", "--endpoints", "http://" + unused_address().text()});
  EXPECT_EQ(got.exit_code, 3) << got.output;
}

}  // namespace
}  // namespace raftkv::process
