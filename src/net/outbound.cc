#include "src/net/outbound.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <utility>

#include "src/net/address.h"
#include "src/net/socket_options.h"

namespace raftkv::net {

namespace asio = boost::asio;
using asio::ip::tcp;

void set_peer_options(tcp::socket& socket, Duration silence_max) {
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(silence_max).count();
  const auto set = [fd = socket.native_handle()](int level, int name, int value) {
    ::setsockopt(fd, level, name, &value, sizeof(value));
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(milliseconds));
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  constexpr int kProbes = 3;
  const int interval = std::max(1, static_cast<int>(milliseconds / 1000 / (kProbes + 1)));
  set(IPPROTO_TCP, TCP_KEEPIDLE, interval);
  set(IPPROTO_TCP, TCP_KEEPINTVL, interval);
  set(IPPROTO_TCP, TCP_KEEPCNT, kProbes);
}

bool process_gone(const boost::system::error_code& error) {
  return error == asio::error::eof || error == asio::error::connection_reset ||
         error == asio::error::connection_refused || error == asio::error::broken_pipe ||
         error == asio::error::connection_aborted;
}

Outbound::Outbound(asio::io_context& loop, raft::MemberId peer, std::string address,
                   const Options& options, Prng prng, OutboundEvents& events, Stats& stats)
    : socket_(loop),
      resolver_(loop),
      timer_(loop),
      peer_(peer),
      address_(std::move(address)),
      options_(options),
      prng_(prng),
      events_(events),
      stats_(stats),
      outbox_(options.queued_frames_max, options.queued_bytes_max),
      last_used_(std::chrono::steady_clock::now()) {}

void Outbound::send(raft::Frame frame) {
  last_used_ = std::chrono::steady_clock::now();
  if (!outbox_.push(std::move(frame))) ++stats_.frames_dropped;
  if (state_ == State::connected) {
    flush_soon();
    return;
  }
  stats_.frames_dropped += outbox_.keep_newest(options_.offline_frames_max);
  if (state_ == State::idle) start();
}

void Outbound::set_kept(bool kept) {
  kept_ = kept;
  if (kept && state_ == State::idle) start();
}

void Outbound::hurry() {
  pause_ = {};
  if (state_ == State::pausing) start();
}

void Outbound::close() {
  if (state_ == State::connected) --stats_.outbound;
  state_ = State::closed;
  ++attempt_;
  ErrorCode ignored;
  socket_.close(ignored);
  resolver_.cancel();
  timer_.cancel();
}

void Outbound::start() {
  state_ = State::connecting;
  const std::uint64_t attempt = ++attempt_;
  timer_.expires_after(options_.connect_timeout);
  timer_.async_wait([self = shared_from_this(), attempt](const ErrorCode& error) {
    if (!error && attempt == self->attempt_) self->fail(asio::error::timed_out);
  });
  resolve(attempt);
}

void Outbound::resolve(std::uint64_t attempt) {
  // Both ways complete later, never from within send() or keep(): those are calls of the Host.
  const auto parsed = parse_host_port(address_);
  if (!parsed) {
    asio::post(socket_.get_executor(), [self = shared_from_this(), attempt] {
      if (attempt == self->attempt_) self->fail(asio::error::host_not_found);
    });
    return;
  }
  ErrorCode not_numeric;
  const auto numeric = asio::ip::make_address(parsed->host, not_numeric);
  if (!not_numeric) {
    candidates_ = {tcp::endpoint(numeric, parsed->port)};
    return connect(attempt);
  }
  resolver_.async_resolve(
      parsed->host, std::to_string(parsed->port),
      [self = shared_from_this(), attempt](const ErrorCode& error, const auto& found) {
        if (attempt != self->attempt_) return;
        if (error) return self->fail(error);
        self->candidates_.clear();
        for (const auto& entry : found) self->candidates_.push_back(entry.endpoint());
        self->connect(attempt);
      });
}

// Tries the addresses that the host has, one after the other.
void Outbound::connect(std::uint64_t attempt) {
  const tcp::endpoint endpoint = candidates_.front();
  candidates_.erase(candidates_.begin());
  ErrorCode ignored;
  socket_.close(ignored);
  socket_.async_connect(endpoint, [self = shared_from_this(), attempt](const ErrorCode& error) {
    if (attempt != self->attempt_) return;
    if (!error) return self->on_connected(attempt);
    if (self->candidates_.empty()) return self->fail(error);
    self->connect(attempt);
  });
}

void Outbound::on_connected(std::uint64_t attempt) {
  timer_.cancel();
  state_ = State::connected;
  failing_ = gone_ = false;
  ++stats_.outbound;
  connected_at_ = std::chrono::steady_clock::now();
  set_peer_options(socket_, options_.silence_max);
  watch(attempt);
  flush_soon();
  events_.outbound_connected(peer_);
}

// The peer never sends on this connection: that it becomes readable means that it ended.
void Outbound::watch(std::uint64_t attempt) {
  socket_.async_wait(tcp::socket::wait_read, [self = shared_from_this(),
                                              attempt](const ErrorCode& error) {
    if (attempt != self->attempt_) return;
    if (error) return self->fail(error);
    char byte = 0;
    const auto size = ::recv(self->socket_.native_handle(), &byte, sizeof(byte), MSG_DONTWAIT);
    if (size == 0) return self->fail(asio::error::eof);
    if (size > 0)
      return self->fail(boost::system::errc::make_error_code(boost::system::errc::protocol_error));
    if (errno != EAGAIN && errno != EINTR)
      return self->fail(ErrorCode(errno, boost::system::system_category()));
    self->watch(attempt);
  });
}

// Once for all frames of a turn of the loop.
void Outbound::flush_soon() {
  if (flush_planned_ || blocked_ || outbox_.empty()) return;
  flush_planned_ = true;
  asio::post(socket_.get_executor(), [self = shared_from_this(), attempt = attempt_] {
    if (attempt == self->attempt_) self->flush_now();
  });
}

void Outbound::flush_now() {
  if (std::exchange(flush_planned_, false)) flush();
}

void Outbound::flush() {
  while (!outbox_.empty()) {
    const auto pieces = outbox_.gather();
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(pieces.data());
    message.msg_iovlen = pieces.size();
    const auto size = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size >= 0) {
      stats_.bytes_sent += static_cast<std::size_t>(size);
      stats_.frames_sent += outbox_.sent(static_cast<std::size_t>(size));
    } else if (errno == EAGAIN) {
      return wait_writable();
    } else if (errno != EINTR) {
      return fail(ErrorCode(errno, boost::system::system_category()));
    }
  }
}

