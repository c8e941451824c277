#include "tests/http/conversation.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <regex>

#include "src/base/check.h"
#include "src/http/text.h"

namespace raftkv::http {
namespace {

// {text*N} is the text N times.
std::string repeated(const std::string& text) {
  static const std::regex kRepeat(R"(\{([^{}*]*)\*(\d+)\})");
  std::string out;
  auto rest = text.begin();
  for (std::sregex_iterator it(text.begin(), text.end(), kRepeat), end; it != end; ++it) {
    out.append(rest, (*it)[0].first);
    for (int i = std::stoi((*it)[2]); i > 0; --i) out += (*it)[1];
    rest = (*it)[0].second;
  }
  return out.append(rest, text.end());
}

std::string unescaped(const std::string& escaped) {
  const std::string text = repeated(escaped);
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    const char c = text.at(++i);
    if (c == 'x') {
      out += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else {
      static constexpr std::string_view kNames = "rnt\\";
      static constexpr std::string_view kBytes = "\r\n\t\\";
      const std::size_t which = kNames.find(c);
      CHECK(which != std::string_view::npos, text);
      out += kBytes[which];
    }
  }
  return out;
}

// Puts the lines of a file together to cases.
class Loader {
 public:
  std::vector<Case> cases;

  void line(int number, const std::string& text) {
    number_ = number;
    if (text.empty() || text.starts_with('#')) return;
    if (text.starts_with("== ")) {
      cases.push_back({text.substr(3), {}});
    } else if (text.starts_with("node ")) {
      add(Mood{text.substr(5)});
    } else if (text.starts_with('>')) {
      send(text);
    } else if (text.starts_with('<')) {
      expect(text);
    } else {
      ADD_FAILURE() << "line " << number << ": not understood: " << text;
    }
  }

 private:
  template <typename T>
  void add(T what) {
    CHECK(!cases.empty(), "a step before the first case");
    cases.back().steps.push_back({number_, std::move(what)});
  }
  void send(const std::string& text) {
    const bool whole_line = !text.starts_with(">|");
    std::string bytes = unescaped(text.substr(std::min(text.size(), whole_line ? 2ul : 3ul)));
    if (whole_line) bytes += "\r\n";
    std::vector<Step>& steps = cases.back().steps;
    if (!steps.empty() && std::holds_alternative<Send>(steps.back().what)) {
      std::get<Send>(steps.back().what).bytes += bytes;
    } else {
      add(Send{bytes});
    }
  }
  void expect(const std::string& text) {
    if (text == "< continue") return add(ExpectContinue{});
    if (text == "< closes") return add(ExpectClose{});
    if (text == "< waits") return add(ExpectNothing{});
    if (text.size() >= 5 && std::isdigit(static_cast<unsigned char>(text[2])) != 0) {
      ExpectedResponse expected;
      expected.status = text.substr(2, 3);
      expected.head = text.ends_with(" head");
      return add(std::move(expected));
    }
    auto* expected = std::get_if<ExpectedResponse>(&cases.back().steps.back().what);
    CHECK(expected != nullptr, text);
    if (text.starts_with("< !")) {
      expected->absent.push_back(text.substr(3));
    } else if (text.starts_with("< ")) {
      expected->fields.push_back(unescaped(text.substr(2)));
    } else if (text.starts_with("<|")) {
      expected->body = expected->body.value_or("") +
                       unescaped(text.substr(std::min<std::size_t>(3, text.size())));
    } else {
      CHECK(text.starts_with("<~ "), text);
      expected->body_parts.push_back(unescaped(text.substr(3)));
    }
  }

  int number_ = 0;
};

void check_common(const SeenResponse& seen, bool head) {
  for (const char* name : {"X-Raft-Index", "X-Raft-Term", "X-Raft-Leader", "X-Raft-Node"}) {
    EXPECT_TRUE(seen.field(name).has_value()) << name;
  }
  EXPECT_TRUE(seen.field("Content-Length").has_value());
  if (seen.status == "200") return;
  EXPECT_EQ(seen.field("Content-Type"), "application/problem+json");
  EXPECT_TRUE(seen.status != "503" || seen.field("Retry-After").has_value());
  if (head) return;
  EXPECT_NE(seen.body.find("\"status\":" + seen.status), std::string::npos) << seen.body;
  for (const char* member : {"type", "title", "code", "detail"}) {
    EXPECT_NE(seen.body.find('"' + std::string(member) + "\":\""), std::string::npos) << seen.body;
  }
}

void check_response(const ExpectedResponse& expected, const SeenResponse& seen) {
  EXPECT_EQ(expected.status, seen.status) << seen.body;
  check_common(seen, expected.head);
  for (const std::string& field : expected.fields) {
    std::string_view value = field;
    const std::string name(cut(value, ':'));
    EXPECT_EQ(seen.field(name).value_or("(absent)"), trimmed(value)) << name;
  }
  for (const std::string& name : expected.absent) EXPECT_FALSE(seen.field(name)) << name;
  EXPECT_EQ(expected.body.value_or(seen.body), seen.body);
  for (const std::string& part : expected.body_parts) {
    EXPECT_NE(seen.body.find(part), std::string::npos) << part << " in " << seen.body;
  }
}

// Runs one kind of step each.
struct Runner {
  World& world;

