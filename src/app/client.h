// The client commands: get, set, del, status, members, member remove, leader transfer. They talk to
// the REST interface (docs/api.md), follow redirects to the leader, and say with their exit code
// what became of it.
#pragma once

#include <expected>
#include <functional>
#include <string>

#include "src/app/options.h"
#include "src/base/time.h"
#include "src/http/client.h"

namespace raftkv::app {

// The world as the commands see it.
struct ClientWorld {
  // One request to HOST:PORT (src/http/client.h), given up after the duration.
  std::function<std::expected<http::ClientResponse, http::ClientError>(
      const std::string&, const http::ClientRequest&, Duration)>
      send;
  // The same with a body that goes elsewhere; the duration is until it begins.
  std::function<std::expected<http::ClientResponse, http::ClientError>(
      const std::string&, const http::ClientRequest&, Duration, const http::Sink&)>
      download = {};
  std::function<Time()> now;
  std::function<void(Duration)> pause;
  std::function<void(const std::string&)> progress = {};  // a line for a person who waits
  bool terminal = false;  // standard output is one: a value is followed by a newline
};

[[nodiscard]] ClientWorld real_client_world();

// Carries a command out.
[[nodiscard]] Said run_client(const ClientCommand& command, const ClientWorld& world);

// `key` as the last part of a target: everything but unreserved characters and '/' is
// percent-encoded.
[[nodiscard]] std::string percent_encode(std::string_view key);

}  // namespace raftkv::app
