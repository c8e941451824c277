#include "src/http/join_http.h"

#include <gtest/gtest.h>

#include "tests/http/conversation.h"

namespace raftkv::http {
namespace {

template <typename T>
T answer_as(int status, std::string_view location, std::string_view body) {
  const replica::JoinAnswer answer = join_answer(status, location, body);
  EXPECT_TRUE(std::holds_alternative<T>(answer)) << status << ' ' << location << ' ' << body;
  const T* found = std::get_if<T>(&answer);
  return found == nullptr ? T{} : *found;
}

const replica::Join kRequest{"node02", "127.0.0.1:8093", "127.0.0.1:8092",
                             raft::InstanceId(0xfeed)};

TEST(JoinBody, NamesTheInstanceOnlyIfThereIsOne) {
  EXPECT_EQ(join_body(kRequest),
            R"({"id":"node02","httpAddr":"127.0.0.1:8093","raftAddr":"127.0.0.1:8092",)"
            R"("instance":"000000000000feed"})");
  replica::Join by_hand = kRequest;
  by_hand.instance = {};
  EXPECT_EQ(join_body(by_hand),
            R"({"id":"node02","httpAddr":"127.0.0.1:8093","raftAddr":"127.0.0.1:8092"})");
}

TEST(JoinBody, IsWhatTheRouterTakes) {
  FakeNode node;
  const Router router({}, node);
  const std::string body = join_body(kRequest);
  auto routed = router.route({"POST", kJoinTarget, {}, body});
  ASSERT_TRUE(std::holds_alternative<Routed>(routed));
  const auto& [request, context] = std::get<Routed>(routed);
  const auto* join = std::get_if<replica::Join>(&request);
  ASSERT_NE(join, nullptr);
  EXPECT_EQ(join->name, kRequest.name);
  EXPECT_EQ(join->http_address, kRequest.http_address);
  EXPECT_EQ(join->raft_address, kRequest.raft_address);
  EXPECT_EQ(join->instance, kRequest.instance);
}

TEST(JoinAnswer, UnderstandsWhatTheRouterAnswers) {
  FakeNode node;
  const Router router({}, node);
  const std::string body = join_body(kRequest);
  const auto ask = [&] {
    auto routed = router.route({"POST", kJoinTarget, {}, body});
    auto& [request, context] = std::get<Routed>(routed);
    return router.respond(context, node.reply_to(std::move(request)));
  };
  const HttpResponse accepted = ask();
  const auto answer = answer_as<replica::JoinAccepted>(accepted.status, "", accepted.body);
  EXPECT_EQ(answer.cluster, raft::ClusterId(0xabc));
  EXPECT_EQ(answer.member, raft::MemberId(7));

  node.set_mood("follows node03 10.0.0.3:8091");
  const HttpResponse redirect = ask();
  EXPECT_EQ(answer_as<replica::JoinRedirected>(redirect.status, *redirect.field("location"),
                                               redirect.body)
                .endpoint,
            "10.0.0.3:8091");

  node.set_mood("fails removed_instance not_applied");
  const HttpResponse gone = ask();
  EXPECT_EQ(answer_as<replica::JoinRefused>(gone.status, "", gone.body).reason,
            "This node was removed from the cluster (410 Gone)");

  node.set_mood("fails address_taken not_applied");
  const HttpResponse taken = ask();
  answer_as<replica::JoinRefused>(taken.status, "", taken.body);

  // The wiped node's old instance may not be missed yet.
  node.set_mood("fails name_taken not_applied");
  const HttpResponse alive = ask();
  answer_as<replica::JoinRetry>(alive.status, "", alive.body);

  node.set_mood("fails change_under_way not_applied");
  const HttpResponse busy = ask();
  EXPECT_EQ(answer_as<replica::JoinRetry>(busy.status, "", busy.body).reason,
            "Another change of the configuration is under way (503 Service Unavailable)");
}

TEST(JoinAnswer, RefusalsAreFinalAndTroubleIsNot) {
  for (const int status : {400, 404, 405, 409, 410, 413}) {
    answer_as<replica::JoinRefused>(status, "", "");
  }
  for (const int status : {0, 204, 302, 408, 429, 500, 502, 503, 504}) {
    answer_as<replica::JoinRetry>(status, "", "not JSON");
  }
}

TEST(JoinAnswer, RetriesWhatItDoesNotUnderstand) {
  for (const char* body :
       {"", "{}", "[]", "hello", R"({"cluster":"0000000000000abc"})",
        R"({"cluster":"abc","member":7})", R"({"cluster":"0000000000000000","member":7})",
        R"({"cluster":"0000000000000abc","member":0})",
        R"({"cluster":"0000000000000abc","member":-1})",
        R"({"cluster":"0000000000000abc","member":"7"})"}) {
    answer_as<replica::JoinRetry>(200, "", body);
  }
  for (const char* location :
       {"", "/join", "https://a:1/join", "http://a/join", "http://a:b/join", "http://a:1@b/join"}) {
    answer_as<replica::JoinRetry>(307, location, "");
  }
  EXPECT_EQ(answer_as<replica::JoinRedirected>(308, "http://[::1]:8091", "").endpoint,
            "[::1]:8091");
}

}  // namespace
}  // namespace raftkv::http
