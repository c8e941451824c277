// The server on real sockets of the loopback interface: the table of conversations once more, and
// what only sockets have: timeouts, limits, slow readers, the end. Server and clients share one
// loop and one thread.
#include "src/http/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <optional>

#include "tests/http/conversation.h"

namespace raftkv::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using testing::HasSubstr;
using testing::StartsWith;

constexpr auto kGenerous = 60s;  // what must happen happens within this, however slow the machine

ServerOptions test_options() {
  ServerOptions options;
  options.router.value_size_max = 100'000;
  options.router.version = "0.1.0";
  return options;
}

// A client's socket. Reads and writes what goes at once, and lets the loop run in between.
class Client {
 public:
  Client(asio::io_context& loop, std::uint16_t port) : loop_(loop), socket_(loop) {
    socket_.connect({asio::ip::address_v4::loopback(), port});
    socket_.non_blocking(true);
  }

  void send(std::string_view bytes) {
    unsent_ += bytes;
    turn();
  }
  // Lets the loop run until `done`.
  template <typename Done>
  void run_until(Done done) {
    const auto deadline = std::chrono::steady_clock::now() + kGenerous;
    while (!done() && std::chrono::steady_clock::now() < deadline) turn();
    EXPECT_TRUE(done());
  }
  void run_until_closed() {
    run_until([this] { return closed_; });
  }
  std::string read_response() {
    run_until([this] { return closed_ || first_response(received_, false).has_value(); });
    return received_;
  }
  // One round: sends, lets the loop work for a moment, receives.
  void turn() {
    error_code error;
    if (!unsent_.empty()) {
      unsent_.erase(0, socket_.write_some(asio::buffer(unsent_), error));
      if (error && error != asio::error::would_block) unsent_.clear();
    }
    loop_.restart();
    loop_.run_one_for(1ms);
    loop_.poll();
    if (reads_) receive();
  }
  void stop_reading() { reads_ = false; }
  void shut_down_sending() { socket_.shutdown(tcp::socket::shutdown_send); }
  void close() { socket_.close(); }

  [[nodiscard]] std::string& received() { return received_; }
  [[nodiscard]] bool closed() const { return closed_; }
  [[nodiscard]] bool all_sent() const { return unsent_.empty(); }

 private:
  void receive() {
    error_code error;
    std::array<char, 65536> buffer;
    while (!closed_) {
      const std::size_t size = socket_.read_some(asio::buffer(buffer), error);
      received_.append(buffer.data(), size);
      if (error == asio::error::would_block) return;
      if (error) closed_ = true;
    }
  }

  asio::io_context& loop_;
  tcp::socket socket_;
  std::string unsent_;
  std::string received_;
  bool reads_ = true;
  bool closed_ = false;
};

class ServerTest : public testing::Test {
 protected:
  void start(ServerOptions options = test_options()) {
    server_.emplace(loop_, std::move(options), node_);
    node_.answer_to([this](replica::Ticket ticket, replica::Reply reply) {
      if (next_body_ == nullptr) return server_->respond(ticket, std::move(reply));
      server_->respond(ticket, std::move(reply), std::move(next_body_));
    });
    const Status listening = server_->listen("127.0.0.1:0");
    ASSERT_TRUE(listening.has_value()) << listening.error().message;
  }
  Client connect() { return {loop_, server_->port()}; }
  void store(const std::string& key, std::size_t size) {
    Client client = connect();
    client.send("PUT /key/" + key + " HTTP/1.1\r\nHost: n\r\nContent-Length: " +
                std::to_string(size) + "\r\n\r\n" + std::string(size, 'v'));
    EXPECT_THAT(client.read_response(), StartsWith("HTTP/1.1 200"));
    client.close();
    client.run_until([this] { return server_->stats().connections_open == 0; });
  }

  asio::io_context loop_;
  FakeNode node_;
  std::unique_ptr<BodySource> next_body_;  // of the next answer
  std::optional<Server> server_;
};

const std::string kGetA = "GET /key/a?raw HTTP/1.1\r\nHost: n\r\n\r\n";
const std::string kLivez = "GET /livez HTTP/1.1\r\nHost: n\r\n\r\n";

// --- the table over a socket ---

class SocketWorld final : public World {
 public:
  SocketWorld(FakeNode& node, Client& client) : node_(node), client_(client) {}

