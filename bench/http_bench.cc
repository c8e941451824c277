// What the HTTP interface costs without sockets: bytes to a request, a request to a command, a
// reply to a response.
#include <benchmark/benchmark.h>

#include <cstring>
#include <string>
#include <string_view>
#include <variant>

#include "bench/allocations.h"
#include "src/base/check.h"
#include "src/http/request_parser.h"
#include "src/http/router.h"

namespace raftkv::http {
namespace {

constexpr std::string_view kPut =
    "PUT /key/key-000000001234 HTTP/1.1\r\nHost: 127.0.0.1:8091\r\nContent-Length: 256\r\n\r\n";
constexpr std::string_view kGet =
    "GET /key/key-000000001234?raw&level=consistent HTTP/1.1\r\nHost: 127.0.0.1:8091\r\n\r\n";

struct View final : NodeView {
  NodeSummary summary() override { return {}; }
  std::string metrics() override { return {}; }
};

std::string put_request() {
  return std::string(kPut) + std::string(256, 'v');
}

void count_allocations(benchmark::State& state, std::uint64_t before) {
  state.counters["allocs"] =
      static_cast<double>(bench::allocations() - before) / static_cast<double>(state.iterations());
}

void parse(benchmark::State& state, std::string_view bytes) {
  RequestParser parser(ParserLimits{});
  const std::uint64_t before = bench::allocations();
  for (auto _ : state) {
    const auto room = parser.prepare();
    CHECK(room.size() >= bytes.size());
    std::memcpy(room.data(), bytes.data(), bytes.size());
    parser.commit(bytes.size());
    while (parser.advance() == RequestParser::State::body) {
    }
    CHECK(parser.state() == RequestParser::State::complete);
    benchmark::DoNotOptimize(parser.request());
    parser.next();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes.size()));
  count_allocations(state, before);
}

void ParsePut(benchmark::State& state) {
  parse(state, put_request());
}
BENCHMARK(ParsePut);

void ParseGet(benchmark::State& state) {
  parse(state, kGet);
}
BENCHMARK(ParseGet);

void route(benchmark::State& state, std::string_view bytes) {
  View view;
  const Router router(RouterOptions{}, view);
  RequestParser parser(ParserLimits{});
  const auto room = parser.prepare();
  std::memcpy(room.data(), bytes.data(), bytes.size());
  parser.commit(bytes.size());
  while (parser.advance() == RequestParser::State::body) {
  }
  const HttpRequest request = parser.request();
  const std::uint64_t before = bench::allocations();
  for (auto _ : state) {
    const auto routed = router.route(request);
    CHECK(std::holds_alternative<Routed>(routed));
  }
  count_allocations(state, before);
}

void RoutePut(benchmark::State& state) {
  route(state, put_request());
}
BENCHMARK(RoutePut);

void RouteGet(benchmark::State& state) {
  route(state, kGet);
}
BENCHMARK(RouteGet);

void respond(benchmark::State& state, const Context& context, const replica::Answer& answer) {
  View view;
  const Router router(RouterOptions{}, view);
  const std::uint64_t before = bench::allocations();
  for (auto _ : state) {
    replica::Reply reply{.answer = answer,
                         .node = "n1",
                         .index = replica::Index(1234567),
                         .term = replica::Term(3),
                         .leader = replica::LeaderHint{"n1", "127.0.0.1:8091"},
                         .last_contact_ms = std::nullopt};
    benchmark::DoNotOptimize(router.respond(context, std::move(reply)));
  }
  count_allocations(state, before);
}

void RespondWritten(benchmark::State& state) {
  respond(state, {.kind = Context::Kind::set, .key = {}, .target = {}},
          replica::Written{.index = replica::Index(1234567), .outcome = {}});
}
BENCHMARK(RespondWritten);

void RespondRead(benchmark::State& state) {
  respond(state,
          {.kind = Context::Kind::read, .raw = true, .key = "key-000000001234", .target = {}},
          replica::ReadResult{.value = kv::Value{.bytes = std::string(256, 'v'), .index = 77}});
}
BENCHMARK(RespondRead);

}  // namespace
}  // namespace raftkv::http
