// The client commands against servers that answer what the test says.
#include "src/app/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "src/app/leader_call.h"

namespace raftkv::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Answer = std::expected<http::ClientResponse, http::ClientError>;

Answer answer(int status, std::string body = {}, std::string location = {}) {
  http::ClientResponse response;
  response.status = status;
  response.body = std::move(body);
  if (!location.empty()) response.fields.emplace_back("Location", location);
  return response;
}
Answer refused_connection() {
  return std::unexpected(
      http::ClientError{{ErrorCode::unavailable, "connection refused"}, http::Sent::no});
}
Answer broken_connection() {
  return std::unexpected(
      http::ClientError{{ErrorCode::unavailable, "connection reset"}, http::Sent::perhaps});
}

// Servers with a list of answers each; the last one stays. Time passes only while somebody waits.
class Servers {
 public:
  std::map<std::string, std::deque<Answer>> answers;
  std::vector<std::string> asked;  // "ADDRESS METHOD TARGET BODY"
  bool terminal = false;

  ClientWorld world() {
    return {.send =
                [this](const std::string& address, const http::ClientRequest& request, Duration) {
                  asked.push_back(address + " " + request.method + " " + request.target +
                                  (request.body.empty() ? "" : " " + request.body));
                  auto& list = answers[address];
                  if (list.empty()) return refused_connection();
                  Answer next = list.front();
                  if (list.size() > 1) list.pop_front();
                  return next;
                },
            .now = [this] { return now_; },
            .pause = [this](Duration time) { now_ += time; },
            .terminal = terminal};
  }

 private:
  Time now_;
};

Said run(Servers& servers, ClientVerb verb, std::vector<std::string> endpoints = {"a:1"}) {
  return run_client(
      {.options = {.endpoints = std::move(endpoints), .timeout = 10s}, .verb = std::move(verb)},
      servers.world());
}

TEST(GetCommand, PrintsTheValueAsItIs) {
  Servers servers;
  servers.answers["a:1"] = {answer(200, std::string("v\0\n", 3))};
  const Said got = run(servers, Get{.key = "k", .level = "consistent"});
  EXPECT_EQ(got.exit_code, kDone);
  EXPECT_EQ(got.out, std::string("v\0\n", 3));
  EXPECT_THAT(servers.asked, ElementsAre("a:1 GET /key/k?raw&level=consistent"));
}

TEST(GetCommand, EndsTheLineOnATerminal) {
  Servers servers;
  servers.terminal = true;
  servers.answers["a:1"] = {answer(200, "v")};
  EXPECT_EQ(run(servers, Get{.key = "k"}).out, "v\n");
}

TEST(GetCommand, SaysThatThereIsNoSuchKey) {
  Servers servers;
  servers.answers["a:1"] = {answer(404, R"({"code":"not_found","detail":"no such key"})")};
  EXPECT_EQ(run(servers, Get{.key = "k"}).exit_code, kNotFound);
}

TEST(GetCommand, EncodesTheKey) {
  Servers servers;
  servers.answers["a:1"] = {answer(200, "v")};
  (void)run(servers, Get{.key = std::string("a/b ?\xff%\0", 8)});
  EXPECT_THAT(servers.asked, ElementsAre("a:1 GET /key/a/b%20%3F%FF%25%00?raw&level=default"));
}

TEST(GetCommand, IsRepeatedWhenTheConnectionBreaks) {
  Servers servers;
  servers.answers["a:1"] = {broken_connection(), answer(200, "v")};
  EXPECT_EQ(run(servers, Get{.key = "k"}).out, "v");
}

TEST(SetCommand, FollowsRedirectsToTheLeader) {
  Servers servers;
  servers.answers["a:1"] = {answer(307, "", "http://b:2/key/k")};
  servers.answers["b:2"] = {answer(200, R"({"index":7})")};
  const Said set = run(servers, Set{.key = "k", .value = "v"});
  EXPECT_EQ(set.exit_code, kDone);
  EXPECT_THAT(servers.asked, ElementsAre("a:1 PUT /key/k v", "b:2 PUT /key/k v"));
}

TEST(SetCommand, AsksTheNextEndpointWhenOneIsDown) {
  Servers servers;
  servers.answers["b:2"] = {answer(200, R"({"index":7})")};
  EXPECT_EQ(run(servers, Set{.key = "k", .value = "v"}, {"a:1", "b:2"}).exit_code, kDone);
}

TEST(SetCommand, WaitsForALeader) {
  Servers servers;
  const Answer none =
      answer(503, R"({"code":"not_leader","detail":"no leader","outcome":"not_applied"})");
  servers.answers["a:1"] = {none, none, none, answer(200, R"({"index":7})")};
  EXPECT_EQ(run(servers, Set{.key = "k", .value = "v"}).exit_code, kDone);
  EXPECT_EQ(servers.asked.size(), 4u);
}

TEST(SetCommand, GivesUpWithoutALeader) {
  Servers servers;
  servers.answers["a:1"] = {answer(
      503, R"({"code":"not_leader","detail":"no leader is known","outcome":"not_applied"})")};
  const Said set = run(servers, Set{.key = "k", .value = "v"});
  EXPECT_EQ(set.exit_code, kUnreachable);
  EXPECT_THAT(set.err, HasSubstr("no leader is known"));
}

TEST(SetCommand, GivesUpAtOnceWhereNobodyAnswers) {
  Servers servers;
  const Said set = run(servers, Set{.key = "k", .value = "v"}, {"a:1", "b:2"});
  EXPECT_EQ(set.exit_code, kUnreachable);
  EXPECT_EQ(servers.asked.size(), 2u);
}