  void set_mood(const std::string& line) override { node_.set_mood(line); }
  void send(std::string_view bytes) override { client_.send(bytes); }
  std::string& received(const std::function<bool(std::string_view)>& enough) override {
    for (int i = 0; i < 3; ++i) client_.turn();
    client_.run_until([&] { return client_.closed() || enough(client_.received()); });
    return client_.received();
  }
  bool closed() override { return client_.closed(); }

 private:
  FakeNode& node_;
  Client& client_;
};

class SocketConversation : public ServerTest, public testing::WithParamInterface<Case> {};

TEST_P(SocketConversation, GoesAsWritten) {
  start();
  Client client = connect();
  SocketWorld world(node_, client);
  run_case(GetParam(), world);
}

INSTANTIATE_TEST_SUITE_P(Http, SocketConversation, testing::ValuesIn(all_cases()), case_name);

// --- timeouts ---

TEST_F(ServerTest, AnswersASlowHeaderWithATimeout) {
  ServerOptions options = test_options();
  options.header_timeout = 50ms;
  start(options);
  Client client = connect();
  client.send("GET /livez HTTP/1.1\r\nHo");
  client.run_until_closed();
  EXPECT_THAT(client.received(), StartsWith("HTTP/1.1 408"));
  EXPECT_THAT(client.received(), HasSubstr("\"code\":\"request_timeout\""));
  EXPECT_THAT(client.received(), HasSubstr("\"outcome\":\"not_applied\""));
}

TEST_F(ServerTest, LingersOnlyUntilTheClientHasClosed) {
  ServerOptions options = test_options();
  options.header_timeout = 50ms;
  options.linger_timeout = 10 * kGenerous;
  start(options);
  Client slow = connect();
  slow.send("GET /livez HTTP/1.1\r\nHo");
  slow.run_until_closed();
  Client wrong = connect();
  wrong.send("nonsense\n");
  wrong.run_until_closed();
  EXPECT_EQ(server_->stats().connections_open, 2u);
  slow.send("st: n\r\n\r\n");
  wrong.send("and more of it");
  slow.close();
  wrong.close();
  Client other = connect();
  other.close();
  other.run_until([this] { return server_->stats().connections_open == 0; });
}

TEST_F(ServerTest, AHeaderThatTricklesGetsNoMoreTime) {
  ServerOptions options = test_options();
  options.header_timeout = 100ms;
  start(options);
  Client client = connect();
  client.send("GET /livez HTTP/1.1\r\nX-A: ");
  client.run_until([&] {
    client.send("a");
    return client.closed();
  });
  EXPECT_THAT(client.received(), StartsWith("HTTP/1.1 408"));
}

TEST_F(ServerTest, AnswersASlowBodyWithATimeout) {
  ServerOptions options = test_options();
  options.body_timeout = 50ms;
  start(options);
  Client client = connect();
  client.send("PUT /key/a HTTP/1.1\r\nHost: n\r\nContent-Length: 5\r\n\r\nab");
  client.run_until_closed();
  EXPECT_THAT(client.received(), StartsWith("HTTP/1.1 408"));
  EXPECT_EQ(node_.submitted(), 0u);
}

TEST_F(ServerTest, ClosesAnIdleConnectionSilently) {
  ServerOptions options = test_options();
  options.idle_timeout = 50ms;
  start(options);
  Client fresh = connect();
  Client used = connect();
  used.send(kLivez);
  fresh.run_until_closed();
  used.run_until_closed();
  EXPECT_EQ(fresh.received(), "");
  EXPECT_TRUE(first_response(used.received(), false).has_value());
}

TEST_F(ServerTest, ARequestThatWaitsForTheNodeHasNoTimeoutHere) {
  ServerOptions options = test_options();
  options.idle_timeout = options.header_timeout = options.body_timeout = options.write_timeout =
      20ms;
  start(options);
  Client client = connect();
  node_.set_mood("holds");
  client.send(kGetA);
  const auto later = std::chrono::steady_clock::now() + 200ms;
  client.run_until([&] { return std::chrono::steady_clock::now() > later; });
  EXPECT_FALSE(client.closed());
  node_.set_mood("releases");
  EXPECT_THAT(client.read_response(), StartsWith("HTTP/1.1 404"));
}

// --- limits ---

