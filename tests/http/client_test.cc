// The client against the server, and against those that are none. The server runs on a thread of
// its own: the client blocks.
#include "src/http/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <thread>

#include "src/http/server.h"
#include "tests/http/fake_node.h"

namespace raftkv::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using testing::HasSubstr;

class ClientTest : public testing::Test {
 protected:
  ClientTest() : server_(loop_, {}, node_) {
    node_.answer_to([this](replica::Ticket ticket, replica::Reply reply) {
      if (body_ == nullptr) return server_.respond(ticket, std::move(reply));
      server_.respond(ticket, std::move(reply), std::move(body_));
    });
    const Status listening = server_.listen("127.0.0.1:0");
    EXPECT_TRUE(listening.has_value());
    address_ = "127.0.0.1:" + std::to_string(server_.port());
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~ClientTest() override {
    loop_.stop();
    thread_.join();
  }
  void set_mood(const std::string& mood) {
    asio::post(loop_, [this, mood] { node_.set_mood(mood); });
  }

  asio::io_context loop_;
  FakeNode node_;
  std::unique_ptr<BodySource> body_;  // of the next answer
  Server server_;
  std::string address_;
  std::thread thread_;
};

TEST_F(ClientTest, CarriesBodiesAndFieldsBothWays) {
  const std::string value(300'000, '\xff');
  const auto put =
      send_request(address_, {.method = "PUT", .target = "/key/%00", .fields = {}, .body = value});
  ASSERT_TRUE(put.has_value()) << put.error().error.message;
  EXPECT_EQ(put->status, 200);
  const auto get = send_request(address_, {.method = "GET",
                                           .target = "/key/%00",
                                           .fields = {{"Accept", "application/octet-stream"}},
                                           .body = ""});
  ASSERT_TRUE(get.has_value());
  EXPECT_EQ(get->body, value);
  EXPECT_EQ(get->field("etag"), "\"5\"");
  EXPECT_EQ(get->field("x-raft-node"), "node01");
  EXPECT_EQ(get->field("x-nothing"), "");
}

TEST_F(ClientTest, ReadsNoBodyAfterHead) {
  const auto head =
      send_request(address_, {.method = "HEAD", .target = "/status", .fields = {}, .body = ""});
  ASSERT_TRUE(head.has_value());
  EXPECT_EQ(head->status, 200);
  EXPECT_EQ(head->body, "");
}

TEST_F(ClientTest, FollowsNoRedirect) {
  set_mood("follows node02 127.0.0.1:1");
  const auto get =
      send_request(address_, {.method = "GET", .target = "/key/a", .fields = {}, .body = ""});
  ASSERT_TRUE(get.has_value());
  EXPECT_EQ(get->status, 307);
  EXPECT_EQ(get->field("Location"), "http://127.0.0.1:1/key/a");
}

TEST_F(ClientTest, ReadsTheRefusalOfABodyThatIsTooLarge) {
  const auto put = send_request(
      address_,
      {.method = "PUT", .target = "/key/a", .fields = {}, .body = std::string(8u << 20, 'v')});
  ASSERT_TRUE(put.has_value()) << put.error().error.message;
  EXPECT_EQ(put->status, 413);
}

TEST_F(ClientTest, ARequestWithoutAnswerMayHaveHappened) {
  set_mood("holds");
  const auto put =
      send_request(address_, {.method = "PUT", .target = "/key/a", .fields = {}, .body = "v"},
                   {.timeout = 100ms, .connect_timeout = 100ms});
  ASSERT_FALSE(put.has_value());
  EXPECT_EQ(put.error().error.code, ErrorCode::unavailable);
  EXPECT_EQ(put.error().sent, Sent::perhaps);
}

TEST_F(ClientTest, RefusesABodyAboveItsLimit) {
  ClientOptions options;
  options.body_size_max = 10;
  const auto get = send_request(
      address_, {.method = "GET", .target = "/status", .fields = {}, .body = ""}, options);
  ASSERT_FALSE(get.has_value());
  EXPECT_EQ(get.error().error.code, ErrorCode::corrupt);
}

TEST(Client, ARefusedConnectionWasCertainlyNotUsed) {
  asio::io_context loop;
  std::uint16_t port = 0;
  {
    tcp::acceptor acceptor(loop, {asio::ip::address_v4::loopback(), 0});
    port = acceptor.local_endpoint().port();
  }
  const std::string address = "127.0.0.1:" + std::to_string(port);
  const auto get = send_request(address, {});
  ASSERT_FALSE(get.has_value());
  EXPECT_EQ(get.error().error.code, ErrorCode::unavailable);
  EXPECT_THAT(get.error().error.message, HasSubstr(address));
  EXPECT_EQ(get.error().sent, Sent::no);
}

TEST(Client, RefusesWhatIsNoAddress) {
  for (const char* address : {"", "8091", "localhost", "http://a:1", "a:0", "a:99999", ":1"}) {
    const auto get = send_request(address, {});
    ASSERT_FALSE(get.has_value()) << address;
    EXPECT_EQ(get.error().error.code, ErrorCode::invalid);
  }
}

// Accepts one connection, reads a request's header, answers with these bytes and closes.
ClientError error_of_answer(const std::string& answer) {
  asio::io_context loop;
  tcp::acceptor acceptor(loop, {asio::ip::address_v4::loopback(), 0});
  std::thread peer([&] {
    tcp::socket socket = acceptor.accept();
    asio::streambuf request;
    asio::read_until(socket, request, "\r\n\r\n");
    asio::write(socket, asio::buffer(answer));
  });
  const auto got =
      send_request("127.0.0.1:" + std::to_string(acceptor.local_endpoint().port()), {});
  peer.join();
  EXPECT_FALSE(got.has_value());
  return got.has_value() ? ClientError{} : got.error();
}

TEST(Client, SaysWhatAPeerThatIsNoServerDid) {
  EXPECT_EQ(error_of_answer("SSH-2.0-OpenSSH_9\r\n").error.code, ErrorCode::corrupt);
  EXPECT_EQ(error_of_answer("").error.code, ErrorCode::unavailable);
  EXPECT_EQ(error_of_answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab").error.code,
            ErrorCode::unavailable);
  EXPECT_EQ(error_of_answer("").sent, Sent::perhaps);
}

const ClientRequest kBackup = {.method = "GET", .target = "/backup", .fields = {}, .body = {}};

// Pieces that are there at once, then the end, or an error.
class Ready final : public BodySource {
 public:
  Ready(asio::io_context& loop, int pieces, bool breaks)
      : loop_(loop), left_(pieces), breaks_(breaks) {}
  void next(std::move_only_function<void(Result<std::string>)> done) override {
    asio::post(loop_, [this, done = std::move(done)]() mutable {
      if (left_-- > 0) return done(std::string(100'000, 'p'));
      if (breaks_) return done(failure(ErrorCode::corrupt, "broken"));
      done(std::string());
    });
  }

 private:
  asio::io_context& loop_;
  int left_;
  bool breaks_;
};

TEST_F(ClientTest, HandsALargeBodyOnPieceByPiece) {
  body_ = std::make_unique<Ready>(loop_, 50, false);
  std::size_t size = 0;
  std::size_t largest = 0;
  const auto got = download(address_, kBackup, {}, [&](std::string_view piece) {
    size += piece.size();
    largest = std::max(largest, piece.size());
    return Status();
  });
  ASSERT_TRUE(got.has_value()) << got.error().error.message;
  EXPECT_EQ(got->status, 200);
  EXPECT_EQ(got->body, "");
  EXPECT_EQ(got->field("x-raft-node"), "node01");
  EXPECT_EQ(size, 5'000'000u);
  EXPECT_LE(largest, 256u << 10);
}

TEST_F(ClientTest, TakesNoBodyForWholeThatBroke) {
  body_ = std::make_unique<Ready>(loop_, 5, true);
  const auto got = download(address_, kBackup, {}, [](std::string_view) { return Status(); });
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().sent, Sent::perhaps);
  EXPECT_EQ(got.error().error.code, ErrorCode::unavailable);
}

TEST_F(ClientTest, EndsADownloadThatIsNotTaken) {
  body_ = std::make_unique<Ready>(loop_, 1'000'000, false);
  const auto got = download(address_, kBackup, {}, [](std::string_view) {
    return Status(failure(ErrorCode::unavailable, "the disk is full"));
  });
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().error.message, "the disk is full");
}

TEST_F(ClientTest, KeepsTheBodyOfAProblemInADownload) {
  set_mood("fails busy not_applied");
  const auto got = download(address_, kBackup, {}, [](std::string_view) {
    ADD_FAILURE() << "this is no body of a 200";
    return Status();
  });
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(got->status, 503);
  EXPECT_THAT(got->body, HasSubstr("\"code\":\"busy\""));
}

TEST(Download, FromNobodyWasNotSent) {
  const auto got = download("127.0.0.1:1", {}, {}, [](std::string_view) { return Status(); });
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().sent, Sent::no);
}

}  // namespace
}  // namespace raftkv::http
