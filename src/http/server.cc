#include "src/http/server.h"

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <ctime>
#include <list>
#include <utility>
#include <vector>

#include "src/base/check.h"
#include "src/http/exchange.h"
#include "src/http/text.h"

namespace raftkv::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kRefusedAtOnceMax = 64;  // connections above the limit that get their 503
constexpr std::size_t kProgressBytes = 16384;  // what a slow reader must take in write_timeout
constexpr std::size_t kSmallConnection = 64u << 10;  // bytes; never refused for want of memory
constexpr auto kAcceptPause = 100ms;                 // after running out of file descriptors
constexpr unsigned kTicketSlotBits = 24;

// What a connection is timed for; each kind has a list in the order of deadlines.
enum class Timed : std::uint8_t { idle, header, body, output, linger, nothing };
constexpr std::size_t kTimedKinds = 6;

std::string http_date(std::time_t now) {
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 64> text;
  const std::size_t size =
      std::strftime(text.data(), text.size(), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts);
  return {text.data(), size};
}

// The first parts of an Output as Asio takes them.
class Gathered {
 public:
  using value_type = asio::const_buffer;
  using const_iterator = const asio::const_buffer*;

  explicit Gathered(const Output& output) {
    std::array<std::string_view, Output::kGatherMax> parts;
    count_ = output.front(parts);
    for (std::size_t i = 0; i < count_; ++i) buffers_[i] = {parts[i].data(), parts[i].size()};
  }
  [[nodiscard]] const_iterator begin() const { return buffers_.data(); }
  [[nodiscard]] const_iterator end() const { return buffers_.data() + count_; }

 private:
  std::array<asio::const_buffer, Output::kGatherMax> buffers_;
  std::size_t count_ = 0;
};

}  // namespace

class Server::Impl : public std::enable_shared_from_this<Server::Impl> {
 public:
  Impl(asio::io_context& loop, ServerOptions options, Backend& backend);

  Status listen(const std::string& address);
  [[nodiscard]] std::uint16_t port() const { return port_; }
  void respond(replica::Ticket ticket, replica::Reply&& reply, std::unique_ptr<BodySource> body);
  void stop(Duration limit, std::move_only_function<void()> done);
  void close_everything();
  void abandon();
  void flush_planned();
  [[nodiscard]] const ServerStats& stats() const { return stats_; }

 private:
  class Connection;
  using ConnectionPtr = std::shared_ptr<Connection>;
  using Connections = std::list<ConnectionPtr>;
  using TimedList = std::list<Connection*>;

  // Of an open ticket, or free.
  struct TicketSlot {
    ConnectionPtr connection;      // null: free
    std::uint64_t number = 0;      // of its exchange
    std::uint64_t generation = 0;  // how often the slot was used
  };

  error_code open(const tcp::endpoint& endpoint);
  void accept();
  void accepted(error_code error, tcp::socket socket);
  void add(tcp::socket socket);
  void tick();
  void expire(Timed kind, SteadyClock::time_point now);
  void submit(Connection& connection, std::uint64_t number, replica::Request&& request);
  [[nodiscard]] bool out_of_memory() const {
    return stats_.buffered_bytes > options_.buffered_bytes_max;
  }
  void flush_later(Connection& connection);
  void finish_stopping();
  [[nodiscard]] Duration timeout_of(Timed kind) const;
  [[nodiscard]] Duration tick_interval() const;

  asio::io_context& loop_;
  const ServerOptions options_;
  const ExchangeLimits limits_;
  Backend& backend_;
  const Router router_;
  std::string date_line_;
  std::uint16_t port_ = 0;
  tcp::acceptor acceptor_;
  asio::steady_timer ticker_;
  asio::steady_timer accept_pause_;
  asio::steady_timer stop_limit_;

  Connections connections_;
  std::array<TimedList, kTimedKinds> timed_;
  std::vector<ConnectionPtr> to_flush_;
  std::vector<ConnectionPtr> flushing_;
  std::vector<TicketSlot> slots_;
  std::vector<std::size_t> free_slots_;
  std::array<char, 16384> discarded_;  // what lingering connections still send
  bool stopping_ = false;
  std::move_only_function<void()> stopped_;
  ServerStats stats_;
};

