#include "src/net/inbound.h"

#include <array>
#include <boost/asio/buffer.hpp>
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
  read();
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

void Inbound::read() {
  const auto space = reader_.space();
  const std::array<asio::mutable_buffer, 2> buffers = {
      asio::mutable_buffer(space[0].data(), space[0].size()),
      asio::mutable_buffer(space[1].data(), space[1].size())};
  socket_.async_read_some(buffers, [self = shared_from_this()](
                                       const boost::system::error_code& error, std::size_t size) {
    if (self->closed_) return;
    if (!error) return self->on_read(size);
    self->close();
    self->events_.inbound_closed(*self, error);
  });
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
  if (const auto taken = reader_.received(size, sink_); !taken) return refuse(taken.error());
  if (!closed_) read();
}

void Inbound::refuse(const Error& why) {
  if (closed_) return;
  close();
  ++stats_.refused;
  events_.inbound_refused(*this, why);
}

}  // namespace raftkv::net
