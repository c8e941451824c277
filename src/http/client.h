// Client: a small HTTP client that blocks, for the client commands and for joining before there is
// a loop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/result.h"
#include "src/base/time.h"

namespace raftkv::http {

struct ClientRequest {
  std::string method = "GET";
  std::string target = "/";  // origin-form, already percent-encoded
  std::vector<std::pair<std::string, std::string>>
      fields;  // Host, Content-Length and Connection are added
  std::string body;
};
struct ClientResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;

  // The value of the first field with this name, without regard to case; empty if there is none.
  [[nodiscard]] std::string_view field(std::string_view name) const;
};

// What became of the request when there is no response: a careful client must know.
enum class Sent {
  no,       // the connection was never made: certainly not executed
  perhaps,  // some of the request may have arrived
};
struct ClientError {
  Error error;  // unavailable (refused, reset, timed out, unresolvable), invalid (address form),
                // corrupt (no HTTP)
  Sent sent = Sent::no;
};

// Does one request on a connection of its own. `address`: HOST:PORT. Follows no redirects. Gives up
// after `timeout`, which covers connecting (at most connect_timeout of it), sending and receiving.
// Bodies above `body_size_max`: corrupt.
struct ClientOptions {
  Duration timeout = 10s;
  Duration connect_timeout = 2s;
  Duration stall_timeout = 30s;  // of download(): without a byte of the body
  std::size_t body_size_max = 64u << 20;
};
[[nodiscard]] std::expected<ClientResponse, ClientError> send_request(
    const std::string& address, const ClientRequest& request, const ClientOptions& options = {});

// The same for a body that is too large to be held: that of a 200 goes to `sink`, piece by piece,
// and the response is without it. `timeout` covers all until the body begins. What the sink refuses
// ends it, with the sink's error.
using Sink = std::function<Status(std::string_view)>;
[[nodiscard]] std::expected<ClientResponse, ClientError> download(const std::string& address,
                                                                  const ClientRequest& request,
                                                                  const ClientOptions& options,
                                                                  const Sink& sink);

}  // namespace raftkv::http
