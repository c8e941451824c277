#include "src/net/inbound.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <utility>

#include "src/net/address.h"
#include "src/net/socket_options.h"

namespace raftkv::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

std::string remote_of(const tcp::socket& socket) {
  boost::system::error_code error;
  const auto endpoint = socket.remote_endpoint(error);
  if (error) return "unknown";
  return to_string({.host = endpoint.address().to_string(), .port = endpoint.port()});
}

}  // namespace

Inbound::Inbound(tcp::socket socket, const Options& options, InboundEvents& events, Stats& stats)
    : socket_(std::move(socket)),
      timer_(socket_.get_executor()),
      options_(options),
      events_(events),
      stats_(stats),
      remote_(remote_of(socket_)) {
  sink_ = [this](SharedBytes frame) -> Status {
    // An event of an earlier frame of the same read may have closed the connection.
    if (closed_) return {};
    ++stats_.frames_received;
    return events_.inbound_frame(*this, std::move(frame));
  };
}

void Inbound::start() {
  set_peer_options(socket_, options_.silence_max);
  wait();
}

void Inbound::close() {
  closed_ = true;
  boost::system::error_code ignored;
  socket_.close(ignored);
  timer_.cancel();
}

void Inbound::identify(raft::MemberId member) {
  member_ = member;
  timer_.cancel();
}

// Not a read of Asio's: the bytes may be taken by poll() before the loop comes to them.
void Inbound::wait() {
  socket_.async_wait(tcp::socket::wait_read,
                     [self = shared_from_this()](const boost::system::error_code& error) {
                       if (self->closed_) return;
                       if (error) return self->end(error);
                       self->poll();
                       if (!self->closed_) self->wait();
                     });
}

// A few buffers at once, then others have their turn; what is left wakes the next wait().
void Inbound::poll() {
  constexpr int kBuffersAtOnce = 4;
  bool more = true;
  for (int i = 0; i < kBuffersAtOnce && more && !closed_; ++i) more = read();
}

// False: there is nothing left.
bool Inbound::read() {
  const auto space = reader_.space();
  std::array<iovec, 2> buffers = {iovec{space[0].data(), space[0].size()},
                                  iovec{space[1].data(), space[1].size()}};
  msghdr message{};
  message.msg_iov = buffers.data();
  message.msg_iovlen = buffers.size();
  const auto size = ::recvmsg(socket_.native_handle(), &message, MSG_DONTWAIT);
  if (size > 0) {
    on_read(static_cast<std::size_t>(size));
    return static_cast<std::size_t>(size) == space[0].size() + space[1].size();
  }
  if (size == 0) {
    end(asio::error::eof);
  } else if (errno == EINTR) {
    return true;
  } else if (errno != EAGAIN) {
    end({errno, boost::system::system_category()});
  }
  return false;
}

void Inbound::end(const boost::system::error_code& why) {
  close();
  events_.inbound_closed(*this, why);
}

void Inbound::on_read(std::size_t size) {
  stats_.bytes_received += size;
  if (!begun_) {
    begun_ = true;
    timer_.expires_after(options_.first_frame_timeout);
    timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (error || self->closed_ || self->member_) return;
      self->refuse({raftkv::ErrorCode::invalid, "frame: its beginning came, but not its rest"});
    });
  }
  if (const auto taken = reader_.received(size, sink_); !taken) refuse(taken.error());
}

void Inbound::refuse(const Error& why) {
  if (closed_) return;
  close();
  ++stats_.refused;
  events_.inbound_refused(*this, why);
}

}  // namespace raftkv::net
