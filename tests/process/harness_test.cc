// The judges of the process tests, judged: a server that breaks its word is noticed, an honest one
// is not.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "tests/process/cluster.h"
#include "tests/process/load.h"

namespace raftkv::process {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// A key-value server of one node over plain sockets, with a fault.
class FakeServer {
 public:
  enum class Fault { none, loses_writes, answers_old_values, drops_answers };

  explicit FakeServer(Fault fault) : fault_(fault), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(static_cast<std::uint16_t>(address_.port));
    ::inet_pton(AF_INET, address_.host.c_str(), &at.sin_addr);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&at), sizeof(at)), 0);
    EXPECT_EQ(::listen(listener_, 64), 0);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;
  ~FakeServer() {
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    for (std::thread& session : sessions_) session.join();
    ::close(listener_);
  }

  [[nodiscard]] const Address& address() const { return address_; }

 private:
  void accept_all() {
    for (int socket = 0; (socket = ::accept(listener_, nullptr, nullptr)) >= 0;) {
      sessions_.emplace_back([this, socket] { serve(socket); });
    }
  }

  void serve(int socket) {
    std::string buffer;
    char chunk[4096];
    for (ssize_t got = 0; (got = ::recv(socket, chunk, sizeof(chunk), 0)) > 0;) {
      buffer.append(chunk, static_cast<std::size_t>(got));
      const std::size_t head = buffer.find("\r\n\r\n");
      if (head == std::string::npos) continue;
      const std::size_t length_at = buffer.find("Content-Length: ");
      const std::size_t length =
          length_at < head ? std::strtoul(buffer.c_str() + length_at + 16, nullptr, 10) : 0;
      if (buffer.size() < head + 4 + length) continue;
      const std::string answer = handle(buffer.substr(0, head), buffer.substr(head + 4, length));
      buffer.clear();
      if (answer.empty()) break;
      ::send(socket, answer.data(), answer.size(), MSG_NOSIGNAL);
    }
    ::close(socket);
  }

  // Empty: closes the connection without an answer.
  std::string handle(const std::string& head, const std::string& body) {
    const std::lock_guard lock(mutex_);
    const std::string target = head.substr(head.find(' ') + 1);
    const std::string key = target.substr(0, target.find_first_of(" ?"));
    if (head.starts_with("PUT")) {
      if (fault_ == Fault::drops_answers && ++writes_ % 10 == 0) return "";
      // Chosen by what a client writes, and not by when: among the losses are then its first write,
      // to a key that is written once, and its 31st, whose key it reads next, however the clients
      // take turns.
      if (fault_ == Fault::loses_writes && body.ends_with('1')) return answer("200 OK", "{}");
      old_[key] = values_[key];
      values_[key] = body;
      return answer("200 OK", "{}");
    }
    const bool old = fault_ == Fault::answers_old_values && ++reads_ % 10 == 0;
    const auto& values = old ? old_ : values_;
    const auto found = values.find(key);
    return found == values.end() ? answer("404 Not Found", "") : answer("200 OK", found->second);
  }

  static std::string answer(const std::string& status, const std::string& body) {
    return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body;
  }

  const Fault fault_;
  const Address address_ = unused_address();
  const int listener_;
  std::mutex mutex_;
  std::map<std::string, std::string> values_;
  std::map<std::string, std::string> old_;
  std::uint64_t writes_ = 0;
  std::uint64_t reads_ = 0;
  std::thread acceptor_;
  std::vector<std::thread> sessions_;
};

struct Verdict {
  std::vector<std::string> broken;
  std::vector<std::string> wrong;
  std::uint64_t unknown = 0;
};

Verdict judge(FakeServer::Fault fault) {
  FakeServer server(fault);
  Load load({.endpoints = {server.address()}, .clients = 3});
  EXPECT_TRUE(eventually([&] { return load.acknowledged() >= 500; }));
  load.stop();
  return {load.broken_promises(server.address()), load.wrong_reads(), load.unknown()};
}

