// Router: HTTP requests to requests of the node, and the node's replies to HTTP responses. Pure: it
// knows no socket, no clock and no Beast; the server (server.h) and the simulator call it at the
// level of messages. docs/api.md says what a client sees.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "src/kv/command.h"
#include "src/replica/request.h"

namespace raftkv::http {

// A header field of a message. Names compare without case.
struct Field {
  std::string_view name;
  std::string_view value;
};

// A request as it came, borrowed from the caller's bytes.
struct HttpRequest {
  std::string_view method;  // as sent: "GET"
  std::string_view target;  // raw, as sent: origin-form, not decoded
  std::span<const Field> fields;
  std::string_view body;  // whole, without chunked framing
};

// A response without its framing: whoever sends it adds Content-Length, Connection and Date.
struct HttpResponse {
  int status = 0;
  std::string fields;              // "Name: value\r\n", each line so
  std::string body;                // empty for HEAD
  std::size_t content_length = 0;  // of the body, or of the one that GET would have got
  bool body_follows = false;       // it is made while it is sent: the two above say nothing

  // The value of the first field with this name.
  [[nodiscard]] std::optional<std::string_view> field(std::string_view name) const;
};
[[nodiscard]] std::string_view reason_phrase(int status);

// What the node is at this moment, for responses that never reach the Host. Called on its loop.
struct NodeSummary {
  std::string node;      // its name
  replica::Index index;  // applied
  replica::Term term;
  std::string leader;  // name; empty: none known
};
struct NodeView {
  virtual ~NodeView() = default;
  [[nodiscard]] virtual NodeSummary summary() = 0;
  [[nodiscard]] virtual std::string metrics() = 0;  // Prometheus text, for GET /metrics
};

struct RouterOptions {
  std::size_t value_size_max = kv::kValueSizeMaxDefault;
  std::size_t target_size_max =
      8192;             // bytes; a key of 2,048 bytes is at most 6,144 when all are escaped
  std::string version;  // for /status
};

// What is needed to render the answer to a request once the node has replied.
struct Context {
  enum class Kind : std::uint8_t {
    set,
    remove_key,
    read,
    join,
    members,
    remove_member,
    transfer,
    status,
    ready,
    backup,
  };
  Kind kind = Kind::status;
  bool head = false;   // no body
  bool raw = false;    // read: the bytes, not JSON
  bool stale = false;  // read: say how long ago the leader was heard from
  std::string key;     // read
  std::string target;  // raw, for a redirect's Location
};

struct Routed {
  replica::Request request;
  Context context;
};

class Router {
 public:
  // `node` must outlive it.
  Router(RouterOptions options, NodeView& node);

  // What to do with a whole request: hand `request` to the node and its reply to respond(), or
  // answer at once.
  [[nodiscard]] std::variant<HttpResponse, Routed> route(const HttpRequest& request) const;

  // Refuses a request whose head alone tells that it fails, before its body is read.
  // `content_length`: nullopt for a chunked body. request.body is not looked at.
  [[nodiscard]] std::optional<HttpResponse> refuse_early(
      const HttpRequest& request, std::optional<std::uint64_t> content_length) const;
  // The largest body that a request with this head may have, in bytes. 0 for one that takes none.
  [[nodiscard]] std::size_t body_size_max(const HttpRequest& request) const;

  // Renders a reply.
  [[nodiscard]] HttpResponse respond(const Context& context, replica::Reply&& reply) const;

  // A problem document for what the server itself refuses: bad framing, sizes, timeouts, too many
  // connections. `code` as in docs/api.md.
  [[nodiscard]] HttpResponse refuse(std::string_view code, std::string_view detail) const;

 private:
  RouterOptions options_;
  NodeView& node_;
};

}  // namespace raftkv::http
