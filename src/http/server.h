// Server: the REST interface on sockets (design, section 7; docs/api.md). Reads requests, hands
// what the router makes of them to the node, and sends the answers: on each connection in the order
// of its requests.
//
// Threads: none of its own. All functions are called on the loop, and all callbacks run on it.
//
// Memory is bounded: a connection without a request costs about 3 KiB; bodies that are being
// received and answers that wait for slow readers count against `buffered_bytes_max`, above which
// requests get 503. A connection whose answers are not taken is not read from.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "src/base/result.h"
#include "src/base/time.h"
#include "src/http/router.h"
#include "src/replica/ports.h"
#include "src/replica/request.h"

namespace boost::asio {
class io_context;
}

namespace raftkv::http {

struct ServerOptions {
  RouterOptions router;
  std::size_t connections_max = 20000;  // more get 503 and are closed
  std::size_t header_size_max = 16384;  // bytes of request line and fields; more is 431
  // Requests of one connection inside the node. Only reads run side by side (RFC 9112, 9.3.2).
  std::size_t pipelined_max = 64;
  // Bodies coming in and answers going out, all connections together.
  std::size_t buffered_bytes_max = 256u << 20;
  Duration header_timeout = 10s;  // from a request's first byte to the end of its header
  Duration body_timeout = 60s;    // from there to the end of its body
  Duration idle_timeout = 300s;   // between requests
  Duration write_timeout = 30s;   // for the client to take 16 KiB of what waits for it, or all
  Duration linger_timeout = 2s;   // after an answer that closes, for the client to read it
};

// A body that is made while it is sent, so that no more of it is in memory than the client is about
// to take.
struct BodySource {
  // The body is no longer wanted: it was sent, or its connection is gone.
  virtual ~BodySource() = default;
  // The next piece, not empty; or "" behind the last. `done` gets it on the loop, later; never once
  // this is destroyed. One call at a time. An error: the connection is closed without the body's
  // end, so that the client does not take it for whole.
  virtual void next(std::move_only_function<void(Result<std::string>)> done) = 0;
};

// What the server has done since it was made, for metrics.
struct ServerStats {
  std::uint64_t connections_open = 0;
  std::uint64_t connections_accepted = 0;
  std::uint64_t connections_refused = 0;  // above connections_max
  std::uint64_t requests = 0;             // whole requests read
  std::uint64_t requests_refused = 0;     // bad framing, sizes and timeouts
  std::uint64_t buffered_bytes = 0;
};

// The node behind the server.
struct Backend : NodeView {
  // Host::submit. The reply comes to Server::respond, which may be called within.
  virtual void submit(replica::Ticket ticket, replica::Request request) = 0;
};

// Use: make the server, make the Host with it as the Responder, bind the Backend to the Host,
// listen(). Destroying it closes every connection at once; stop() first lets them finish.
class Server final : public replica::Responder {
 public:
  // `loop` and `backend` must outlive it. Nothing is called before listen().
  Server(boost::asio::io_context& loop, ServerOptions options, Backend& backend);
  ~Server() override;
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Listens on HOST:PORT ("127.0.0.1:8091", "[::1]:0", "localhost:8091"; port 0: any free one) and
  // begins to serve. Errors: invalid (no such address form), unavailable (unresolvable, in use, not
  // allowed); the message says which.
  [[nodiscard]] Status listen(const std::string& address);
  // The port that it listens on.
  [[nodiscard]] std::uint16_t port() const;

  // Takes the answer of a submitted ticket. If its connection is gone the answer is dropped.
  // It goes out together with others, when the loop comes to it or with flush().
  void respond(replica::Ticket ticket, replica::Reply reply) override;
  // The same for an answer whose body follows: to a replica::Barrier.
  void respond(replica::Ticket ticket, replica::Reply reply, std::unique_ptr<BodySource> body);
  // Sends now the answers that have been taken.
  void flush();

  // Begins a clean stop: accepts nothing more, closes idle connections, answers what is under way
  // with `Connection: close`. `done` is called on the loop when all connections are closed, at
  // latest after `limit`.
  void stop(Duration limit, std::move_only_function<void()> done);

  [[nodiscard]] const ServerStats& stats() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace raftkv::http