TEST_F(ServerTest, ASlowReaderTakesNoMemoryAndIsClosed) {
  ServerOptions options = test_options();
  options.write_timeout = 300ms;
  start(options);
  store("a", 100'000);
  Client client = connect();
  client.stop_reading();
  std::string many;
  for (int i = 0; i < 1000; ++i) many += kGetA;
  client.send(many);
  std::uint64_t most = 0;
  client.run_until([&] {
    most = std::max(most, server_->stats().buffered_bytes);
    return server_->stats().connections_open == 0;
  });
  EXPECT_LT(most, 400'000u);  // the limit of output, one answer more, the input
  EXPECT_LT(node_.submitted(), 1000u);
  EXPECT_EQ(server_->stats().buffered_bytes, 0u);
}

TEST_F(ServerTest, AReaderThatTakesItsAnswersGetsThemAll) {
  start();
  store("a", 100'000);
  Client client = connect();
  std::string many;
  for (int i = 0; i < 200; ++i) many += kGetA;
  client.send(many);
  std::size_t responses = 0;
  client.run_until([&] {
    while (const auto seen = first_response(client.received(), false)) {
      EXPECT_EQ(seen->body.size(), 100'000u);
      client.received().erase(0, seen->size);
      ++responses;
    }
    return responses == 200;
  });
}

TEST_F(ServerTest, RefusesConnectionsAboveTheLimit) {
  ServerOptions options = test_options();
  options.connections_max = 2;
  start(options);
  Client first = connect();
  Client second = connect();
  first.run_until([this] { return server_->stats().connections_open == 2; });
  Client third = connect();
  third.run_until_closed();
  EXPECT_THAT(third.received(), StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(third.received(), HasSubstr("Retry-After"));
  EXPECT_EQ(server_->stats().connections_refused, 1u);

  third.close();
  second.close();
  first.run_until([this] { return server_->stats().connections_open == 1; });
  Client fourth = connect();
  fourth.send(kLivez);
  EXPECT_THAT(fourth.read_response(), StartsWith("HTTP/1.1 200"));
}

TEST_F(ServerTest, RefusesBodiesWhenTooManyArriveAtOnce) {
  ServerOptions options = test_options();
  options.buffered_bytes_max = 200'000;
  start(options);
  const std::string head = "PUT /key/a HTTP/1.1\r\nHost: n\r\nContent-Length: 100000\r\n\r\n";
  std::vector<Client> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(connect());
  std::size_t refused = 0;
  for (Client& client : clients) {
    client.send(head + std::string(99'999, 'v'));
    client.run_until([&] { return client.all_sent() || client.closed(); });
    if (client.received().starts_with("HTTP/1.1 503")) ++refused;
  }
  EXPECT_GE(refused, 2u);
  clients[0].send("v");
  EXPECT_THAT(clients[0].read_response(), StartsWith("HTTP/1.1 200"));
}

// As many as the limit of descriptors allows: two each.
TEST_F(ServerTest, TenThousandIdleConnectionsLeaveRoomForWork) {
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = limit.rlim_max;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  const std::size_t count = std::min<std::size_t>(10'000, (limit.rlim_cur - 200) / 2);
  start();
  std::vector<tcp::socket> idle;
  for (std::size_t i = 0; i < count; ++i) {
    idle.emplace_back(loop_).connect({asio::ip::address_v4::loopback(), server_->port()});
    loop_.poll();
  }
  Client client = connect();
  client.run_until([&] { return server_->stats().connections_open == count + 1; });
  client.send(kLivez);
  EXPECT_THAT(client.read_response(), StartsWith("HTTP/1.1 200"));
  EXPECT_LT(server_->stats().buffered_bytes, count * 4096);
}

// --- clients that go ---

TEST_F(ServerTest, DropsTheAnswerOfAConnectionThatIsGone) {
  start();
  node_.set_mood("holds");
  {
    Client client = connect();
    client.send(kGetA);
    client.run_until([this] { return node_.held() == 1; });
    client.close();
  }
  Client other = connect();
  other.send(kLivez);
  EXPECT_THAT(other.read_response(), StartsWith("HTTP/1.1 200"));
  node_.set_mood("releases");
  other.received().clear();
  other.send(kGetA);
  EXPECT_THAT(other.read_response(), StartsWith("HTTP/1.1 404"));
}

TEST_F(ServerTest, AnswersAClientThatHasFinishedSending) {
  start();
  Client client = connect();
  client.send(kGetA + kLivez);
  client.shut_down_sending();
  client.run_until_closed();
  const auto first = first_response(client.received(), false);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->status, "404");
  EXPECT_THAT(client.received().substr(first->size), StartsWith("HTTP/1.1 200"));
}

TEST_F(ServerTest, AClientThatStillSendsReadsTheRefusal) {
  start();
  Client client = connect();
  client.send("PUT /key/a HTTP/1.1\r\nHost: n\r\nContent-Length: 9000000\r\n\r\n" +
              std::string(1'000'000, 'v'));
  client.run_until_closed();
  EXPECT_THAT(client.received(), StartsWith("HTTP/1.1 413"));
}

// --- start and stop ---

TEST_F(ServerTest, SaysWhyItCannotListen) {
  start();
  Server other(loop_, test_options(), node_);
  const std::string taken = "127.0.0.1:" + std::to_string(server_->port());
  const Status in_use = other.listen(taken);
  ASSERT_FALSE(in_use.has_value());
  EXPECT_EQ(in_use.error().code, ErrorCode::unavailable);
  EXPECT_THAT(in_use.error().message, HasSubstr(taken));
  const Status malformed = other.listen("8091");
  ASSERT_FALSE(malformed.has_value());
  EXPECT_EQ(malformed.error().code, ErrorCode::invalid);
}

TEST_F(ServerTest, StopsWhenWhatIsUnderWayIsAnswered) {
  start();
  node_.set_mood("holds");
  Client idle = connect();
  Client busy = connect();
  busy.send(kGetA);
  busy.run_until([this] { return node_.held() == 1; });
  bool stopped = false;
  server_->stop(kGenerous, [&] { stopped = true; });
  idle.run_until_closed();
  EXPECT_FALSE(stopped);
  node_.set_mood("releases");
  EXPECT_THAT(busy.read_response(), HasSubstr("Connection: close\r\n"));
  busy.close();
  idle.run_until([&] { return stopped; });
  EXPECT_EQ(server_->stats().connections_open, 0u);
  tcp::socket late(loop_);
  error_code error;
  late.connect({asio::ip::address_v4::loopback(), server_->port()}, error);
  EXPECT_EQ(error, asio::error::connection_refused);
}

TEST_F(ServerTest, StopsAtTheLimitWhateverIsUnderWay) {
  start();
  node_.set_mood("holds");
  Client client = connect();
  client.send(kGetA);
  client.run_until([this] { return node_.held() == 1; });
  bool stopped = false;
  server_->stop(50ms, [&] { stopped = true; });
  client.run_until([&] { return stopped; });
  client.run_until_closed();
  node_.set_mood("releases");  // answers to nobody
}

TEST_F(ServerTest, StopRefusesAHalfSentRequest) {
  start();
  Client client = connect();
  client.send("PUT /key/a HTTP/1.1\r\nHost: n\r\nContent-Length: 5\r\n\r\nab");
  for (int i = 0; i < 20; ++i) client.turn();
  server_->stop(kGenerous, [] {});
  client.run_until_closed();
  EXPECT_THAT(client.received(), StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(client.received(), HasSubstr("\"code\":\"stopping\""));
}

TEST_F(ServerTest, MayGoAwayWithOpenConnections) {
  start();
  node_.set_mood("holds");
  Client client = connect();
  client.send(kGetA);
  client.run_until([this] { return node_.held() == 1; });
  server_.reset();
  client.run_until_closed();
}

// --- bodies that are made while they are sent ---

// What became of a source.
struct Given {
  int pieces = 0;
  bool gone = false;
};

// Gives pieces of one size, so many of them, and then its end, or an error.
class Pieces final : public BodySource {
 public:
  Pieces(asio::io_context& loop, Given& given, int count, std::size_t size, bool breaks = false)
      : loop_(loop), given_(given), count_(count), size_(size), breaks_(breaks) {}
  ~Pieces() override { given_.gone = true; }

  void next(std::move_only_function<void(Result<std::string>)> done) override {
    EXPECT_FALSE(std::exchange(asked_, true)) << "one call at a time";
    asio::post(loop_, [this, alive = std::weak_ptr(alive_), done = std::move(done)]() mutable {
      if (alive.expired()) return;
      asked_ = false;
      if (given_.pieces == count_ && breaks_) return done(failure(ErrorCode::corrupt, "broken"));
      if (given_.pieces == count_) return done(std::string());
      ++given_.pieces;
      done(std::string(size_, static_cast<char>('a' + given_.pieces % 26)));
    });
  }

 private:
  asio::io_context& loop_;
  Given& given_;
  int count_;
  std::size_t size_;
  bool breaks_;
  bool asked_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

const std::string kBackup = "GET /backup HTTP/1.1\r\nHost: n\r\n\r\n";

TEST_F(ServerTest, ABodyThatFollowsIsChunkedAndEndsItsConnection) {
  start();
  Given given;
  next_body_ = std::make_unique<Pieces>(loop_, given, 3, 10);
  Client client = connect();
  client.send(kBackup + kLivez);
  client.run_until_closed();
  EXPECT_THAT(client.received(), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(client.received(), HasSubstr("Transfer-Encoding: chunked\r\nConnection: close\r\n"));
  EXPECT_THAT(client.received(), testing::Not(HasSubstr("Content-Length")));
  EXPECT_THAT(client.received(),
              testing::EndsWith("\r\n\r\na\r\nbbbbbbbbbb\r\na\r\ncccccccccc\r\na\r\n"
                                "dddddddddd\r\n0\r\n\r\n"));
  EXPECT_TRUE(given.gone);
}

TEST_F(ServerTest, ABodyThatFollowsComesBehindEarlierAnswers) {
  start();
  Given given;
  next_body_ = std::make_unique<Pieces>(loop_, given, 1, 5);
  Client client = connect();
  client.send(kLivez + kBackup);
  client.run_until_closed();
  EXPECT_THAT(client.received(), HasSubstr("{\"live\":true}HTTP/1.1 200"));
  EXPECT_THAT(client.received(), testing::EndsWith("bbbbb\r\n0\r\n\r\n"));
}

TEST_F(ServerTest, ABodyThatFollowsEndsWithTheConnectionForAnOldClient) {
  start();
  Given given;
  next_body_ = std::make_unique<Pieces>(loop_, given, 2, 5);
  Client client = connect();
  client.send("GET /backup HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  client.run_until_closed();
  EXPECT_THAT(client.received(), testing::EndsWith("Connection: close\r\n\r\nbbbbbccccc"));
  EXPECT_THAT(client.received(), testing::Not(HasSubstr("Transfer-Encoding")));
}

TEST_F(ServerTest, ABodyThatBreaksHasNoEnd) {
  start();
  Given given;
  next_body_ = std::make_unique<Pieces>(loop_, given, 2, 5, /*breaks=*/true);
  Client client = connect();
  client.send(kBackup);
  client.run_until_closed();
  EXPECT_THAT(client.received(), testing::EndsWith("ccccc\r\n"));
  EXPECT_TRUE(given.gone);
}

// A piece is asked for when the one before is gone: what a slow client costs is one of them.
TEST_F(ServerTest, ABodyWaitsForItsClientAndGivesItUpInTheEnd) {
  ServerOptions options = test_options();
  options.write_timeout = 300ms;
  start(options);
  Given given;
  next_body_ = std::make_unique<Pieces>(loop_, given, 1'000'000, 256u << 10);
  Client client = connect();
  client.stop_reading();
  client.send(kBackup);
  std::size_t most = 0;
  client.run_until([&] {
    most = std::max<std::size_t>(most, server_->stats().buffered_bytes);
    return given.gone;
  });
  EXPECT_LT(most, 300u << 10);
  EXPECT_LT(given.pieces, 200);  // what the sockets' own buffers take
  EXPECT_EQ(server_->stats().connections_open, 0u);
}

TEST_F(ServerTest, ABodyEndsWhenItsClientIsGone) {
  start();
  Given given;
  next_body_ = std::make_unique<Pieces>(loop_, given, 1'000'000, 64u << 10);
  Client client = connect();
  client.send(kBackup);
  client.run_until([&] { return given.pieces > 3; });
  client.close();
  Client other = connect();
  other.run_until([&] { return given.gone; });
}

TEST_F(ServerTest, AStopEndsABody) {
  start();
  Given given;
  next_body_ = std::make_unique<Pieces>(loop_, given, 1'000'000, 64u << 10);
  Client client = connect();
  client.send(kBackup);
  client.run_until([&] { return given.pieces > 3; });
  bool stopped = false;
  server_->stop(200ms, [&] { stopped = true; });
  client.run_until([&] { return stopped; });
  EXPECT_TRUE(given.gone);
}

}  // namespace
}  // namespace raftkv::http