  void operator()(const Mood& mood) const { world.set_mood(mood.line); }
  void operator()(const Send& send) const { world.send(send.bytes); }
  void operator()(const ExpectedResponse& expected) const {
    std::string& bytes = world.received(
        [&](std::string_view so_far) { return first_response(so_far, expected.head).has_value(); });
    const auto seen = first_response(bytes, expected.head);
    ASSERT_TRUE(seen.has_value()) << "no whole response: " << bytes;
    bytes.erase(0, seen->size);
    check_response(expected, *seen);
  }
  void operator()(const ExpectContinue&) const {
    const std::string interim = "HTTP/1.1 100 Continue\r\n\r\n";
    std::string& bytes =
        world.received([&](std::string_view so_far) { return so_far.size() >= interim.size(); });
    EXPECT_TRUE(bytes.starts_with(interim)) << bytes;
    bytes.erase(0, interim.size());
  }
  void operator()(const ExpectClose&) const {
    EXPECT_EQ(world.received([](std::string_view) { return false; }), "");
    EXPECT_TRUE(world.closed());
  }
  void operator()(const ExpectNothing&) const {
    EXPECT_EQ(world.received([](std::string_view) { return true; }), "");
    EXPECT_FALSE(world.closed());
  }
};

}  // namespace

std::vector<Case> load_cases(const std::string& file) {
  std::ifstream in(file);
  EXPECT_TRUE(in.is_open()) << file;
  Loader loader;
  std::string text;
  for (int number = 1; std::getline(in, text); ++number) loader.line(number, text);
  EXPECT_FALSE(loader.cases.empty()) << file;
  return std::move(loader.cases);
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const auto& entry :
       std::filesystem::directory_iterator(RAFTKV_SOURCE_DIR "/tests/testdata/http")) {
    for (Case& c : load_cases(entry.path())) {
      c.title = entry.path().stem().string() + ": " + c.title;
      cases.push_back(std::move(c));
    }
  }
  return cases;
}

std::string case_name(const testing::TestParamInfo<Case>& info) {
  std::string name;
  for (const char c : info.param.title) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      name += c;
    } else if (!name.empty() && name.back() != '_') {
      name += '_';
    }
  }
  return name;
}

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.title;
}

void run_case(const Case& c, World& world) {
  SCOPED_TRACE(c.title);
  for (const Step& step : c.steps) {
    SCOPED_TRACE("line " + std::to_string(step.line));
    std::visit(Runner{world}, step.what);
    if (testing::Test::HasFailure()) return;
  }
}

std::optional<std::string> SeenResponse::field(std::string_view name) const {
  for (const auto& [field_name, value] : fields) {
    if (equals_ignoring_case(field_name, name)) return value;
  }
  return std::nullopt;
}

std::optional<SeenResponse> first_response(std::string_view bytes, bool head) {
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos || !bytes.starts_with("HTTP/1.1 ")) return std::nullopt;
  SeenResponse seen;
  seen.status = bytes.substr(9, 3);
  std::string_view lines = bytes.substr(0, end + 2);
  lines.remove_prefix(lines.find('\n') + 1);
  while (!lines.empty()) {
    std::string_view line = cut(lines, '\n');
    line.remove_suffix(1);
    const std::string name(cut(line, ':'));
    seen.fields.emplace_back(name, trimmed(line));
  }
  const std::string length = seen.field("Content-Length").value_or("0");
  const std::size_t size = head ? 0 : std::stoul(length);
  seen.size = end + 4 + size;
  if (bytes.size() < seen.size) return std::nullopt;
  seen.body = bytes.substr(end + 4, size);
  return seen;
}

PureWorld::PureWorld(std::size_t piece, ExchangeLimits limits)
    : limits_(limits),
      router_({.value_size_max = 100'000, .version = "0.1.0"}, node_),
      exchange_(router_, limits_, *this, date_line_),
      piece_(piece) {
  node_.answer_to([this](replica::Ticket ticket, replica::Reply reply) {
    exchange_.answer(ticket.value - 1, std::move(reply));
  });
}

void PureWorld::submit(std::uint64_t number, replica::Request request) {
  node_.submit(replica::Ticket(number + 1), std::move(request));
}

void PureWorld::send(std::string_view bytes) {
  unsent_ += bytes;
  deliver();
}

// Alternates as a socket would: what the exchange wants to read, then what it has to send.
void PureWorld::deliver() {
  take_output();
  while (!unsent_.empty() && exchange_.reads()) {
    const std::span<char> room = exchange_.prepare();
    const std::size_t size = std::min({room.size(), unsent_.size(), piece_});
    std::ranges::copy(unsent_.substr(0, size), room.begin());
    unsent_.erase(0, size);
    exchange_.received(size);
    take_output();
  }
}

void PureWorld::take_output() {
  while (!exchange_.output().empty()) {
    std::array<std::string_view, Output::kGatherMax> parts;
    const std::size_t count = exchange_.output().front(parts);
    std::size_t size = 0;
    for (std::size_t i = 0; i < count; ++i) {
      received_ += parts[i];
      size += parts[i].size();
    }
    exchange_.sent(size);
  }
}

std::string& PureWorld::received(const std::function<bool(std::string_view)>&) {
  deliver();
  return received_;
}

bool PureWorld::closed() {
  return exchange_.phase() == Exchange::Phase::closed;
}

}  // namespace raftkv::http