void Outbound::wait_writable() {
  blocked_ = true;
  socket_.async_wait(tcp::socket::wait_write,
                     [self = shared_from_this(), attempt = attempt_](const ErrorCode& error) {
                       if (attempt != self->attempt_) return;
                       self->blocked_ = false;
                       if (error) return self->fail(error);
                       self->flush();
                     });
}

void Outbound::fail(const ErrorCode& why) {
  const bool gone = process_gone(why);
  const OutboundEvents::News news = {.failing = !std::exchange(failing_, true),
                                     .gone = gone && !std::exchange(gone_, true)};
  const bool was_connected = state_ == State::connected;
  if (was_connected) {
    --stats_.outbound;
    if (std::chrono::steady_clock::now() - connected_at_ >= options_.reconnect_forgiven)
      pause_ = {};
    // What was in flight is gone with the connection, and what waited behind it is stale.
    stats_.frames_dropped += outbox_.frames();
    outbox_.clear();
    flush_planned_ = blocked_ = false;
  }
  ++attempt_;
  ErrorCode ignored;
  socket_.close(ignored);
  resolver_.cancel();
  timer_.cancel();
  pause();
  events_.outbound_failed(peer_, why, news);
}

void Outbound::pause() {
  state_ = State::pausing;
  pause_ = std::clamp(pause_ * 2, options_.reconnect_min, options_.reconnect_max);
  timer_.expires_after(prng_.between(pause_ / 2, pause_));
  timer_.async_wait([self = shared_from_this(), attempt = attempt_](const ErrorCode& error) {
    if (error || attempt != self->attempt_) return;
    if (self->kept_ || !self->outbox_.empty()) return self->start();
    self->state_ = State::idle;
  });
}

}  // namespace raftkv::net