TEST(Load, FindsNothingWrongWithAnHonestServer) {
  const Verdict verdict = judge(FakeServer::Fault::none);
  EXPECT_THAT(verdict.broken, IsEmpty());
  EXPECT_THAT(verdict.wrong, IsEmpty());
  EXPECT_EQ(verdict.unknown, 0U);
}

TEST(Load, NoticesLostWrites) {
  const Verdict verdict = judge(FakeServer::Fault::loses_writes);
  // By a read of the key before the next write to it, and at the end for keys that are written
  // once.
  EXPECT_THAT(verdict.broken, Not(IsEmpty()));
  EXPECT_THAT(verdict.wrong, Not(IsEmpty()));
}

TEST(Load, NoticesAnOldRead) {
  const Verdict verdict = judge(FakeServer::Fault::answers_old_values);
  EXPECT_THAT(verdict.wrong, Not(IsEmpty()));
  EXPECT_THAT(verdict.wrong, Each(HasSubstr("consistent read")));
}

TEST(Load, TakesAWriteWithoutAnAnswerForUnknown) {
  const Verdict verdict = judge(FakeServer::Fault::drops_answers);
  EXPECT_GT(verdict.unknown, 0U);
  EXPECT_THAT(verdict.broken, IsEmpty());
  EXPECT_THAT(verdict.wrong, IsEmpty());
}

TEST(Gap, IsTheLongestAfterTheMoment) {
  const Load::TimePoint t0{};
  const std::vector<Load::TimePoint> times = {t0, t0 + 900ms, t0 + 1000ms, t0 + 1300ms,
                                              t0 + 1310ms};
  EXPECT_EQ(longest_gap(times, t0), 900ms);
  EXPECT_EQ(longest_gap(times, t0 + 900ms), 300ms);
  EXPECT_EQ(longest_gap(times, t0 + 1300ms), 10ms);
  EXPECT_EQ(longest_gap({}, t0), 0ms);
}

TEST(Child, ReportsHowItEnded) {
  EXPECT_EQ(run({"/bin/sh", "-c", "echo out; echo err >&2; exit 7"}).exit_code, 7);
  EXPECT_EQ(run({"/bin/sh", "-c", "echo out; echo err >&2; exit 7"}).output, "out\nerr\n");
  EXPECT_EQ(run({"/bin/sh", "-c", "kill -TERM $$"}).exit_code, 128 + SIGTERM);
  EXPECT_EQ(run({"/bin/sleep", "60"}, 50ms).exit_code, 137);
  EXPECT_EQ(run({"/no/such/program"}).exit_code, 127);
}

TEST(Http, SaysWhetherARequestMayHaveArrived) {
  HttpConnection nobody(unused_address());
  EXPECT_FALSE(nobody.exchange({}, 1s).has_value());
  EXPECT_EQ(nobody.why(), HttpFailure::not_sent);
  FakeServer server(FakeServer::Fault::drops_answers);
  HttpConnection connection(server.address());
  HttpFailure why = HttpFailure::not_sent;
  for (int i = 0; i < 10; ++i) {
    if (!connection.exchange({.method = "PUT", .target = "/key/k"}, 1s)) why = connection.why();
  }
  EXPECT_EQ(why, HttpFailure::lost);
}

TEST(Addresses, AreReadFromFlagsAndLocations) {
  EXPECT_EQ(parse_address("127.0.0.1:8091"), (Address{"127.0.0.1", 8091}));
  EXPECT_EQ(parse_address("http://127.0.0.1:8091/key/a:b"), (Address{"127.0.0.1", 8091}));
  EXPECT_EQ(parse_address("localhost"), std::nullopt);
  EXPECT_EQ(parse_address("localhost:80x"), std::nullopt);
}

}  // namespace
}  // namespace raftkv::process
