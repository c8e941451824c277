// Network: the peer connections of a node over TCP, one per peer and direction. Everything happens
// on one loop; no function and no callback blocks, and no callback is called from within a function
// of the Network but flush() and poll().
//
// A process that dies is noticed at once: its sockets are closed by its kernel, on the connections
// to it and from it. A machine that vanishes without a word is noticed by Raft's own timeouts, and
// its connections end after Options::silence_max.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "src/base/prng.h"
#include "src/base/result.h"
#include "src/net/options.h"
#include "src/raft/raft.h"
#include "src/replica/ports.h"

namespace raftkv::net {

// What the network tells the node.
struct Handlers {
  // One whole frame; an error closes the connection it came on, with one line in the log.
  std::move_only_function<Status(SharedBytes)> receive;
  // Connected: a new connection, in either direction (an inbound one with its first frame).
  // Disconnected: the peer's process has closed a connection or reset it, or refuses new ones; told
  // once for as long as it refuses. Silence is not told.
  std::move_only_function<void(raft::MemberId, raft::PeerEvent)> peer_event;
};

// Whether somebody could listen on this address now. Errors: as Network::open.
[[nodiscard]] Status can_listen(boost::asio::io_context& loop, const std::string& address);

class Network final : public replica::PeerNetwork {
 public:
  // Listens on `address` (HOST:PORT; port 0 takes a free one). `loop` must outlive the Network and
  // be run by one thread. Errors: invalid (no address), not_found (a host that cannot be resolved),
  // unavailable (in use, not of this machine, not permitted).
  [[nodiscard]] static Result<std::unique_ptr<Network>> open(boost::asio::io_context& loop,
                                                             const std::string& address,
                                                             const Options& options, Prng prng);
  ~Network() override;
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  // Begins to accept. Before it, connections wait in the backlog.
  void start(Handlers handlers);
  // Closes everything; no handler is called any more.
  void close();

  void send(const replica::PeerAddress& to, raft::Frame frame) override;
  void keep(std::span<const replica::PeerAddress> peers) override;
  // Sends now what waits to be sent, before the loop comes to it.
  void flush();
  // Takes now what peers have sent, before the loop comes to it: calls handlers.
  void poll();

  // As bound: HOST:PORT.
  [[nodiscard]] std::string local_address() const;
  [[nodiscard]] Stats stats() const;

 private:
  class Impl;
  explicit Network(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace raftkv::net
