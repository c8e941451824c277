// Laws of the HTTP interface, for bytes of all kinds.
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "src/http/json_input.h"
#include "src/http/problem.h"
#include "src/http/text.h"
#include "tests/http/conversation.h"

namespace raftkv::http {
namespace {

// Pieces of requests, good and bad; in a row they are sometimes requests.
rc::Gen<std::string> any_piece() {
  static const std::vector<std::string> kPieces = {
      "GET /key/a?raw HTTP/1.1\r\nHost: n\r\n\r\n",
      "GET /status HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\r\n",
      "PUT /key/a HTTP/1.1\r\nHost: n\r\nContent-Length: 3\r\n\r\nabc",
      "PUT /key/a%00 HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\n\r\n",
      "POST /key HTTP/1.1\r\nHost: n\r\nContent-Length: 9\r\n\r\n{\"a\":\"b\"}",
      "DELETE /members/node02 HTTP/1.1\r\nHost: n\r\n\r\n",
      "POST /nothing HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n",
      "GET ",
      "PUT ",
      "POST ",
      "/key/",
      "/key ",
      "%zz",
      "?level=stale",
      " HTTP/1.1\r\n",
      "Host: n\r\n",
      "Host: m\r\n",
      "Content-Length: 5\r\n",
      "Content-Length: 70000\r\n",
      "Transfer-Encoding: chunked\r\n",
      "Accept: */*;q=0.3\r\n",
      "X-A: b\r\n c\r\n",
      "\r\n",
      "\n",
      "3\r\nabc\r\n",
      "1;x=y\r\n",
      "0\r\n\r\n",
      "fffff\r\n",
      "{\"a\":",
      "\"b\"}",
      "abcde"};
  return rc::gen::weightedOneOf<std::string>(
      {{12, rc::gen::elementOf(kPieces)}, {1, rc::gen::arbitrary<std::string>()}});
}
rc::Gen<std::string> any_input() {
  return rc::gen::map(rc::gen::container<std::vector<std::string>>(any_piece()),
                      [](const std::vector<std::string>& pieces) {
                        std::string all;
                        for (const std::string& piece : pieces) all += piece;
                        return all;
                      });
}
rc::Gen<std::string> any_bytes() {
  return rc::gen::container<std::string>(rc::gen::arbitrary<char>());
}

std::string output_of(PureWorld& world, const std::string& input) {
  world.send(input);
  return world.received([](std::string_view) { return true; });
}

RC_GTEST_PROP(ExchangeLaw, BytesMeanTheSameHoweverTheyArrive, ()) {
  const std::string input = *any_input();
  const auto piece = *rc::gen::inRange<std::size_t>(1, 50);
  PureWorld whole;
  PureWorld pieces(piece);
  RC_ASSERT(output_of(whole, input) == output_of(pieces, input));
  RC_ASSERT(whole.exchange().phase() == pieces.exchange().phase());
}

RC_GTEST_PROP(ExchangeLaw, EveryRequestGetsOneAnswerAndEveryRefusalCloses, ()) {
  const std::string input = *any_input();
  PureWorld world(*rc::gen::inRange<std::size_t>(1, 5000));
  std::string output = output_of(world, input);
  std::uint64_t answers = 0;
  while (const auto seen = first_response(output, false)) {
    RC_ASSERT(std::stoi(seen->status) >= 200);
    output.erase(0, seen->size);
    ++answers;
    if (seen->field("Connection") == "close") break;
  }
  RC_ASSERT(output.empty());
  const Exchange& exchange = world.exchange();
  RC_ASSERT(answers == exchange.requests() + exchange.refusals());
  RC_ASSERT(exchange.refusals() <= 1u);
  RC_ASSERT(exchange.refusals() == 0u || exchange.phase() == Exchange::Phase::closed);
  RC_ASSERT(exchange.phase() == Exchange::Phase::closed || exchange.reads());
}

RC_GTEST_PROP(ExchangeLaw, ChunksMakeTheSameBodyAsALength, ()) {
  const auto chunks = *rc::gen::container<std::vector<std::string>>(any_bytes());
  std::string body;
  std::string chunked;
  for (const std::string& chunk : chunks) {
    if (chunk.empty()) continue;
    body += chunk;
    chunked += fmt::format("{:x}\r\n", chunk.size()) + chunk + "\r\n";
  }
  const std::string head = "PUT /key/a HTTP/1.1\r\nHost: n\r\n";
  const std::string get = "GET /key/a?raw HTTP/1.1\r\nHost: n\r\n\r\n";
  PureWorld sized;
  PureWorld in_chunks(*rc::gen::inRange<std::size_t>(1, 50));
  const std::string expected = output_of(
      sized, head + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body + get);
  RC_ASSERT(expected.ends_with(body));
  RC_ASSERT(output_of(in_chunks, head + "Transfer-Encoding: chunked\r\n\r\n" + chunked +
                                     "0\r\n\r\n" + get) == expected);
}

bool is_json(std::string_view text) {
  boost::json::error_code error;
  boost::json::parse(boost::json::string_view(text.data(), text.size()), error);
  return !error && is_utf8(text);
}

// "Name: value\r\n" without anything that would end a field early.
bool is_field_block(std::string_view fields) {
  while (!fields.empty()) {
    const std::size_t end = fields.find("\r\n");
    if (end == std::string_view::npos) return false;
    const std::string_view line = fields.substr(0, end);
    const bool printable = std::ranges::all_of(line, [](char c) { return c >= 0x20 && c < 0x7f; });
    if (!printable || line.find(": ") == std::string_view::npos) return false;
    fields.remove_prefix(end + 2);
  }
  return true;
}

void check_well_formed(const HttpResponse& response, bool may_be_bytes) {
  RC_ASSERT(reason_phrase(response.status) != "Unknown");
  RC_ASSERT(is_field_block(response.fields));
  RC_ASSERT(response.content_length >= response.body.size());
  if (!may_be_bytes && !response.body.empty()) RC_ASSERT(is_json(response.body));
}

rc::Gen<std::string> any_target() {
  return rc::gen::oneOf(
      any_bytes(),
      rc::gen::map(any_bytes(), [](const auto& s) { return "/key/" + percent_encoded(s); }),
      rc::gen::map(any_bytes(), [](const auto& s) { return "/members/" + percent_encoded(s); }),
      rc::gen::elementOf(std::vector<std::string>{"/key", "/join", "/leader", "/status", "/livez",
                                                  "/readyz", "/metrics", "/key/a?raw",
                                                  "/key/a?level=stale"}));
}

RC_GTEST_PROP(RouterLaw, AnswersWhateverItIsAsked, ()) {
  const std::string method = *rc::gen::oneOf(
      rc::gen::elementOf(std::vector<std::string>{"GET", "HEAD", "PUT", "POST", "DELETE"}),
      any_bytes());
  const std::string target = *any_target();
  const std::string accept = *any_bytes();
  const std::string body = *any_bytes();
  const std::vector<Field> fields = {{"Accept", accept}, {"X-A", body}};
  FakeNode node;
  const Router router({}, node);
  const HttpRequest request{method, target, fields, body};
  auto routed = router.route(request);
  if (const auto* response = std::get_if<HttpResponse>(&routed)) {
    check_well_formed(*response, target == "/metrics");
    return;
  }
  auto& [to_node, context] = std::get<Routed>(routed);
  check_well_formed(router.respond(context, node.reply_to(std::move(to_node))), context.raw);
  RC_ASSERT(!router.refuse_early(request, body.size()).has_value());
  RC_ASSERT(router.body_size_max(request) >= body.size());
}

RC_GTEST_PROP(RouterLaw, RendersWhateverThePeersSay, ()) {
  FakeNode node;
  const Router router({}, node);
  Context context;
  context.kind = static_cast<Context::Kind>(*rc::gen::inRange(0, 9));
  context.head = *rc::gen::arbitrary<bool>();
  context.target = "/key/a";
  replica::Reply reply;
  reply.node = *any_bytes();
  reply.leader = replica::LeaderHint{*any_bytes(), *any_bytes()};
  switch (*rc::gen::inRange(0, 4)) {
    case 0:
      reply.answer = replica::Failed{static_cast<replica::Problem>(*rc::gen::inRange(0, 30)),
                                     replica::Effect::unknown, *any_bytes()};
      break;
    case 1:
      reply.answer = replica::ReadResult{kv::Value{*any_bytes(), 1}};
      break;
    case 2:
      reply.answer = replica::Transferred{*any_bytes()};
      break;
    default: {
      replica::NodeStatus status;
      status.name = *any_bytes();
      status.role = *any_bytes();
      status.uptime_ms = *rc::gen::arbitrary<std::int64_t>();
      reply.answer = status;
    }
  }
  check_well_formed(router.respond(context, std::move(reply)), false);
}

RC_GTEST_PROP(TextLaw, PercentCodingGoesRoundAndIsAPath, ()) {
  const std::string bytes = *any_bytes();
  const std::string encoded = percent_encoded(bytes);
  RC_ASSERT(percent_decoded(encoded) == bytes);
  RC_ASSERT(is_origin_form("/" + encoded));
}

// Decodes by arithmetic instead of by ranges.
bool is_utf8_by_arithmetic(const std::string& bytes) {
  std::size_t i = 0;
  while (i < bytes.size()) {
    const auto lead = static_cast<unsigned char>(bytes[i]);
    const std::size_t length = lead < 0x80   ? 1
                               : lead < 0xc0 ? 0
                               : lead < 0xe0 ? 2
                               : lead < 0xf0 ? 3
                               : lead < 0xf8 ? 4
                                             : 0;
    if (length == 0 || i + length > bytes.size()) return false;
    std::uint32_t point = length == 1 ? lead : lead & (0x7fu >> length);
    for (std::size_t k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(bytes[i + k]);
      if ((next & 0xc0) != 0x80) return false;
      point = point << 6 | (next & 0x3f);
    }
    static constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < kLeast[length] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) {
      return false;
    }
    i += length;
  }
  return true;
}

RC_GTEST_PROP(TextLaw, Utf8IsWhatArithmeticSays, ()) {
  // Bytes near the borders of the ranges are the interesting ones.
  const auto border = rc::gen::elementOf(
      std::vector<int>{0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf,
                       0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff});
  std::string bytes;
  for (const int b : *rc::gen::container<std::vector<int>>(border)) {
    bytes += static_cast<char>(b);
  }
  RC_ASSERT(is_utf8(bytes) == is_utf8_by_arithmetic(bytes));
}

TEST(Utf8, EverySequenceOfUpToThreeBytesIsJudgedRight) {
  std::string bytes;
  for (int n = 0; n < 1 << 24; ++n) {
    bytes.clear();
    for (int rest = n; rest > 0; rest >>= 8) bytes += static_cast<char>(rest & 0xff);
    ASSERT_EQ(is_utf8(bytes), is_utf8_by_arithmetic(bytes)) << n;
  }
}

RC_GTEST_PROP(JsonLaw, WhatIsWrittenIsReadBack, ()) {
  const std::string key = *rc::gen::suchThat(any_bytes(), is_utf8);
  const std::string value = *rc::gen::suchThat(any_bytes(), is_utf8);
  std::string text = "{";
  append_json_string(text, key);
  text += ':';
  append_json_string(text, value);
  text += '}';
  const auto members = parse_json_members(text);
  RC_ASSERT(members.has_value());
  RC_ASSERT(*members == (JsonMembers{{key, value}}));
}

RC_GTEST_PROP(JsonLaw, TextOfUnknownOriginStaysJson, ()) {
  std::string text;
  append_json_text(text, *any_bytes());
  RC_ASSERT(is_json(text));
}

}  // namespace
}  // namespace raftkv::http