// A socket and its exchange. Every event ends in settle(), which brings the socket, the timeout and
// the memory count in line with what the exchange says.
class Server::Impl::Connection final : public std::enable_shared_from_this<Connection>, Submitter {
 public:
  Connection(Impl& server, tcp::socket socket);

  void answer(std::uint64_t number, replica::Reply&& reply, std::unique_ptr<BodySource> body);
  void refuse(std::string_view code, std::string_view detail);
  void settle();
  void timed_out();
  void finish();
  void close();

 private:
  friend class Impl;

  void submit(std::uint64_t number, replica::Request request) override;
  void send();
  void wait_until_writable();
  void pull_body();
  void read();
  void received(error_code error, std::size_t size);
  void linger();
  void discard();
  void set_timeout();
  void set_timed(Timed kind);
  void count();

  Impl* server_;  // null: closed
  tcp::socket socket_;
  Exchange exchange_;
  bool reading_ = false;
  bool waiting_to_write_ = false;
  bool flush_planned_ = false;
  bool input_ended_ = false;
  bool lingering_ = false;
  // Of the last answer, if its body follows.
  std::unique_ptr<BodySource> body_;
  bool pulling_ = false;
  // As counted in the server's stats.
  std::size_t memory_ = 0;
  std::uint64_t requests_ = 0;
  std::uint64_t refusals_ = 0;
  // The timeout that runs, and what it was set for.
  Timed timed_ = Timed::nothing;
  SteadyClock::time_point deadline_;
  std::uint64_t timed_request_ = 0;
  std::size_t progress_ = 0;  // bytes of output taken since
  TimedList::iterator place_;
  Connections::iterator self_;
};

// --- Connection ---

Server::Impl::Connection::Connection(Impl& server, tcp::socket socket)
    : server_(&server),
      socket_(std::move(socket)),
      exchange_(server.router_, server.limits_, *this, server.date_line_) {}

void Server::Impl::Connection::submit(std::uint64_t number, replica::Request request) {
  server_->submit(*this, number, std::move(request));
}

void Server::Impl::Connection::answer(std::uint64_t number, replica::Reply&& reply,
                                      std::unique_ptr<BodySource> body) {
  if (body != nullptr) body_ = std::move(body);
  exchange_.answer(number, std::move(reply));
  server_->flush_later(*this);
}

void Server::Impl::Connection::refuse(std::string_view code, std::string_view detail) {
  exchange_.refuse(code, detail);
  settle();
}

void Server::Impl::Connection::finish() {
  if (exchange_.phase() == Exchange::Phase::idle) return close();
  exchange_.finish();
  settle();
}

void Server::Impl::Connection::settle() {
  if (server_ == nullptr) return;
  send();
  if (server_ == nullptr) return;
  count();
  if (server_->out_of_memory() && memory_ > kSmallConnection &&
      exchange_.phase() == Exchange::Phase::body) {
    return refuse("busy", "too much is being sent to this node at the moment");
  }
  if (exchange_.phase() == Exchange::Phase::closed && !lingering_) linger();
  if (server_ == nullptr) return;
  set_timeout();
  read();
  pull_body();
}

// Only when the socket has taken all that was there: a slow client costs one piece of memory, and
// one that takes nothing any more runs into the timeout.
void Server::Impl::Connection::pull_body() {
  if (server_ == nullptr || pulling_ || !exchange_.wants_body()) return;
  CHECK(body_ != nullptr, "a body that follows has a source");
  pulling_ = true;
  body_->next([self = shared_from_this()](Result<std::string> piece) {
    self->pulling_ = false;
    if (self->server_ == nullptr) return;
    if (!piece) return self->close();
    if (piece->empty()) self->body_.reset();
    self->exchange_.body(std::move(*piece));
    self->settle();
  });
}

// Sends what the socket takes now.
void Server::Impl::Connection::send() {
  while (!waiting_to_write_ && !exchange_.output().empty()) {
    error_code error;
    const std::size_t size = socket_.write_some(Gathered(exchange_.output()), error);
    if (error == asio::error::would_block) return wait_until_writable();
    if (error) return close();
    progress_ += size;
    exchange_.sent(size);
  }
}

void Server::Impl::Connection::wait_until_writable() {
  waiting_to_write_ = true;
  socket_.async_wait(tcp::socket::wait_write, [self = shared_from_this()](error_code error) {
    self->waiting_to_write_ = false;
    if (error && self->server_ != nullptr) self->close();
    self->settle();
  });
}

