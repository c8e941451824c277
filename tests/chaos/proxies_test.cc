// The links that go through this program: what arrives, when, and what does not.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "tests/chaos/ground.h"
#include "tests/chaos/sockaddr.h"
#include "tests/process/cluster.h"

namespace raftkv::chaos {
namespace {

using namespace std::chrono_literals;  // NOLINT: 500ms reads better than any helper
using Clock = std::chrono::steady_clock;

// This process is node 1 and dials node 2, where it listens, too.
class Proxied : public testing::Test {
 protected:
  void SetUp() override {
    ground_->started(0, ::getpid());
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in at = to_sockaddr(ground_->place(1).raft);
    ASSERT_EQ(::bind(listener_, reinterpret_cast<const sockaddr*>(&at), sizeof(at)), 0);
    ASSERT_EQ(::listen(listener_, 1), 0);
    dialler_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in to = to_sockaddr(ground_->place(1).public_raft);
    ASSERT_EQ(::connect(dialler_, reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 0);
    server_ = ::accept(listener_, nullptr, nullptr);
    ASSERT_GE(server_, 0);
  }
  void TearDown() override {
    for (const int socket : {listener_, dialler_, server_}) ::close(socket);
  }
  // Bytes that have arrived when there are `size`, or the connection has ended, or time is up.
  [[nodiscard]] std::size_t receive(std::size_t size, milliseconds limit) const {
    const auto end = Clock::now() + limit;
    std::string bytes(size, '\0');
    std::size_t got = 0;
    while (got < size) {
      const auto left = std::chrono::duration_cast<milliseconds>(end - Clock::now());
      pollfd waits{server_, POLLIN, 0};
      if (left <= 0ms || ::poll(&waits, 1, static_cast<int>(left.count())) <= 0) break;
      const ssize_t more = ::recv(server_, bytes.data(), size - got, 0);
      if (more <= 0) break;
      got += static_cast<std::size_t>(more);
    }
    return got;
  }
  void send(std::size_t size) const {
    const std::string bytes(size, 'x');
    ASSERT_EQ(::send(dialler_, bytes.data(), size, 0), static_cast<ssize_t>(size));
  }

  std::unique_ptr<Ground> ground_ = make_proxies(2, 1);
  int listener_ = -1, dialler_ = -1, server_ = -1;
};

TEST_F(Proxied, AWholeLinkCarriesAll) {
  send(60'000);
  EXPECT_EQ(receive(60'000, 20s), 60'000u);
}

TEST_F(Proxied, AThrottledLinkIsSlowUntilItIsHealed) {
  Links links(2);
  links.bytes_a_second = 4096;
  ground_->set(links);
  const auto began = Clock::now();
  send(60'000);
  EXPECT_EQ(receive(1, 20s), 1u);
  EXPECT_GE(Clock::now() - began, 900ms);  // the first piece is 4096 bytes
  ground_->set(Links(2));
  EXPECT_EQ(receive(59'999, 10s), 59'999u);  // throttled they take 14 s
}

TEST_F(Proxied, ACutLinkTakesWhatIsSentAndTheConnectionEndsWhenItIsHealed) {
  Links links(2);
  links.cut_one_way(0, 1);
  ground_->set(links);
  send(1000);
  EXPECT_EQ(receive(1, 300ms), 0u);
  ground_->set(Links(2));
  EXPECT_TRUE(process::eventually([&] { return ::send(dialler_, "x", 1, MSG_NOSIGNAL) < 0; }));
  EXPECT_EQ(receive(1, 300ms), 0u);
}

}  // namespace
}  // namespace raftkv::chaos
