// Peer connections over real loopback sockets, on ports that the kernel picks.
#include "src/net/network.h"

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "src/net/address.h"
#include "tests/net/frames.h"

namespace raftkv::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using raft::MemberId;
using raft::PeerEvent;

struct Told {
  MemberId peer;
  PeerEvent event;
  bool operator==(const Told&) const = default;
};

class NetworkTest : public testing::Test {
 protected:
  // Everything happens on one loop, as in a node. A condition that does not come about fails the
  // test.
  template <typename Condition>
  [[nodiscard]] bool eventually(Condition condition) {
    const auto limit = std::chrono::steady_clock::now() + 10s;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > limit) return false;
      loop.restart();
      loop.run_one_for(10ms);
    }
    return true;
  }
  // Carries out what is ready, until nothing is.
  void settle() {
    loop.restart();
    while (loop.run_one_for(20ms) > 0) loop.restart();
  }

  asio::io_context loop{1};
};

struct Node {
  Node(asio::io_context& loop, const std::string& address = "127.0.0.1:0",
       const Options& options = {}) {
    auto opened = Network::open(loop, address, options, Prng(7));
    if (!opened) {
      failed = opened.error();
      return;
    }
    network = std::move(*opened);
    network->start(
        {.receive = [this](SharedBytes frame) -> Status {
           if (refuse) return failure(raftkv::ErrorCode::corrupt, *refuse);
           bodies.push_back(body_of(frame));
           return {};
         },
         .peer_event = [this](MemberId peer, PeerEvent event) { told.push_back({peer, event}); }});
  }

  std::string address() const { return network->local_address(); }
  bool was_told(std::uint64_t peer, PeerEvent event) const {
    return std::ranges::count(told, Told{MemberId(peer), event}) > 0;
  }
  std::size_t times_told(std::uint64_t peer, PeerEvent event) const {
    return static_cast<std::size_t>(std::ranges::count(told, Told{MemberId(peer), event}));
  }

  std::unique_ptr<Network> network;
  std::optional<Error> failed;
  std::optional<std::string> refuse;
  std::vector<std::string> bodies;
  std::vector<Told> told;
};

replica::PeerAddress peer(std::uint64_t member, const std::string& address) {
  return {.member = MemberId(member), .address = address};
}

tcp::endpoint endpoint_of(const std::string& address) {
  const auto parsed = parse_host_port(address);
  return {asio::ip::make_address(parsed->host), parsed->port};
}

// Somebody else's program, connected to a node's Raft port.
struct RawClient {
  RawClient(asio::io_context& loop, const std::string& address) : socket(loop) {
    socket.connect(endpoint_of(address));
  }
  void write(std::string_view bytes) {
    asio::write(socket, asio::buffer(bytes.data(), bytes.size()));
  }
  // Whether the other side has closed the connection.
  bool closed() {
    socket.non_blocking(true);
    char byte = 0;
    boost::system::error_code error;
    socket.read_some(asio::buffer(&byte, 1), error);
    return error && error != asio::error::would_block;
  }
  tcp::socket socket;
};

// The lines that are logged while it lives.
class CapturedLog {
 public:
  CapturedLog() : before_(spdlog::default_logger()) {
    spdlog::set_default_logger(std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text_)));
  }
  ~CapturedLog() { spdlog::set_default_logger(before_); }
  std::size_t lines(std::string_view with) const {
    std::istringstream in(text_.str());
    std::size_t count = 0;
    for (std::string line; std::getline(in, line);)
      count += line.find(with) != std::string::npos ? 1 : 0;
    return count;
  }

 private:
  std::ostringstream text_;
  std::shared_ptr<spdlog::logger> before_;
};