void Server::Impl::Connection::read() {
  if (reading_ || input_ended_ || !exchange_.reads()) return;
  reading_ = true;
  const std::span<char> room = exchange_.prepare();
  socket_.async_read_some(asio::buffer(room.data(), room.size()),
                          [self = shared_from_this()](error_code error, std::size_t size) {
                            self->received(error, size);
                          });
}

void Server::Impl::Connection::received(error_code error, std::size_t size) {
  reading_ = false;
  if (server_ == nullptr) return;
  if (lingering_) return error ? close() : discard();
  if (error == asio::error::eof) {
    input_ended_ = true;
    exchange_.end_of_input();
  } else if (error) {
    return close();
  } else {
    exchange_.received(size);
  }
  settle();
}

// The answer is sent, but if the client still sends, closing now would make its system throw the
// answer away. So: say that nothing more comes, and read until the client has understood.
void Server::Impl::Connection::linger() {
  lingering_ = true;
  if (input_ended_) return close();
  error_code error;
  socket_.shutdown(tcp::socket::shutdown_send, error);
  if (error) return close();
  if (!reading_) discard();
}

void Server::Impl::Connection::discard() {
  reading_ = true;
  socket_.async_read_some(asio::buffer(server_->discarded_),
                          [self = shared_from_this()](error_code error, std::size_t) {
                            self->reading_ = false;
                            if (self->server_ == nullptr) return;
                            if (error) return self->close();
                            self->discard();
                          });
}

void Server::Impl::Connection::close() {
  if (server_ == nullptr) return;
  Impl& server = *std::exchange(server_, nullptr);
  error_code ignored;
  socket_.close(ignored);
  body_.reset();
  server.stats_.buffered_bytes -= memory_;
  server.timed_[static_cast<std::size_t>(timed_)].erase(place_);
  --server.stats_.connections_open;
  const ConnectionPtr keep = shared_from_this();
  server.connections_.erase(self_);
  server.finish_stopping();
}

void Server::Impl::Connection::timed_out() {
  switch (timed_) {
    case Timed::header:
    case Timed::body:
      return refuse("request_timeout", "the request did not arrive whole in time");
    default:
      return close();
  }
}

void Server::Impl::Connection::set_timeout() {
  if (lingering_) return set_timed(Timed::linger);
  switch (exchange_.phase()) {
    case Exchange::Phase::idle:
      return set_timed(Timed::idle);
    case Exchange::Phase::header:
      return set_timed(Timed::header);
    case Exchange::Phase::body:
      return set_timed(Timed::body);
    case Exchange::Phase::output:
      return set_timed(Timed::output);
    default:
      return set_timed(Timed::nothing);
  }
}

// A timeout that runs goes on running, unless it was for an earlier request or output has been
// taken.
void Server::Impl::Connection::set_timed(Timed kind) {
  const bool progress = kind == Timed::output && progress_ >= kProgressBytes;
  if (kind == timed_ && timed_request_ == exchange_.requests() && !progress) return;
  auto& from = server_->timed_[static_cast<std::size_t>(timed_)];
  auto& to = server_->timed_[static_cast<std::size_t>(kind)];
  to.splice(to.end(), from, place_);
  timed_ = kind;
  timed_request_ = exchange_.requests();
  progress_ = 0;
  if (kind != Timed::nothing) deadline_ = SteadyClock::now() + server_->timeout_of(kind);
}

void Server::Impl::Connection::count() {
  ServerStats& stats = server_->stats_;
  stats.buffered_bytes += exchange_.memory() - memory_;
  stats.requests += exchange_.requests() - requests_;
  stats.requests_refused += exchange_.refusals() - refusals_;
  memory_ = exchange_.memory();
  requests_ = exchange_.requests();
  refusals_ = exchange_.refusals();
}

// --- Server: connections ---

Server::Impl::Impl(asio::io_context& loop, ServerOptions options, Backend& backend)
    : loop_(loop),
      options_(std::move(options)),
      limits_{.parser = {options_.header_size_max, options_.router.target_size_max},
              .pipelined_max = options_.pipelined_max},
      backend_(backend),
      router_(options_.router, backend),
      date_line_(http_date(std::time(nullptr))),
      acceptor_(loop),
      ticker_(loop),
      accept_pause_(loop),
      stop_limit_(loop) {}

