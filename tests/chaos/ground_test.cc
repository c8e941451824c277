// The links of both grounds: what arrives, when, and what does not.
#include "tests/chaos/ground.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "tests/chaos/sockaddr.h"
#include "tests/process/cluster.h"

namespace raftkv::chaos {
namespace {

using namespace std::chrono_literals;  // NOLINT: 500ms reads better than any helper
using Clock = std::chrono::steady_clock;

// This process is node 1 and dials node 2, where it listens, too.
class Link : public testing::Test {
 public:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(make_ground());
    if (ground_ == nullptr) return;
    ground_->started(0, ::getpid());
    listener_ = socket_of(1);
    const sockaddr_in at = to_sockaddr(ground_->place(1).raft);
    ASSERT_EQ(::bind(listener_, reinterpret_cast<const sockaddr*>(&at), sizeof(at)), 0);
    ASSERT_EQ(::listen(listener_, 1), 0);
    dialler_ = socket_of(0);
    const sockaddr_in to = to_sockaddr(ground_->place(1).public_raft);
    ASSERT_EQ(::connect(dialler_, reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 0);
    server_ = ::accept(listener_, nullptr, nullptr);
    ASSERT_GE(server_, 0);
  }
  void TearDown() override {
    for (const int socket : {listener_, dialler_, server_}) ::close(socket);
    ground_.reset();  // before what it has made is taken away
  }

 protected:
  virtual void make_ground() = 0;  // or skips
  virtual int socket_of(int) { return ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); }

  // Bytes that have arrived when there are `size`, or the connection has ended, or time is up.
  [[nodiscard]] static std::size_t receive_from(int socket, std::size_t size, milliseconds limit) {
    const auto end = Clock::now() + limit;
    std::string bytes(size, '\0');
    std::size_t got = 0;
    while (got < size) {
      const auto left = std::chrono::duration_cast<milliseconds>(end - Clock::now());
      pollfd waits{socket, POLLIN, 0};
      if (left <= 0ms || ::poll(&waits, 1, static_cast<int>(left.count())) <= 0) break;
      const ssize_t more = ::recv(socket, bytes.data(), size - got, 0);
      if (more <= 0) break;
      got += static_cast<std::size_t>(more);
    }
    return got;
  }
  [[nodiscard]] std::size_t receive(std::size_t size, milliseconds limit) const {
    return receive_from(server_, size, limit);
  }
  void send(std::size_t size) const {
    const std::string bytes(size, 'x');
    ASSERT_EQ(::send(dialler_, bytes.data(), size, 0), static_cast<ssize_t>(size));
  }

  void carries_all() const {
    send(60'000);
    EXPECT_EQ(receive(60'000, 20s), 60'000u);
  }
  void throttled_is_slow_until_it_is_healed() const {
    Links links(2);
    links.bytes_a_second = 4096;
    ground_->set(links);
    const auto began = Clock::now();
    send(60'000);
    EXPECT_EQ(receive(1, 20s), 1u);
    EXPECT_GE(Clock::now() - began, 900ms);  // the first piece is 4096 bytes or more
    ground_->set(Links(2));
    EXPECT_EQ(receive(59'999, 10s), 59'999u);  // throttled they take 14 s
  }
  // Ten pieces, each sent when the one before it has come, are under way for one second together,
  // and less than a quarter of it in one case of a million.
  void delayed_is_late() const {
    Links links(2);
    links.delay_most = 200ms;
    ground_->set(links);
    const auto began = Clock::now();
    for (int i = 0; i < 10; ++i) {
      send(1);
      ASSERT_EQ(receive(1, 20s), 1u);
    }
    EXPECT_GE(Clock::now() - began, 250ms);
  }

  std::unique_ptr<Ground> ground_ = nullptr;
  int listener_ = -1, dialler_ = -1, server_ = -1;
};

class Proxied : public Link {
  void make_ground() override { ground_ = make_proxies(2, 1); }
};

// Sockets are made in the node's namespace, by a thread that enters it, and stay there.
class InNamespaces : public Link {
 protected:
  Belongings belongings_;

 private:
  void make_ground() override {
    if (const std::string why = why_no_namespaces(); !why.empty()) GTEST_SKIP() << why;
    std::string error;
    ground_ = make_namespaces(2, 1, belongings_, error);
    ASSERT_NE(ground_, nullptr) << error;
    ASSERT_EQ(ground_->why_no_delay(), "");
  }
  int socket_of(int node) override {
    const std::string space = "/run/netns/" + ground_->prefix(node).back();
    int socket = -1;
    std::thread([&] {
      const int open = ::open(space.c_str(), O_RDONLY | O_CLOEXEC);
      if (::setns(open, CLONE_NEWNET) == 0)
        socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      ::close(open);
    }).join();
    return socket;
  }
};

TEST_F(Proxied, AWholeLinkCarriesAll) {
  carries_all();
}
TEST_F(InNamespaces, AWholeLinkCarriesAll) {
  carries_all();
}

TEST_F(Proxied, AThrottledLinkIsSlowUntilItIsHealed) {
  throttled_is_slow_until_it_is_healed();
}
TEST_F(InNamespaces, AThrottledLinkIsSlowUntilItIsHealed) {
  throttled_is_slow_until_it_is_healed();
}

TEST_F(Proxied, ADelayedLinkIsLate) {
  delayed_is_late();
}
TEST_F(InNamespaces, ADelayedLinkIsLate) {
  delayed_is_late();
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

// The other direction is whole. It is the same for what the relay carries.
TEST_F(InNamespaces, ACutLinkTakesWhatIsSentAndTheKernelSendsItAgainWhenItIsHealed) {
  for (const milliseconds delay : {0ms, 1ms}) {
    Links links(2);
    links.cut_one_way(0, 1);
    links.delay_most = delay;
    ground_->set(links);
    send(1000);
    ASSERT_EQ(::send(server_, "x", 1, 0), 1);
    EXPECT_EQ(receive_from(dialler_, 1, 20s), 1u);
    EXPECT_EQ(receive(1, 300ms), 0u);
    ground_->set(Links(2));
    EXPECT_EQ(receive(1000, 20s), 1000u);
  }
}

TEST_F(InNamespaces, RunsThatBeginAtOnceTakeDifferentNumbers) {
  std::vector<std::unique_ptr<Ground>> grounds(4);
  std::vector<std::string> errors(grounds.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < grounds.size(); ++i) {
    threads.emplace_back([&, i] { grounds[i] = make_namespaces(1, 1, belongings_, errors[i]); });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<std::string> hosts = {ground_->place(0).raft.host};
  for (std::size_t i = 0; i < grounds.size(); ++i) {
    ASSERT_NE(grounds[i], nullptr) << errors[i];
    EXPECT_TRUE(hosts.insert(grounds[i]->place(0).raft.host).second);
  }
}

}  // namespace
}  // namespace raftkv::chaos
