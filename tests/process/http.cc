#include "tests/process/http.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

namespace raftkv::process {
namespace {

using std::chrono::steady_clock;

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

std::string encode(const Request& request, const Address& address) {
  std::string out = request.method + " " + request.target + " HTTP/1.1\r\nHost: " + address.text();
  for (const std::string& header : request.headers) out += "\r\n" + header;
  const bool has_body =
      !request.body.empty() || request.method == "POST" || request.method == "PUT";
  if (has_body) out += "\r\nContent-Length: " + std::to_string(request.body.size());
  return out + "\r\n\r\n" + request.body;
}

}  // namespace

std::optional<Address> parse_address(std::string_view text) {
  if (const auto scheme = text.find("://"); scheme != std::string_view::npos) {
    text.remove_prefix(scheme + 3);
  }
  text = text.substr(0, text.find('/'));
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return {};
  const std::string_view digits = text.substr(colon + 1);
  Address address{std::string(text.substr(0, colon)), 0};
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), address.port);
  if (error != std::errc() || end != digits.data() + digits.size()) return {};
  return address;
}

std::string Response::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

void HttpConnection::close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
  buffer_.clear();
}

bool HttpConnection::wait(short events, TimePoint end) const {
  const auto left = std::chrono::duration_cast<milliseconds>(end - steady_clock::now()).count() + 1;
  pollfd entry{socket_, events, 0};
  return ::poll(&entry, 1, static_cast<int>(std::max<std::int64_t>(left, 0))) == 1;
}

bool HttpConnection::connect(milliseconds limit) {
  if (socket_ >= 0) return true;
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(address_.port));
  if (::inet_pton(AF_INET, address_.host.c_str(), &to.sin_addr) != 1) return false;
  socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket_ < 0) return false;
  const int on = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  int error = 0;
  socklen_t size = sizeof(error);
  if (::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof(to)) < 0 &&
      (errno != EINPROGRESS || !wait(POLLOUT, steady_clock::now() + limit) ||
       ::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error != 0)) {
    close();
    return false;
  }
  return true;
}

bool HttpConnection::send(std::string_view bytes, milliseconds limit) {
  return send_until(bytes, steady_clock::now() + limit);
}

bool HttpConnection::send_until(std::string_view bytes, TimePoint end) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (sent < 0 && errno == EAGAIN) {
      if (!wait(POLLOUT, end)) return false;
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

bool HttpConnection::receive_more(TimePoint end) {
  char chunk[16384];
  while (true) {
    const ssize_t got = ::recv(socket_, chunk, sizeof(chunk), 0);
    if (got > 0) {
      buffer_.append(chunk, static_cast<std::size_t>(got));
      return true;
    }
    if (got == 0) return false;
    if (errno == EAGAIN) {
      if (!wait(POLLIN, end)) return false;
    } else if (errno != EINTR) {
      return false;
    }
  }
}

bool HttpConnection::closed_within(milliseconds limit) {
  const TimePoint end = steady_clock::now() + limit;
  while (receive_more(end)) {
  }
  return steady_clock::now() < end;
}

bool HttpConnection::read_line(std::string& line, TimePoint end) {
  std::size_t found = 0;
  while ((found = buffer_.find("\r\n")) == std::string::npos) {
    if (!receive_more(end)) return false;
  }
  line = buffer_.substr(0, found);
  buffer_.erase(0, found + 2);
  return true;
}

bool HttpConnection::read_exactly(std::size_t size, std::string& out, TimePoint end) {
  while (buffer_.size() < size) {
    if (!receive_more(end)) return false;
  }
  out += buffer_.substr(0, size);
  buffer_.erase(0, size);
  return true;
}

bool HttpConnection::read_head(Response& response, TimePoint end) {
  std::string line;
  if (!read_line(line, end) || line.size() < 12 || !line.starts_with("HTTP/1.1 ")) return false;
  response.status = std::atoi(line.c_str() + 9);
  while (read_line(line, end)) {
    if (line.empty()) return true;
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) return false;
    const std::size_t value = line.find_first_not_of(' ', colon + 1);
    response.headers[lower(line.substr(0, colon))] =
        value == std::string::npos ? "" : line.substr(value);
  }
  return false;
}

bool HttpConnection::read_chunks(Response& response, TimePoint end) {
  std::string line;
  while (read_line(line, end)) {
    const std::size_t size = std::strtoul(line.c_str(), nullptr, 16);
    if (!read_exactly(size, response.body, end) || !read_line(line, end)) return false;
    if (size == 0) return true;
  }
  return false;
}

bool HttpConnection::read_body(const Request& request, Response& response, TimePoint end) {
  if (request.method == "HEAD" || response.status == 204 || response.status == 304) return true;
  if (lower(response.header("transfer-encoding")) == "chunked") return read_chunks(response, end);
  if (response.headers.contains("content-length")) {
    const std::size_t size = std::strtoul(response.header("content-length").c_str(), nullptr, 10);
    return read_exactly(size, response.body, end);
  }
  while (receive_more(end)) {  // the body ends with the connection
  }
  response.body = buffer_;
  return true;
}

std::optional<Response> HttpConnection::exchange(const Request& request, milliseconds limit) {
  const TimePoint end = steady_clock::now() + limit;
  why_ = HttpFailure::not_sent;
  if (!connect(limit)) return {};
  why_ = HttpFailure::lost;
  Response response;
  if (!send_until(encode(request, address_), end) || !read_head(response, end) ||
      !read_body(request, response, end)) {
    close();
    return {};
  }
  if (lower(response.header("connection")) == "close") close();
  return response;
}

std::optional<Response> http(const Address& address, const Request& request, milliseconds limit) {
  return HttpConnection(address).exchange(request, limit);
}

}  // namespace raftkv::process
