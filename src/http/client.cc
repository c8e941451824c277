#include "src/http/client.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <optional>
#include <vector>

#include "src/http/text.h"

namespace raftkv::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using beast::error_code;
using SteadyClock = std::chrono::steady_clock;
using RequestMessage = beast::http::request<beast::http::string_body>;
using ResponseParser = beast::http::response_parser<beast::http::string_body>;

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}

RequestMessage message_of(const std::string& address, const ClientRequest& request) {
  RequestMessage message;
  message.version(11);
  message.method_string(request.method);
  message.target(request.target);
  message.set(beast::http::field::host, address);
  message.set(beast::http::field::connection, "close");
  for (const auto& [name, value] : request.fields) message.insert(name, value);
  message.body() = request.body;
  message.prepare_payload();
  return message;
}

bool is_no_http(error_code error) {
  static const error_code kSomeParseError = beast::http::error::bad_version;
  return error.category() == kSomeParseError.category() &&
         error != beast::http::error::end_of_stream && error != beast::http::error::partial_message;
}

// One request: each step starts the next, until done_.
class Call {
 public:
  Call(const std::string& address, const ClientRequest& request, const ClientOptions& options)
      : address_(address),
        message_(message_of(address, request)),
        deadline_(SteadyClock::now() + options.timeout),
        connect_deadline_(std::min(deadline_, SteadyClock::now() + options.connect_timeout)) {
    parser_.body_limit(options.body_size_max);
    parser_.skip(request.method == "HEAD");
  }

  std::expected<ClientResponse, ClientError> run() {
    resolve();
    loop_.run_until(deadline_ + 100ms);  // the stream's own timeout comes first, but in resolving
    if (!done_) fail(beast::error::timeout);
    if (failure_) return std::unexpected(*failure_);
    return response();
  }

 private:
  void resolve() {
    const auto [host, port] = split_address(address_);
    resolver_.async_resolve(host, port, [this](error_code error, const auto& found) {
      error ? fail(error) : connect(found);
    });
  }
  void connect(const tcp::resolver::results_type& found) {
    stream_.expires_at(connect_deadline_);
    stream_.async_connect(
        found, [this](error_code error, const tcp::endpoint&) { error ? fail(error) : write(); });
  }
  void write() {
    sent_ = Sent::perhaps;
    stream_.expires_at(deadline_);
    // A server may refuse and close before it has read everything: its answer is there all the
    // same.
    beast::http::async_write(stream_, message_, [this](error_code error, std::size_t) {
      error == beast::error::timeout ? fail(error) : read();
    });
  }
  void read() {
    beast::http::async_read(stream_, buffer_, parser_, [this](error_code error, std::size_t) {
      if (error) return fail(error);
      done_ = true;
    });
  }

  void fail(error_code error) {
    const std::string what = sent_ == Sent::no ? "cannot connect to " : "no answer from ";
    failure_ = ClientError{{is_no_http(error) ? ErrorCode::corrupt : ErrorCode::unavailable,
                            what + address_ + ": " + error.message()},
                           sent_};
    done_ = true;
  }

  ClientResponse response() {
    auto message = parser_.release();
    ClientResponse out;
    out.status = static_cast<int>(message.result_int());
    for (const auto& field : message) {
      out.fields.emplace_back(view(field.name_string()), view(field.value()));
    }
    out.body = std::move(message.body());
    return out;
  }

  const std::string address_;
  const RequestMessage message_;
  const SteadyClock::time_point deadline_;
  const SteadyClock::time_point connect_deadline_;
  asio::io_context loop_;
  tcp::resolver resolver_{loop_};
  beast::tcp_stream stream_{loop_};
  beast::flat_buffer buffer_;
  ResponseParser parser_;
  Sent sent_ = Sent::no;
  bool done_ = false;
  std::optional<ClientError> failure_;
};

// One request whose body may be large: step after step, each with its time.
class Download {
 public:
  Download(const std::string& address, const ClientRequest& request, const ClientOptions& options,
           const Sink& sink)
      : address_(address),
        message_(message_of(address, request)),
        options_(options),
        sink_(sink),
        deadline_(SteadyClock::now() + options.timeout) {
    parser_.body_limit(boost::none);
  }

