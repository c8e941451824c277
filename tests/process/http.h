// A small blocking HTTP/1.1 client over plain sockets. It shares no code with the server, so it
// notices what the server really sends.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/process/child.h"

namespace raftkv::process {

// HOST:PORT, host a dotted IPv4 address.
struct Address {
  std::string host;
  int port = 0;

  [[nodiscard]] std::string text() const { return host + ":" + std::to_string(port); }
  bool operator==(const Address&) const = default;
};

// From "127.0.0.1:8091" or "http://127.0.0.1:8091/any/target".
[[nodiscard]] std::optional<Address> parse_address(std::string_view text);

struct Response {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;

  // The header's value, empty if there is none; `name` in lower case.
  [[nodiscard]] std::string header(const std::string& name) const;
};

struct Request {
  std::string method = "GET";
  std::string target = "/";
  std::string body = {};
  std::vector<std::string> headers = {};  // "Name: value"
};

// Why there is no response.
enum class HttpFailure {
  not_sent,  // no connection: the server has not seen the request
  lost,      // the connection broke, or the time was over, after the request had begun to leave
};

// One connection, opened when needed and kept alive.
class HttpConnection {
 public:
  explicit HttpConnection(Address address) : address_(std::move(address)) {}
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;
  ~HttpConnection() { close(); }

  // Sends and waits for the whole response, at most `limit` in all. After a failure the connection
  // is closed and why() tells. A kept connection that turns out to be closed already counts as
  // lost: the caller decides whether to send again.
  [[nodiscard]] std::optional<Response> exchange(const Request& request, milliseconds limit);
  [[nodiscard]] HttpFailure why() const { return why_; }

  // Opens the connection if it is not; false if that fails.
  [[nodiscard]] bool connect(milliseconds limit);
  // Sends bytes as they are; false if the connection broke.
  [[nodiscard]] bool send(std::string_view bytes, milliseconds limit);
  // Waits until the peer closes (true) or `limit` is over (false); what arrives is kept in
  // received().
  [[nodiscard]] bool closed_within(milliseconds limit);
  [[nodiscard]] const std::string& received() const { return buffer_; }
  void close();

  [[nodiscard]] const Address& address() const { return address_; }

 private:
  using TimePoint = std::chrono::steady_clock::time_point;

  [[nodiscard]] bool wait(short events, TimePoint end) const;
  [[nodiscard]] bool send_until(std::string_view bytes, TimePoint end);
  [[nodiscard]] bool receive_more(TimePoint end);
  [[nodiscard]] bool read_line(std::string& line, TimePoint end);
  [[nodiscard]] bool read_exactly(std::size_t size, std::string& out, TimePoint end);
  [[nodiscard]] bool read_head(Response& response, TimePoint end);
  [[nodiscard]] bool read_body(const Request& request, Response& response, TimePoint end);
  [[nodiscard]] bool read_chunks(Response& response, TimePoint end);

  Address address_;
  int socket_ = -1;
  std::string buffer_;  // received, not yet consumed
  HttpFailure why_ = HttpFailure::not_sent;
};

// One request over a connection of its own.
[[nodiscard]] std::optional<Response> http(const Address& address, const Request& request,
                                           milliseconds limit = 10s);

}  // namespace raftkv::process