Status Server::Impl::listen(const std::string& address) {
  if (!is_host_and_port(address, true)) {
    return failure(ErrorCode::invalid, "no address of the form HOST:PORT: " + address);
  }
  const auto [host, port] = split_address(address);
  error_code error;
  const auto found = tcp::resolver(loop_).resolve(host, port, tcp::resolver::passive, error);
  if (error) {
    return failure(ErrorCode::unavailable,
                   "cannot find the address of " + host + ": " + error.message());
  }
  for (const auto& entry : found) {
    error = open(entry.endpoint());
    if (!error) break;
  }
  if (error) {
    return failure(ErrorCode::unavailable, "cannot listen for HTTP on " + address + ": " +
                                               error.message() +
                                               " (is another process using it? see --http)");
  }
  port_ = acceptor_.local_endpoint().port();
  accept();
  tick();
  return {};
}

error_code Server::Impl::open(const tcp::endpoint& endpoint) {
  error_code error;
  error_code ignored;
  acceptor_.close(ignored);
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  return error;
}

void Server::Impl::accept() {
  acceptor_.async_accept([self = shared_from_this()](error_code error, tcp::socket socket) {
    self->accepted(error, std::move(socket));
  });
}

void Server::Impl::accepted(error_code error, tcp::socket socket) {
  if (!acceptor_.is_open() || error == asio::error::operation_aborted) return;
  if (!error) {
    add(std::move(socket));
  } else if (error != asio::error::connection_aborted) {
    // Out of descriptors or memory: try again when some may have been given back.
    accept_pause_.expires_after(kAcceptPause);
    accept_pause_.async_wait([self = shared_from_this()](error_code cancelled) {
      if (!cancelled && self->acceptor_.is_open()) self->accept();
    });
    return;
  }
  accept();
}

void Server::Impl::add(tcp::socket socket) {
  ++stats_.connections_accepted;
  const bool too_many = connections_.size() >= options_.connections_max;
  if (too_many) ++stats_.connections_refused;
  if (connections_.size() >= options_.connections_max + kRefusedAtOnceMax) return;
  error_code error;
  socket.non_blocking(true, error);
  if (!error) socket.set_option(tcp::no_delay(true), error);
  if (error) return;
  auto connection = std::make_shared<Connection>(*this, std::move(socket));
  auto& untimed = timed_[static_cast<std::size_t>(Timed::nothing)];
  connection->place_ = untimed.insert(untimed.end(), connection.get());
  connection->self_ = connections_.insert(connections_.end(), connection);
  ++stats_.connections_open;
  if (too_many) return connection->refuse("busy", "this node has too many connections");
  connection->settle();
}

void Server::Impl::tick() {
  const SteadyClock::time_point now = SteadyClock::now();
  date_line_ = http_date(std::time(nullptr));
  for (std::size_t kind = 0; kind < static_cast<std::size_t>(Timed::nothing); ++kind) {
    expire(static_cast<Timed>(kind), now);
  }
  ticker_.expires_after(tick_interval());
  ticker_.async_wait([self = shared_from_this()](error_code cancelled) {
    if (!cancelled) self->tick();
  });
}

void Server::Impl::expire(Timed kind, SteadyClock::time_point now) {
  const TimedList& list = timed_[static_cast<std::size_t>(kind)];
  while (!list.empty() && list.front()->deadline_ <= now) list.front()->timed_out();
}

Duration Server::Impl::timeout_of(Timed kind) const {
  switch (kind) {
    case Timed::idle:
      return options_.idle_timeout;
    case Timed::header:
      return options_.header_timeout;
    case Timed::body:
      return options_.body_timeout;
    case Timed::output:
      return options_.write_timeout;
    default:
      return options_.linger_timeout;
  }
}

Duration Server::Impl::tick_interval() const {
  const Duration shortest =
      std::min({options_.idle_timeout, options_.header_timeout, options_.body_timeout,
                options_.write_timeout, options_.linger_timeout});
  return std::clamp<Duration>(shortest / 4, 5ms, 500ms);
}

// --- Server: requests ---

