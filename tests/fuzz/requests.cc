// Whatever comes to the HTTP port: parsed, routed, executed by a node in memory, answered. Bytes
// mean the same however they are cut, and every request gets one answer.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "src/base/check.h"
#include "src/http/exchange.h"
#include "tests/http/fake_node.h"

using namespace raftkv;
using namespace raftkv::http;

namespace {

// One connection to one node.
class World final : Submitter {
 public:
  World()
      : router_({.value_size_max = 4096, .version = "0"}, node_),
        exchange_(router_, limits_, *this, date_) {
    node_.answer_to([this](replica::Ticket ticket, replica::Reply reply) {
      exchange_.answer(ticket.value - 1, std::move(reply));
    });
  }

  std::string talk(std::string_view input, std::size_t piece) {
    while (!input.empty() && exchange_.reads()) {
      const std::span<char> room = exchange_.prepare();
      CHECK(!room.empty());
      const std::size_t size = std::min({room.size(), input.size(), piece});
      std::ranges::copy(input.substr(0, size), room.begin());
      input.remove_prefix(size);
      exchange_.received(size);
      take_output();
    }
    CHECK(exchange_.phase() == Exchange::Phase::closed || exchange_.reads());
    CHECK(exchange_.refusals() <= 1);
    CHECK(exchange_.refusals() == 0 || exchange_.phase() == Exchange::Phase::closed);
    return output_;
  }
  [[nodiscard]] std::uint64_t answers() const {
    return exchange_.requests() + exchange_.refusals();
  }

 private:
  void submit(std::uint64_t number, replica::Request request) override {
    node_.submit(replica::Ticket(number + 1), std::move(request));
  }
  void take_output() {
    while (!exchange_.output().empty()) {
      std::array<std::string_view, Output::kGatherMax> parts;
      const std::size_t count = exchange_.output().front(parts);
      std::size_t size = 0;
      for (std::size_t i = 0; i < count; ++i) {
        output_ += parts[i];
        size += parts[i].size();
      }
      exchange_.sent(size);
    }
  }

  FakeNode node_;
  ExchangeLimits limits_;
  std::string date_;
  Router router_;
  Exchange exchange_;
  std::string output_;
};

std::size_t count(std::string_view text, std::string_view what) {
  std::size_t n = 0;
  for (auto at = text.find(what); at != std::string_view::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = 1 + data[0];
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  World whole;
  World pieces;
  const std::string output = whole.talk(input, SIZE_MAX);
  const std::string other = pieces.talk(input, piece);
  CHECK(count(output, "X-Raft-Node: node01\r\n") >= whole.answers());
  // With an Expect field it matters what has arrived: 100 Continue, or a refusal instead of it.
  if (count(output, "100 Continue") + count(other, "100 Continue") == 0 &&
      whole.answers() == pieces.answers()) {
    CHECK(output == other || count(input, "xpect") + count(input, "XPECT") > 0,
          "the same bytes cut differently got another answer");
  }
  return 0;
}
