// Outbound: the connection on which this node sends to one peer. It connects, comes back after
// failures, and writes what its Outbox holds. Nothing is ever received on it; that it ends is how a
// dead process is noticed.
//
//   idle ──send/keep──▶ connecting ──▶ connected
//     ▲                   │  ▲            │
//     └──not kept─────────┴──┴─ pausing ◀─┘  failures
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <vector>

#include "src/base/prng.h"
#include "src/net/events.h"
#include "src/net/options.h"
#include "src/net/outbox.h"
#include "src/raft/wire.h"

namespace raftkv::net {

class Outbound : public std::enable_shared_from_this<Outbound> {
 public:
  // `events` and `stats` must stay until close().
  Outbound(boost::asio::io_context& loop, raft::MemberId peer, std::string address,
           const Options& options, Prng prng, OutboundEvents& events, Stats& stats);

  // Queues the frame, connects if need be. Best effort.
  void send(raft::Frame frame);
  // What send() has queued goes out when the loop comes to it, or at flush_now().
  [[nodiscard]] bool has_planned_flush() const { return flush_planned_; }
  void flush_now();
  // Whether to stay connected without anything to send.
  void set_kept(bool kept);
  // The peer lives: do not wait any longer before connecting again.
  void hurry();
  // Ends it for good: nothing is reported any more.
  void close();

  [[nodiscard]] const std::string& address() const { return address_; }
  [[nodiscard]] bool kept() const { return kept_; }
  [[nodiscard]] std::size_t queued_bytes() const { return outbox_.bytes(); }
  [[nodiscard]] bool connected() const { return state_ == State::connected; }
  [[nodiscard]] std::chrono::steady_clock::time_point last_used() const { return last_used_; }

 private:
  enum class State { idle, connecting, connected, pausing, closed };
  using ErrorCode = boost::system::error_code;

  void start();
  void resolve(std::uint64_t attempt);
  void connect(std::uint64_t attempt);
  void on_connected(std::uint64_t attempt);
  void watch(std::uint64_t attempt);
  void flush_soon();
  void flush();
  void wait_writable();
  void fail(const ErrorCode& why);
  void pause();

  boost::asio::ip::tcp::socket socket_;
  boost::asio::ip::tcp::resolver resolver_;
  boost::asio::steady_timer timer_;                         // of the attempt, then of the pause
  std::vector<boost::asio::ip::tcp::endpoint> candidates_;  // of this attempt, not yet tried
  const raft::MemberId peer_;
  const std::string address_;
  const Options& options_;
  Prng prng_;
  OutboundEvents& events_;
  Stats& stats_;
  Outbox outbox_;

  State state_ = State::idle;
  bool kept_ = false;
  bool failing_ = false;        // no connection since a failure
  bool gone_ = false;           // and a failure since then said that no process is there
  bool flush_planned_ = false;  // and posted
  bool blocked_ = false;        // until the socket takes more
  std::uint64_t attempt_ =
      0;  // which connection a completion belongs to: late ones of older ones are ignored
  Duration pause_{};
  std::chrono::steady_clock::time_point connected_at_;
  std::chrono::steady_clock::time_point last_used_;
};

}  // namespace raftkv::net
