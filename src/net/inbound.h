// Inbound: a connection that somebody made to this node's Raft port. It reads frames and hands them
// on; nothing is ever sent on it. Who is at the other end is known from the first frame that was
// accepted.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>

#include "src/net/events.h"
#include "src/net/frame_reader.h"
#include "src/net/options.h"

namespace raftkv::net {

class Inbound : public std::enable_shared_from_this<Inbound> {
 public:
  // `events` and `stats` must stay until close().
  Inbound(boost::asio::ip::tcp::socket socket, const Options& options, InboundEvents& events,
          Stats& stats);

  void start();
  // Reads what has come, now.
  void poll();
  // Ends it for good: nothing is reported any more. May be called from within an event.
  void close();

  // 0: nobody has said yet.
  [[nodiscard]] raft::MemberId member() const { return member_; }
  void identify(raft::MemberId member);
  [[nodiscard]] const std::string& remote() const { return remote_; }

 private:
  void wait();
  bool read();
  void on_read(std::size_t size);
  void end(const boost::system::error_code& why);
  void refuse(const Error& why);

  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer timer_;  // of the first frame
  const Options& options_;
  InboundEvents& events_;
  Stats& stats_;
  FrameReader reader_;
  FrameReader::Sink sink_;
  const std::string remote_;  // HOST:PORT, for logs
  raft::MemberId member_;
  bool begun_ = false;  // a first byte has come
  bool closed_ = false;
};

}  // namespace raftkv::net