TEST_F(NetworkTest, DeliversFramesInOrder) {
  Node a(loop);
  Node b(loop);
  std::vector<std::string> sent;
  for (int i = 0; i < 2000; ++i) {
    sent.push_back(fmt::format("{}{}", i, std::string(i % 100 == 0 ? 100'000 : 10, 'x')));
    a.network->send(peer(2, b.address()), frame_from(1, sent.back()));
    if (i % 10 != 0) continue;
    ASSERT_TRUE(eventually([&] { return b.bodies.size() == sent.size(); }));
  }
  ASSERT_TRUE(eventually([&] { return b.bodies.size() == sent.size(); }));
  EXPECT_EQ(b.bodies, sent);
  EXPECT_EQ(a.network->stats().frames_dropped, 0u);
  EXPECT_EQ(a.network->stats().frames_sent, sent.size());
  EXPECT_EQ(b.network->stats().frames_received, sent.size());
  EXPECT_EQ(a.network->stats().queued_bytes, 0u);
}

TEST_F(NetworkTest, DeliversManyFramesOfOneWrite) {
  Node node(loop);
  std::string stream;
  std::vector<std::string> bodies;
  for (int i = 0; i < 1000; ++i) {
    bodies.push_back(std::to_string(i));
    stream += frame_from(3, bodies.back()).flatten();
  }
  RawClient client(loop, node.address());
  client.write(stream);
  ASSERT_TRUE(eventually([&] { return node.bodies.size() == bodies.size(); }));
  EXPECT_EQ(node.bodies, bodies);
}

TEST_F(NetworkTest, TellsBothSidesOfAConnection) {
  Node a(loop);
  Node b(loop);
  a.network->send(peer(2, b.address()), frame_from(1, "hello"));
  ASSERT_TRUE(eventually([&] { return !b.bodies.empty() && !a.told.empty(); }));
  EXPECT_EQ(a.told, (std::vector<Told>{{MemberId(2), PeerEvent::connected}}));
  EXPECT_EQ(b.told, (std::vector<Told>{{MemberId(1), PeerEvent::connected}}));
}

TEST_F(NetworkTest, ConnectsToThoseItKeepsWithoutAnythingToSend) {
  Node a(loop);
  Node b(loop);
  const std::vector<replica::PeerAddress> peers = {peer(2, b.address())};
  a.network->keep(peers);
  EXPECT_TRUE(eventually([&] { return a.was_told(2, PeerEvent::connected); }));
}

TEST_F(NetworkTest, TellsWhenAPeerThatItSendsToHasGone) {
  Node a(loop);
  auto b = std::make_unique<Node>(loop);
  a.network->send(peer(2, b->address()), frame_from(1, "hello"));
  ASSERT_TRUE(eventually([&] { return a.was_told(2, PeerEvent::connected); }));
  b.reset();
  EXPECT_TRUE(eventually([&] { return a.was_told(2, PeerEvent::disconnected); }));
}

TEST_F(NetworkTest, TellsWhenAPeerThatItHearsFromHasGone) {
  Node node(loop);
  auto client = std::make_unique<RawClient>(loop, node.address());
  client->write(frame_from(3, "hello").flatten());
  ASSERT_TRUE(eventually([&] { return node.was_told(3, PeerEvent::connected); }));
  client.reset();
  EXPECT_TRUE(eventually([&] { return node.was_told(3, PeerEvent::disconnected); }));
}

TEST_F(NetworkTest, TellsARefusalOnce) {
  Node a(loop);
  std::string nobody;
  {
    Node gone(loop);
    nobody = gone.address();
  }
  const std::vector<replica::PeerAddress> peers = {peer(2, nobody)};
  a.network->keep(peers);
  ASSERT_TRUE(eventually([&] { return a.was_told(2, PeerEvent::disconnected); }));
  const auto limit = std::chrono::steady_clock::now() + 200ms;  // several attempts
  EXPECT_TRUE(eventually([&] { return std::chrono::steady_clock::now() > limit; }));
  EXPECT_EQ(a.times_told(2, PeerEvent::disconnected), 1u);
}

TEST_F(NetworkTest, ComesBackToAPeerThatRestarted) {
  Node a(loop);
  auto b = std::make_unique<Node>(loop);
  const std::string address = b->address();
  const std::vector<replica::PeerAddress> peers = {peer(2, address)};
  a.network->keep(peers);
  ASSERT_TRUE(eventually([&] { return a.was_told(2, PeerEvent::connected); }));
  b.reset();
  ASSERT_TRUE(eventually([&] { return a.was_told(2, PeerEvent::disconnected); }));
  b = std::make_unique<Node>(loop, address);
  ASSERT_FALSE(b->failed) << b->failed->message;
  ASSERT_TRUE(eventually([&] { return a.times_told(2, PeerEvent::connected) == 2; }));
  a.network->send(peer(2, address), frame_from(1, "again"));
  EXPECT_TRUE(eventually([&] { return b->bodies == std::vector<std::string>{"again"}; }));
}

TEST_F(NetworkTest, DoesNotWaitForAPeerThatCalls) {
  Options patient;
  patient.reconnect_min = patient.reconnect_max = 60s;
  Node a(loop, "127.0.0.1:0", patient);
  std::string address;
  {
    Node gone(loop);
    address = gone.address();
  }
  const std::vector<replica::PeerAddress> peers = {peer(2, address)};
  a.network->keep(peers);
  ASSERT_TRUE(eventually([&] { return a.was_told(2, PeerEvent::disconnected); }));
  Node b(loop, address);
  ASSERT_FALSE(b.failed) << b.failed->message;
  b.network->send(peer(1, a.address()), frame_from(2, "back"));
  EXPECT_TRUE(eventually([&] { return a.network->stats().outbound == 1; }));
}

TEST_F(NetworkTest, FollowsAPeerToItsNewAddress) {
  Node a(loop);
  Node before(loop);
  Node after(loop);
  a.network->send(peer(2, before.address()), frame_from(1, "1"));
  ASSERT_TRUE(eventually([&] { return before.bodies.size() == 1; }));
  a.network->send(peer(2, after.address()), frame_from(1, "2"));
  ASSERT_TRUE(eventually([&] { return after.bodies.size() == 1; }));
  EXPECT_EQ(a.network->stats().outbound, 1u);
}

TEST_F(NetworkTest, LetsGoOfThoseItNoLongerKeeps) {
  Options options;
  options.unkept_idle = 10ms;
  Node a(loop, "127.0.0.1:0", options);
  Node b(loop);
  const std::vector<replica::PeerAddress> peers = {peer(2, b.address())};
  a.network->keep(peers);
  ASSERT_TRUE(eventually([&] { return a.network->stats().outbound == 1; }));
  a.network->keep({});
  EXPECT_TRUE(eventually([&] { return a.network->stats().outbound == 0; }));
}

TEST_F(NetworkTest, ClosesOnGarbageWithOneLine) {
  const CapturedLog log;
  Node node(loop);
  RawClient client(loop, node.address());
  client.write("GET / HTTP/1.1\r\nHost: here\r\n\r\n");
  EXPECT_TRUE(eventually([&] { return client.closed(); }));
  EXPECT_TRUE(node.bodies.empty());
  EXPECT_TRUE(node.told.empty());
  EXPECT_EQ(node.network->stats().inbound, 0u);
  EXPECT_EQ(log.lines("event=connection_refused"), 1u);
}

TEST_F(NetworkTest, ClosesOnWhatTheNodeRefuses) {
  const CapturedLog log;
  Node node(loop);
  node.refuse = "another cluster";
  RawClient client(loop, node.address());
  client.write(frame_from(3, "hello").flatten() + frame_from(3, "again").flatten());
  EXPECT_TRUE(eventually([&] { return client.closed(); }));
  EXPECT_TRUE(node.told.empty());
  EXPECT_EQ(log.lines("another cluster"), 1u);
}

TEST_F(NetworkTest, LogsFewLinesHoweverOftenSomebodyKnocks) {
  const CapturedLog log;
  Node node(loop);
  for (int i = 0; i < 50; ++i) {
    RawClient client(loop, node.address());
    client.write("garbage!");
    ASSERT_TRUE(eventually([&] { return client.closed(); }));
  }
  EXPECT_EQ(node.network->stats().refused, 50u);
  EXPECT_LE(log.lines("event=connection_refused"), 5u);
}

TEST_F(NetworkTest, ForgetsAFrameThatIsCutOff) {
  Node node(loop);
  {
    RawClient client(loop, node.address());
    const std::string whole = frame_from(3, "hello").flatten();
    client.write(std::string_view(whole).substr(0, whole.size() - 1));
    ASSERT_TRUE(
        eventually([&] { return node.network->stats().bytes_received == whole.size() - 1; }));
  }
  EXPECT_TRUE(eventually([&] { return node.network->stats().inbound == 0; }));
  EXPECT_TRUE(node.bodies.empty());
  EXPECT_TRUE(node.told.empty());
}

TEST_F(NetworkTest, DoesNotWaitForeverForAFirstFrame) {
  Options options;
  options.first_frame_timeout = 20ms;
  Node node(loop, "127.0.0.1:0", options);
  RawClient client(loop, node.address());
  client.write(frame_from(3, "hello").flatten().substr(0, 30));
  EXPECT_TRUE(eventually([&] { return client.closed(); }));
}

TEST_F(NetworkTest, ClosesOnAFrameThatIsTooLarge) {
  Node node(loop);
  RawClient client(loop, node.address());
  std::string bytes = frame_from(3, "hello").flatten();
  put_u32(bytes.data(), 65u << 20);
  client.write(bytes);
  EXPECT_TRUE(eventually([&] { return client.closed(); }));
}

TEST_F(NetworkTest, KeepsASilentConnectionUntilTooManyCome) {
  Options options;
  options.strangers_max = 3;
  options.first_frame_timeout = 1ms;
  Node node(loop, "127.0.0.1:0", options);
  RawClient member(loop, node.address());
  member.write(frame_from(3, "hello").flatten());
  ASSERT_TRUE(eventually([&] { return node.bodies.size() == 1; }));

  std::vector<std::unique_ptr<RawClient>> silent;
  for (int i = 0; i < 3; ++i) silent.push_back(std::make_unique<RawClient>(loop, node.address()));
  ASSERT_TRUE(eventually([&] { return node.network->stats().inbound == 4; }));
  settle();
  for (auto& client : silent) EXPECT_FALSE(client->closed());

  silent.push_back(std::make_unique<RawClient>(loop, node.address()));
  EXPECT_TRUE(eventually([&] { return silent.front()->closed(); }));
  EXPECT_FALSE(silent.back()->closed());
  member.write(frame_from(3, "still here").flatten());
  EXPECT_TRUE(eventually([&] { return node.bodies.size() == 2; }));
}

TEST_F(NetworkTest, ANewConnectionOfAPeerReplacesTheOld) {
  Node node(loop);
  RawClient before(loop, node.address());
  before.write(frame_from(3, "1").flatten());
  ASSERT_TRUE(eventually([&] { return node.bodies.size() == 1; }));
  RawClient after(loop, node.address());
  after.write(frame_from(3, "2").flatten());
  ASSERT_TRUE(eventually([&] { return node.bodies.size() == 2; }));
  EXPECT_TRUE(eventually([&] { return before.closed(); }));
  EXPECT_FALSE(node.was_told(3, PeerEvent::disconnected));
  EXPECT_EQ(node.network->stats().inbound, 1u);
}

TEST_F(NetworkTest, MemoryIsBoundedWhenAPeerDoesNotRead) {
  Options options;
  options.queued_bytes_max = 1 << 20;
  Node node(loop, "127.0.0.1:0", options);
  tcp::acceptor slow(loop, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  const std::string address = fmt::format("127.0.0.1:{}", slow.local_endpoint().port());
  node.network->send(peer(2, address), frame_from(1, "hello"));
  ASSERT_TRUE(eventually([&] { return node.network->stats().outbound == 1; }));
  tcp::socket socket = slow.accept();

  const std::string large(100'000, 'x');
  for (int i = 0; i < 500; ++i) {
    node.network->send(peer(2, address), frame_from(1, large));
    loop.restart();
    loop.poll();
    ASSERT_LE(node.network->stats().queued_bytes, (1u << 20) + 200'000u);
  }
  EXPECT_GT(node.network->stats().frames_dropped, 0u);

  // It reads after all: what waited comes, whole and in order.
  socket.non_blocking(true);
  std::vector<char> buffer(1 << 20);
  const auto drain = [&] {
    boost::system::error_code error;
    while (socket.read_some(asio::buffer(buffer), error) > 0) {
    }
    return node.network->stats().queued_bytes == 0;
  };
  EXPECT_TRUE(eventually(drain));
}

TEST_F(NetworkTest, SaysWhatIsWrongWithAnAddress) {
  const Node first(loop);
  const Node second(loop, first.address());
  ASSERT_TRUE(second.failed);
  EXPECT_EQ(second.failed->code, raftkv::ErrorCode::unavailable);
  EXPECT_NE(second.failed->message.find("another process"), std::string::npos)
      << second.failed->message;
  EXPECT_FALSE(can_listen(loop, first.address()));
  EXPECT_TRUE(can_listen(loop, "127.0.0.1:0"));

  const Node nonsense(loop, "nonsense");
  ASSERT_TRUE(nonsense.failed);
  EXPECT_EQ(nonsense.failed->code, raftkv::ErrorCode::invalid);

  const Node elsewhere(loop, "192.0.2.1:0");  // TEST-NET-1: of no machine
  ASSERT_TRUE(elsewhere.failed);
  EXPECT_EQ(elsewhere.failed->code, raftkv::ErrorCode::unavailable);
}

TEST_F(NetworkTest, IsSilentOnceItIsClosed) {
  Node a(loop);
  Node b(loop);
  const std::string address = b.address();
  a.network->send(peer(2, address), frame_from(1, "hello"));
  ASSERT_TRUE(eventually([&] { return b.was_told(1, PeerEvent::connected); }));
  b.network->close();
  b.told.clear();
  a.network->send(peer(2, address), frame_from(1, "more"));
  settle();
  EXPECT_TRUE(b.told.empty());
  EXPECT_EQ(b.bodies.size(), 1u);
}

}  // namespace
}  // namespace raftkv::net