TEST(SetCommand, DoesNotFollowRedirectsInCircles) {
  Servers servers;
  servers.answers["a:1"] = {answer(307, "", "http://b:2/key/k")};
  servers.answers["b:2"] = {answer(307, "", "http://a:1/key/k")};
  EXPECT_EQ(run(servers, Set{.key = "k", .value = "v"}).exit_code, kUnreachable);
  EXPECT_LT(servers.asked.size(), 500u);
}

TEST(SetCommand, ComesBackFromALeaderThatDied) {
  Servers servers;
  servers.answers["a:1"] = {answer(307, "", "http://dead:9/key/k"),
                            answer(307, "", "http://b:2/key/k")};
  servers.answers["b:2"] = {answer(200, R"({"index":7})")};
  EXPECT_EQ(run(servers, Set{.key = "k", .value = "v"}).exit_code, kDone);
}

TEST(SetCommand, NeverHidesThatItMayHaveHappened) {
  Servers broken;
  broken.answers["a:1"] = {broken_connection(), answer(200, R"({"index":7})")};
  const Said after_break = run(broken, Set{.key = "k", .value = "v"});
  EXPECT_EQ(after_break.exit_code, kUnknown);
  EXPECT_EQ(broken.asked.size(), 1u) << "it must not be done twice";
  EXPECT_THAT(after_break.err, HasSubstr("unknown"));

  Servers timed_out;
  timed_out.answers["a:1"] = {
      answer(504, R"({"code":"timeout","detail":"no majority answered","outcome":"unknown"})")};
  EXPECT_EQ(run(timed_out, Set{.key = "k", .value = "v"}).exit_code, kUnknown);

  Servers stopping;
  stopping.answers["a:1"] = {
      answer(503, R"({"code":"stopping","detail":"going","outcome":"unknown"})")};
  EXPECT_EQ(run(stopping, Set{.key = "k", .value = "v"}).exit_code, kUnknown);
}

TEST(SetCommand, SaysWhyItWasRefused) {
  Servers servers;
  servers.answers["a:1"] = {answer(
      413, R"({"code":"value_too_large","detail":"at most 1 MiB","outcome":"not_applied"})")};
  const Said set = run(servers, Set{.key = "k", .value = "v"});
  EXPECT_EQ(set.exit_code, kRefused);
  EXPECT_EQ(set.err, "raftkv: at most 1 MiB\n");
}

TEST(DelCommand, SaysWhetherTheKeyWasThere) {
  Servers servers;
  servers.answers["a:1"] = {answer(200, R"({"deleted":true,"index":7})"),
                            answer(200, R"({"deleted":false,"index":8})")};
  EXPECT_EQ(run(servers, Del{.key = "k"}).exit_code, kDone);
  EXPECT_EQ(run(servers, Del{.key = "k"}).exit_code, kNotFound);
}

TEST(MembersCommand, AsksTheLeaderHowFarTheyAre) {
  Servers servers;
  servers.answers["a:1"] = {answer(200, R"({"index":3,"members":[
      {"id":"n1","member":1,"role":"voter","httpAddr":"b:2","raftAddr":"b:3","leader":true}]})")};
  servers.answers["b:2"] = {answer(200, R"({"index":3,"members":[
      {"id":"n1","member":1,"role":"voter","httpAddr":"b:2","raftAddr":"b:3","leader":true,"match":41,"lag":0,"lastContactMs":5}]})")};
  const Said members = run(servers, ShowMembers{});
  EXPECT_EQ(members.exit_code, kDone);
  EXPECT_EQ(members.out,
            "ID  MEMBER  ROLE    HTTP  RAFT  MATCH  LAG  CONTACT\n"
            "n1  1       leader  b:2   b:3   41     0    5 ms\n");
}

TEST(StatusCommand, ShowsEveryEndpointThatAnswers) {
  Servers servers;
  servers.answers["a:1"] = {
      answer(200, R"({"id":"n1","role":"leader","term":3,"leader":{"id":"n1","httpAddr":"a:1"},
      "commitIndex":9,"appliedIndex":9,"digest":"00ff","version":"0.1.0"})")};
  const Said all = run(servers, ShowStatus{}, {"a:1"});
  EXPECT_EQ(all.exit_code, kDone);
  EXPECT_THAT(all.out, HasSubstr("a:1       n1  leader  3"));
  const Said some = run(servers, ShowStatus{.json = true}, {"a:1", "b:2"});
  EXPECT_EQ(some.exit_code, kUnreachable);
  EXPECT_THAT(some.out, testing::StartsWith("[{"));
  EXPECT_THAT(some.err, HasSubstr("b:2"));
}

TEST(AdministrationCommands, SendWhatTheApiWants) {
  Servers servers;
  servers.answers["a:1"] = {answer(200, "{}")};
  EXPECT_EQ(run(servers, RemoveMember{.id = "n2"}).exit_code, kDone);
  EXPECT_EQ(run(servers, TransferLeader{.id = "n\"3"}).exit_code, kDone);
  EXPECT_THAT(servers.asked,
              ElementsAre("a:1 DELETE /members/n2", R"(a:1 POST /leader {"id":"n\"3"})"));
}

TEST(Locations, GiveAnAddress) {
  EXPECT_EQ(address_of_location("http://b:2/key/k?x"), "b:2");
  EXPECT_EQ(address_of_location("http://[::1]:2"), "[::1]:2");
  EXPECT_EQ(address_of_location("/key/k"), "");
  EXPECT_EQ(address_of_location("https://b:2/"), "");
  EXPECT_EQ(address_of_location("http://b/"), "");
}

}  // namespace
}  // namespace raftkv::app