void Server::Impl::submit(Connection& connection, std::uint64_t number,
                          replica::Request&& request) {
  if (free_slots_.empty()) {
    free_slots_.push_back(slots_.size());
    slots_.emplace_back();
    CHECK(slots_.size() < (1u << kTicketSlotBits));
  }
  const std::size_t at = free_slots_.back();
  free_slots_.pop_back();
  TicketSlot& slot = slots_[at];
  slot.connection = connection.shared_from_this();
  slot.number = number;
  ++slot.generation;
  backend_.submit(replica::Ticket(slot.generation << kTicketSlotBits | at), std::move(request));
}

void Server::Impl::respond(replica::Ticket ticket, replica::Reply&& reply,
                           std::unique_ptr<BodySource> body) {
  const std::size_t at = ticket.value & ((1u << kTicketSlotBits) - 1);
  CHECK(at < slots_.size() && slots_[at].generation == ticket.value >> kTicketSlotBits,
        "an answer to a ticket that was never submitted");
  CHECK(slots_[at].connection != nullptr, "a ticket is answered once");
  const ConnectionPtr connection = std::exchange(slots_[at].connection, nullptr);
  free_slots_.push_back(at);
  if (connection->server_ == nullptr) return;
  if (out_of_memory() && std::holds_alternative<replica::ReadResult>(reply.answer)) {
    reply.answer = replica::Failed{replica::Problem::busy, replica::Effect::not_applied,
                                   "too much is being read from this node at the moment"};
  }
  connection->answer(slots_[at].number, std::move(reply), std::move(body));
}

// All answers of one turn of the loop to a connection go out together.
void Server::Impl::flush_later(Connection& connection) {
  if (std::exchange(connection.flush_planned_, true)) return;
  to_flush_.push_back(connection.shared_from_this());
  if (to_flush_.size() > 1) return;
  asio::post(loop_, [self = shared_from_this()] { self->flush_planned(); });
}

void Server::Impl::flush_planned() {
  std::swap(to_flush_, flushing_);
  for (const ConnectionPtr& connection : flushing_) {
    connection->flush_planned_ = false;
    connection->settle();
  }
  flushing_.clear();
}

// --- Server: the end ---

void Server::Impl::stop(Duration limit, std::move_only_function<void()> done) {
  CHECK(!stopping_, "stop is called once");
  stopping_ = true;
  stopped_ = std::move(done);
  error_code ignored;
  acceptor_.close(ignored);
  accept_pause_.cancel();
  stop_limit_.expires_after(limit);
  stop_limit_.async_wait([self = shared_from_this()](error_code cancelled) {
    if (!cancelled) self->close_everything();
  });
  const Connections all = connections_;
  for (const ConnectionPtr& connection : all) connection->finish();
  finish_stopping();
}

void Server::Impl::finish_stopping() {
  if (!stopping_ || !connections_.empty() || stopped_ == nullptr) return;
  stop_limit_.cancel();
  ticker_.cancel();
  asio::post(loop_, std::exchange(stopped_, nullptr));
}

void Server::Impl::close_everything() {
  error_code ignored;
  acceptor_.close(ignored);
  accept_pause_.cancel();
  const Connections all = connections_;
  for (const ConnectionPtr& connection : all) connection->close();
}

// The server goes away: nothing may happen any more.
void Server::Impl::abandon() {
  stopped_ = nullptr;
  close_everything();
  ticker_.cancel();
  stop_limit_.cancel();
}

// --- Server ---

Server::Server(asio::io_context& loop, ServerOptions options, Backend& backend)
    : impl_(std::make_shared<Impl>(loop, std::move(options), backend)) {}

Server::~Server() {
  impl_->abandon();
}

Status Server::listen(const std::string& address) {
  return impl_->listen(address);
}

std::uint16_t Server::port() const {
  return impl_->port();
}

void Server::respond(replica::Ticket ticket, replica::Reply reply) {
  impl_->respond(ticket, std::move(reply), nullptr);
}

void Server::respond(replica::Ticket ticket, replica::Reply reply,
                     std::unique_ptr<BodySource> body) {
  impl_->respond(ticket, std::move(reply), std::move(body));
}

void Server::flush() {
  impl_->flush_planned();
}

void Server::stop(Duration limit, std::move_only_function<void()> done) {
  impl_->stop(limit, std::move(done));
}

const ServerStats& Server::stats() const {
  return impl_->stats();
}

}  // namespace raftkv::http