  std::expected<ClientResponse, ClientError> run() {
    const auto [host, port] = split_address(address_);
    tcp::resolver resolver(loop_);
    tcp::resolver::results_type found;
    error_code error = step(deadline_, [&](auto done) {
      resolver.async_resolve(host, port, [&found, done](error_code failed, const auto& results) {
        found = results;
        done(failed);
      });
    });
    const auto connect_deadline =
        std::min(deadline_, SteadyClock::now() + options_.connect_timeout);
    if (!error) {
      error = step(connect_deadline, [&](auto done) {
        stream_.async_connect(found, [done](error_code failed, const auto&) { done(failed); });
      });
    }
    if (error) return failed(error, Sent::no);
    error = step(deadline_, [&](auto done) {
      beast::http::async_write(stream_, message_,
                               [done](error_code failed, std::size_t) { done(failed); });
    });
    if (error != beast::error::timeout) {  // the answer to a refused one is there all the same
      error = step(deadline_, [&](auto done) {
        beast::http::async_read_header(stream_, buffer_, parser_,
                                       [done](error_code failed, std::size_t) { done(failed); });
      });
    }
    if (error) return failed(error, Sent::perhaps);
    return read_body();
  }

 private:
  // Starts something and waits for its end.
  template <typename Start>
  error_code step(SteadyClock::time_point deadline, Start start) {
    std::optional<error_code> result;
    stream_.expires_at(deadline);
    start([&result](error_code error) { result = error; });
    loop_.restart();
    loop_.run_until(deadline + 100ms);  // the stream's own timeout comes first, but in resolving
    if (!result) loop_.stop();
    return result.value_or(beast::error::timeout);
  }

  std::expected<ClientResponse, ClientError> read_body() {
    ClientResponse out;
    out.status = static_cast<int>(parser_.get().result_int());
    for (const auto& field : parser_.get()) {
      out.fields.emplace_back(view(field.name_string()), view(field.value()));
    }
    std::vector<char> room(256u << 10);
    while (!parser_.is_done()) {
      auto& body = parser_.get().body();
      body.data = room.data();
      body.size = room.size();
      error_code error = step(SteadyClock::now() + options_.stall_timeout, [&](auto done) {
        beast::http::async_read(stream_, buffer_, parser_,
                                [done](error_code failed, std::size_t) { done(failed); });
      });
      if (error == beast::http::error::need_buffer) error = {};
      if (error) return failed(error, Sent::perhaps);
      const std::string_view piece(room.data(), room.size() - body.size);
      if (out.status == 200) {
        if (const Status taken = sink_(piece); !taken) {
          return std::unexpected(ClientError{taken.error(), Sent::perhaps});
        }
      } else if (out.body.size() < options_.body_size_max) {
        out.body += piece;
      }
    }
    return out;
  }

  [[nodiscard]] std::unexpected<ClientError> failed(error_code error, Sent sent) const {
    const std::string what = sent == Sent::no ? "cannot connect to " : "no whole answer from ";
    return std::unexpected(
        ClientError{{is_no_http(error) ? ErrorCode::corrupt : ErrorCode::unavailable,
                     what + address_ + ": " + error.message()},
                    sent});
  }

  const std::string address_;
  const RequestMessage message_;
  const ClientOptions options_;
  const Sink& sink_;
  const SteadyClock::time_point deadline_;
  asio::io_context loop_;
  beast::tcp_stream stream_{loop_};
  beast::flat_buffer buffer_;
  beast::http::response_parser<beast::http::buffer_body> parser_;
};

}  // namespace

std::string_view ClientResponse::field(std::string_view name) const {
  for (const auto& [field_name, value] : fields) {
    if (equals_ignoring_case(field_name, name)) return value;
  }
  return {};
}

std::expected<ClientResponse, ClientError> send_request(const std::string& address,
                                                        const ClientRequest& request,
                                                        const ClientOptions& options) {
  if (!is_host_and_port(address)) {
    return std::unexpected(ClientError{
        {ErrorCode::invalid, "no address of the form HOST:PORT: " + address}, Sent::no});
  }
  return Call(address, request, options).run();
}

std::expected<ClientResponse, ClientError> download(const std::string& address,
                                                    const ClientRequest& request,
                                                    const ClientOptions& options,
                                                    const Sink& sink) {
  if (!is_host_and_port(address)) {
    return std::unexpected(ClientError{
        {ErrorCode::invalid, "no address of the form HOST:PORT: " + address}, Sent::no});
  }
  return Download(address, request, options, sink).run();
}

}  // namespace raftkv::http
