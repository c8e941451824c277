// Conversations: a data file that says what a client sends and what it must get, and the two worlds
// that it runs in.
//
//   == a title            a case: a new connection to a new node
//   node MOOD             FakeNode::set_mood
//   > text                sends a line and CR LF
//   >| text               sends this and nothing behind it
//   < 200                 the next response has this status; `< 200 head`: it is one to HEAD
//   < Name: value         … has this field; `< !Name`: has none
//   <| text               … has exactly this body (several lines: joined)
//   <~ text               … has this somewhere in its body
//   < continue            an interim 100 comes
//   < closes              the server closes, and nothing more came
//   < waits               nothing more came, and the connection is open
//
// In all texts \r \n \t \\ \xHH are escapes, and {text*N} is the text N times. Every response is
// checked for what all have in common: the X-Raft fields, a Content-Length, and for an error a
// problem document.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "src/http/exchange.h"
#include "tests/http/fake_node.h"

namespace raftkv::http {

struct ExpectedResponse {
  std::string status;
  bool head = false;
  std::vector<std::string> fields;
  std::vector<std::string> absent;
  std::optional<std::string> body;
  std::vector<std::string> body_parts;
};
struct Mood {
  std::string line;
};
struct Send {
  std::string bytes;
};
struct ExpectContinue {};
struct ExpectClose {};
struct ExpectNothing {};
struct Step {
  int line = 0;
  std::variant<Mood, Send, ExpectedResponse, ExpectContinue, ExpectClose, ExpectNothing> what;
};
struct Case {
  std::string title;
  std::vector<Step> steps;
};

// Fails the test on a line that it does not understand.
[[nodiscard]] std::vector<Case> load_cases(const std::string& file);

// Those of all files in tests/testdata/http, and their names as GoogleTest takes them.
[[nodiscard]] std::vector<Case> all_cases();
[[nodiscard]] std::string case_name(const testing::TestParamInfo<Case>& info);
void PrintTo(const Case& c, std::ostream* out);

// One connection to a FakeNode, seen by the client.
struct World {
  virtual ~World() = default;
  virtual void set_mood(const std::string& line) = 0;
  virtual void send(std::string_view bytes) = 0;
  // All that has come and was not taken. `enough` says when there is no need to wait for more.
  virtual std::string& received(const std::function<bool(std::string_view)>& enough) = 0;
  [[nodiscard]] virtual bool closed() = 0;
};

// An Exchange without a socket. `piece`: how many bytes are delivered at a time.
class PureWorld final : public World, Submitter {
 public:
  explicit PureWorld(std::size_t piece = SIZE_MAX, ExchangeLimits limits = {});

  void set_mood(const std::string& line) override { node_.set_mood(line); }
  void send(std::string_view bytes) override;
  std::string& received(const std::function<bool(std::string_view)>& enough) override;
  [[nodiscard]] bool closed() override;
  void end_of_input() { exchange_.end_of_input(); }

  [[nodiscard]] FakeNode& node() { return node_; }
  [[nodiscard]] Exchange& exchange() { return exchange_; }

 private:
  void submit(std::uint64_t number, replica::Request request) override;
  void deliver();
  void take_output();

  FakeNode node_;
  ExchangeLimits limits_;
  std::string date_line_;
  Router router_;
  Exchange exchange_;
  std::size_t piece_;
  std::string unsent_;
  std::string received_;
};

// Runs the steps; every failure names the file's line.
void run_case(const Case& c, World& world);

// A response as a client reads it.
struct SeenResponse {
  std::string status;
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;
  std::size_t size = 0;  // bytes of it on the wire

  [[nodiscard]] std::optional<std::string> field(std::string_view name) const;
};
// The response at the front; nullopt if it is not whole or no response.
[[nodiscard]] std::optional<SeenResponse> first_response(std::string_view bytes, bool head);

}  // namespace raftkv::http
