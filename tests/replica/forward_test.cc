// Laws of the forward codec.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "src/raft/configuration.h"
#include "src/replica/forward.h"

namespace raftkv::replica {
namespace {

using rc::gen::arbitrary;

rc::Gen<std::string> texts() {
  return rc::gen::container<std::string>(arbitrary<char>());
}
rc::Gen<std::string> keys() {
  return rc::gen::nonEmpty(texts());
}

template <typename N>
N number() {
  return N(*arbitrary<std::uint64_t>());
}

Request any_request() {
  switch (*rc::gen::inRange(0, 8)) {
    case 0: {
      const std::string key = *keys();
      const std::string value = *texts();
      return Write{kv::encode_set(key, value)};
    }
    case 1:
      return Write{kv::encode(kv::Delete{*keys()})};
    case 2: {
      const std::string key = *keys();
      return Read{key, *rc::gen::element(Level::default_, Level::consistent, Level::stale)};
    }
    case 3: {
      Join join;
      join.name = *texts();
      join.http_address = *texts();
      join.raft_address = *texts();
      join.instance = number<raft::InstanceId>();
      return join;
    }
    case 4:
      return Remove{*texts()};
    case 5:
      return Transfer{*texts()};
    case 6:
      return GetMembers{};
    default:
      return GetStatus{};
  }
}

MemberInfo any_member() {
  MemberInfo m;
  m.name = *texts();
  m.member = number<raft::MemberId>();
  m.voter = *arbitrary<bool>();
  m.http_address = *texts();
  m.raft_address = *texts();
  m.leader = *arbitrary<bool>();
  if (*arbitrary<bool>()) m.match = number<Index>();
  if (*arbitrary<bool>()) m.lag = *arbitrary<std::uint64_t>();
  if (*arbitrary<bool>()) m.last_contact_ms = *arbitrary<std::int64_t>();
  return m;
}

Members any_members() {
  Members out;
  out.index = number<Index>();
  const int count = *rc::gen::inRange(0, 4);
  for (int i = 0; i < count; ++i) out.members.push_back(any_member());
  return out;
}

NodeStatus any_status() {
  NodeStatus s;
  s.name = *texts();
  s.member = number<raft::MemberId>();
  s.cluster = number<raft::ClusterId>();
  s.role = *texts();
  s.term = number<Term>();
  s.commit_index = number<Index>();
  s.applied_index = number<Index>();
  s.first_index = number<Index>();
  s.last_index = number<Index>();
  s.digest = *arbitrary<std::uint64_t>();
  s.incarnation = number<raft::Incarnation>();
  s.uptime_ms = *arbitrary<std::int64_t>();
  s.ready = *arbitrary<bool>();
  s.not_ready = *texts();
  return s;
}

Answer any_answer() {
  switch (*rc::gen::inRange(0, 8)) {
    case 0: {
      Written a;
      a.index = number<Index>();
      a.outcome.deleted = *arbitrary<bool>();
      return a;
    }
    case 1: {
      ReadResult a;
      if (*arbitrary<bool>()) {
        a.value.emplace();
        a.value->bytes = *texts();
        a.value->index = *arbitrary<std::uint64_t>();
      }
      return a;
    }
    case 2:
      return any_members();
    case 3: {
      Joined a;
      a.cluster = number<raft::ClusterId>();
      a.member = number<raft::MemberId>();
      a.members = any_members();
      return a;
    }
    case 4:
      return Removed{number<Index>()};
    case 5:
      return Transferred{*texts()};
    case 6:
      return any_status();
    default: {
      Failed a;
      a.problem =
          static_cast<Problem>(*rc::gen::inRange(0, static_cast<int>(Problem::internal) + 1));
      a.effect = *rc::gen::element(Effect::not_applied, Effect::unknown);
      a.detail = *texts();
      return a;
    }
  }
}

ForwardReply any_reply() {
  ForwardReply out;
  out.ticket = number<Ticket>();
  out.reply.answer = any_answer();
  out.reply.node = *texts();
  out.reply.index = number<Index>();
  out.reply.term = number<Term>();
  if (*arbitrary<bool>()) {
    out.reply.leader.emplace();
    out.reply.leader->name = *texts();
    out.reply.leader->http_address = *texts();
  }
  if (*arbitrary<bool>()) out.reply.last_contact_ms = *arbitrary<std::int64_t>();
  return out;
}

Forward any_forward() {
  const Ticket ticket = number<Ticket>();
  return {ticket, any_request()};
}

// Decoding is the inverse of encoding, and nothing else decodes to the same: what is taken, encodes
// to what it was taken from.
template <typename Decode>
void expect_refused_or_different(const std::string& body, std::size_t at, char flip,
                                 Decode decode) {
  std::string changed = body;
  changed[at] = static_cast<char>(changed[at] ^ flip);
  const auto decoded = decode(changed);
  if (decoded) RC_ASSERT(encode(*decoded) == changed);
}

RC_GTEST_PROP(ForwardCodec, RequestsComeBackAsTheyWere, ()) {
  const Forward forward = any_forward();
  const std::string body = encode(forward);
  const auto decoded = decode_forward(body);
  RC_ASSERT(decoded.has_value());
  RC_ASSERT(decoded->ticket == forward.ticket);
  RC_ASSERT(decoded->request.index() == forward.request.index());
  RC_ASSERT(encode(*decoded) == body);
  if (const auto* write = std::get_if<Write>(&forward.request)) {
    RC_ASSERT(std::get<Write>(decoded->request).command == write->command);
  }
}

RC_GTEST_PROP(ForwardCodec, AnswersComeBackAsTheyWere, ()) {
  const ForwardReply reply = any_reply();
  const std::string body = encode(reply);
  const auto decoded = decode_forward_reply(body);
  RC_ASSERT(decoded.has_value());
  RC_ASSERT(decoded->ticket == reply.ticket);
  RC_ASSERT(decoded->reply.node == reply.reply.node);
  RC_ASSERT(decoded->reply.answer.index() == reply.reply.answer.index());
  RC_ASSERT(encode(*decoded) == body);
}

RC_GTEST_PROP(ForwardCodec, AnyChangedByteIsRefusedOrSaysSomethingElse, ()) {
  const auto flip = *rc::gen::inRange(1, 256);
  const std::string request = encode(any_forward());
  const std::string reply = encode(any_reply());
  for (std::size_t at = 0; at < request.size(); ++at) {
    expect_refused_or_different(request, at, static_cast<char>(flip), decode_forward);
  }
  for (std::size_t at = 0; at < reply.size(); ++at) {
    expect_refused_or_different(reply, at, static_cast<char>(flip), decode_forward_reply);
  }
}

RC_GTEST_PROP(ForwardCodec, AnyMissingOrExtraByteIsRefused, ()) {
  const std::string request = encode(any_forward());
  const std::string reply = encode(any_reply());
  for (std::size_t n = 0; n < request.size(); ++n) {
    RC_ASSERT(!decode_forward(std::string_view(request).substr(0, n)).has_value());
  }
  for (std::size_t n = 0; n < reply.size(); ++n) {
    RC_ASSERT(!decode_forward_reply(std::string_view(reply).substr(0, n)).has_value());
  }
  RC_ASSERT(!decode_forward(request + '\0').has_value());
  RC_ASSERT(!decode_forward_reply(reply + '\0').has_value());
}

RC_GTEST_PROP(ForwardCodec, GarbageIsRefusedWithoutHarm, ()) {
  const std::string garbage = *texts();
  (void)decode_forward(garbage);
  (void)decode_forward_reply(garbage);
}

// The leader appends these bytes, and every node must be able to execute them.
TEST(ForwardCodec, RefusesACommandThatCannotBeExecuted) {
  EXPECT_TRUE(
      decode_forward(encode(Forward{Ticket(1), Write{kv::encode_set("k", "v")}})).has_value());
  const std::string no_command(kv::kCommandHeadroom + 5, 'x');
  EXPECT_FALSE(decode_forward(encode(Forward{Ticket(1), Write{no_command}})).has_value());
}

TEST(ForwardCodec, RefusesNamesThatAConfigurationWouldNotTake) {
  const std::string fits(raft::kMemberTextMax, 'n');
  EXPECT_TRUE(decode_forward(encode(Forward{Ticket(1), Join{fits, "h", "r", {}}})).has_value());
  EXPECT_FALSE(
      decode_forward(encode(Forward{Ticket(1), Join{fits + 'n', "h", "r", {}}})).has_value());
  EXPECT_FALSE(
      decode_forward(encode(Forward{Ticket(1), Join{"n", fits + 'n', "r", {}}})).has_value());
  EXPECT_FALSE(
      decode_forward(encode(Forward{Ticket(1), Join{"n", "h", fits + 'n', {}}})).has_value());
}

}  // namespace
}  // namespace raftkv::replica
