#include "src/http/router.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "src/http/json_input.h"
#include "src/http/problem.h"
#include "src/http/render.h"
#include "src/http/resource.h"
#include "src/http/text.h"

namespace raftkv::http {
namespace {

using replica::Effect;
using Kind = Context::Kind;

constexpr std::size_t kAdminBodySizeMax = 4096;
constexpr std::size_t kNameSizeMax = 64;      // of a member's id
constexpr std::size_t kAddressSizeMax = 256;  // as src/raft/configuration.h has it
constexpr std::string_view kJson = "application/json";
constexpr std::string_view kProblemJson = "application/problem+json";
constexpr std::string_view kBytes = "application/octet-stream";

// The limit for POST /key: a value of the largest size passes even if every second byte of it is
// escaped.
std::size_t json_body_size_max(const RouterOptions& options) {
  return 2 * options.value_size_max + (64u << 10);
}

std::size_t body_size_max_of(const RouterOptions& options, const Resolved& resolved) {
  switch (resolved.resource) {
    case Resource::keys:
      return json_body_size_max(options);
    case Resource::key:
      return resolved.verb == Verb::put ? options.value_size_max : 0;
    case Resource::join:
    case Resource::leader:
      return kAdminBodySizeMax;
    default:
      return 0;
  }
}

// --- assembling a response ---

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  append_field_value(out, value);
  out += "\r\n";
}
void append_field(std::string& out, std::string_view name, std::uint64_t value) {
  out += name;
  out += ": ";
  append_number(out, value);
  out += "\r\n";
}

void append_raft_fields(std::string& out, replica::Index index, replica::Term term,
                        std::string_view leader, std::string_view node) {
  append_field(out, "X-Raft-Index", index.value);
  append_field(out, "X-Raft-Term", term.value);
  append_field(out, "X-Raft-Leader", leader);
  append_field(out, "X-Raft-Node", node);
}

void set_body(HttpResponse& response, std::string_view content_type, std::string body) {
  append_field(response.fields, "Content-Type", content_type);
  response.body = std::move(body);
  response.content_length = response.body.size();
}

void drop_body_for_head(HttpResponse& response, bool head) {
  if (head) response.body.clear();
}

struct Problem {
  const ProblemKind& kind;
  int status;
  std::string_view detail;
  std::optional<Effect> effect;
  std::optional<replica::LeaderHint> leader;
};

void set_problem(HttpResponse& response, const Problem& problem) {
  response.status = problem.status;
  if (problem.status == 503) append_field(response.fields, "Retry-After", 1);
  set_body(response, kProblemJson,
           problem_document(problem.kind, problem.status, problem.detail, problem.effect,
                            problem.leader));
}

// An answer that never reaches the Host.
HttpResponse local_response(NodeView& node, int status) {
  const NodeSummary summary = node.summary();
  HttpResponse response;
  response.status = status;
  response.fields.reserve(256);
  append_raft_fields(response.fields, summary.index, summary.term, summary.leader, summary.node);
  return response;
}

HttpResponse local_problem(NodeView& node, std::string_view code, std::string_view detail,
                           std::optional<Effect> effect) {
  const ProblemKind& kind = problem_kind(code);
  HttpResponse response = local_response(node, kind.status);
  set_problem(response, {kind, kind.status, detail, effect, std::nullopt});
  return response;
}

HttpResponse refusal_response(NodeView& node, const HttpRequest& request, const Refusal& refusal) {
  const auto effect = is_read(request.method) ? std::nullopt : std::optional(Effect::not_applied);
  HttpResponse response = local_problem(node, refusal.code, refusal.detail, effect);
  if (!refusal.allow.empty()) append_field(response.fields, "Allow", refusal.allow);
  drop_body_for_head(response, request.method == "HEAD");
  return response;
}

// --- requests to the node ---

using Parsed = std::expected<replica::Request, Refusal>;

std::unexpected<Refusal> refusal(std::string_view code, std::string detail) {
  return std::unexpected(Refusal{code, std::move(detail), {}});
}

std::expected<void, Refusal> check_body_size(const RouterOptions& options, const Resolved& resolved,
                                             std::uint64_t size) {
  const std::size_t limit = body_size_max_of(options, resolved);
  if (size <= limit) return {};
  if (limit == 0) return refusal("bad_body", "this request takes no body");
  return refusal("body_too_large",
                 "the body must have at most " + std::to_string(limit) + " bytes");
}

Parsed parse_set(const RouterOptions& options, std::string_view body) {
  auto members = parse_json_members(body);
  if (!members) return refusal("bad_body", members.error());
  for (const auto& [key, value] : *members) {
    if (key.empty() || key.size() > kv::kKeySizeMax) {
      return refusal("bad_key", "a key must have 1 to 2048 bytes");
    }
    if (value.size() > options.value_size_max) {
      return refusal("body_too_large", "a value must have at most " +
                                           std::to_string(options.value_size_max) + " bytes");
    }
  }
  return replica::Write{kv::encode(kv::Set{std::move(*members)})};
}

bool is_member_name(std::string_view name) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  return !name.empty() && name.size() <= kNameSizeMax && std::ranges::all_of(name, good);
}

std::optional<raft::InstanceId> parse_instance(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (text.size() != 16 || error != std::errc() || end != text.data() + text.size() || value == 0) {
    return std::nullopt;
  }
  return raft::InstanceId(value);
}

std::expected<void, Refusal> take_join_member(replica::Join& join, std::string_view name,
                                              std::string& value) {
  if (name == "id") {
    join.name = std::move(value);
  } else if (name == "httpAddr") {
    join.http_address = std::move(value);
  } else if (name == "raftAddr") {
    join.raft_address = std::move(value);
  } else if (name == "instance") {
    const auto instance = parse_instance(value);
    if (!instance) return refusal("bad_body", "instance must be 16 hexadecimal digits, not all 0");
    join.instance = *instance;
  } else {
    return refusal("bad_body", "the members are id, httpAddr, raftAddr and, optional, instance");
  }
  return {};
}

Parsed parse_join(std::string_view body) {
  auto members = parse_json_members(body);
  if (!members) return refusal("bad_body", members.error());
  replica::Join join;
  for (auto& [name, value] : *members) {
    const auto taken = take_join_member(join, name, value);
    if (!taken) return std::unexpected(taken.error());
  }
  if (!is_member_name(join.name)) {
    return refusal("bad_body", "id must be 1 to 64 letters, digits and -_.");
  }
  for (const std::string& address : {join.http_address, join.raft_address}) {
    if (address.size() > kAddressSizeMax || !is_host_and_port(address)) {
      return refusal("bad_body", "httpAddr and raftAddr must be HOST:PORT");
    }
  }
  return join;
}

Parsed parse_transfer(std::string_view body) {
  auto members = parse_json_members(body);
  if (!members) return refusal("bad_body", members.error());
  if (members->size() != 1 || members->front().first != "id") {
    return refusal("bad_body", "the only member is id");
  }
  return replica::Transfer{std::move(members->front().second)};
}

Parsed parse_request(const RouterOptions& options, Resolved& resolved, std::string_view body) {
  switch (resolved.resource) {
    case Resource::keys:
      return parse_set(options, body);
    case Resource::key:
      if (resolved.verb == Verb::get) return replica::Read{resolved.name, resolved.level};
      if (resolved.verb == Verb::put) {
        return replica::Write{kv::encode_set(resolved.name, body)};
      }
      return replica::Write{kv::encode(kv::Delete{resolved.name})};
    case Resource::join:
      return parse_join(body);
    case Resource::leader:
      return parse_transfer(body);
    case Resource::member:
      return replica::Remove{std::move(resolved.name)};
    case Resource::members:
      return replica::GetMembers{};
    case Resource::backup:
      return replica::Barrier{resolved.level};
    default:
      return replica::GetStatus{};
  }
}

Kind kind_of(const Resolved& resolved) {
  switch (resolved.resource) {
    case Resource::keys:
      return Kind::set;
    case Resource::key:
      if (resolved.verb == Verb::get) return Kind::read;
      return resolved.verb == Verb::put ? Kind::set : Kind::remove_key;
    case Resource::join:
      return Kind::join;
    case Resource::leader:
      return Kind::transfer;
    case Resource::member:
      return Kind::remove_member;
    case Resource::members:
      return Kind::members;
    case Resource::ready:
      return Kind::ready;
    case Resource::backup:
      return Kind::backup;
    default:
      return Kind::status;
  }
}

Context context_of(Resolved&& resolved, std::string_view target) {
  Context context;
  context.kind = kind_of(resolved);
  context.head = resolved.head;
  context.raw = resolved.raw;
  context.stale = resolved.level == replica::Level::stale;
  context.key = std::move(resolved.name);
  context.target = target;
  return context;
}

// --- replies to responses ---

bool changes_something(Kind kind) {
  switch (kind) {
    case Kind::set:
    case Kind::remove_key:
    case Kind::join:
    case Kind::remove_member:
    case Kind::transfer:
      return true;
    default:
      return false;
  }
}

// Renders one kind of answer each; an answer that does not fit the request (a follower passes on
// what a peer sent) becomes a problem.
class Responding {
 public:
  Responding(const RouterOptions& options, const Context& context, replica::Reply& reply)
      : options_(options), context_(context), reply_(reply) {}

  HttpResponse run() && {
    response_.fields.reserve(256);
    append_raft_fields(response_.fields, reply_.index, reply_.term,
                       reply_.leader ? std::string_view(reply_.leader->name) : "", reply_.node);
    if (context_.stale && reply_.last_contact_ms) {
      append_field(response_.fields, "X-Raft-Last-Contact",
                   static_cast<std::uint64_t>(std::max<std::int64_t>(*reply_.last_contact_ms, 0)));
    }
    std::visit([this](auto& answer) { on(answer); }, reply_.answer);
    drop_body_for_head(response_, context_.head);
    return std::move(response_);
  }

 private:
  void on(const replica::Written& written) {
    if (context_.kind != Kind::set && context_.kind != Kind::remove_key) return misfit();
    ok(render_written(written, context_.kind == Kind::remove_key));
  }
  void on(replica::ReadResult& result) {
    if (context_.kind == Kind::backup && !result.value) return begin_body();
    if (context_.kind != Kind::read) return misfit();
    if (!result.value) return local("no_such_key", "the key is not there");
    append_field(response_.fields, "ETag", '"' + std::to_string(result.value->index) + '"');
    append_field(response_.fields, "Cache-Control", "no-store");
    if (context_.raw) {
      response_.status = 200;
      return set_body(response_, kBytes, std::move(result.value->bytes));
    }
    if (!is_utf8(result.value->bytes)) {
      return local("not_utf8", "the value is not UTF-8: ask with ?raw for its bytes");
    }
    ok(render_value(context_.key, result.value->bytes));
  }
  void on(const replica::Members& members) {
    if (context_.kind != Kind::members) return misfit();
    ok(render_members(members));
  }
  void on(const replica::Joined& joined) {
    if (context_.kind != Kind::join) return misfit();
    ok(render_joined(joined));
  }
  void on(const replica::Removed& removed) {
    if (context_.kind != Kind::remove_member) return misfit();
    ok(render_index(removed.index));
  }
  void on(const replica::Transferred& transferred) {
    if (context_.kind != Kind::transfer) return misfit();
    ok(render_transferred(transferred));
  }
  void on(const replica::NodeStatus& status) {
    if (context_.kind == Kind::ready) {
      if (!status.ready) return local("not_ready", status.not_ready);
      return ok(R"({"ready":true})");
    }
    if (context_.kind != Kind::status) return misfit();
    ok(render_status(status, reply_.leader, options_.version));
  }
  void on(const replica::Failed& failed) {
    const ProblemKind& kind = problem_kind(code_of(failed.problem));
    int status = kind.status;
    if (failed.problem == replica::Problem::not_leader && reply_.leader &&
        !reply_.leader->http_address.empty()) {
      status = 307;
      append_field(response_.fields, "Location",
                   "http://" + reply_.leader->http_address + context_.target);
    }
    problem(kind, status, failed.detail, failed.effect);
  }

  // Each of a backup's bytes counts, and it is never the same again.
  void begin_body() {
    response_.status = 200;
    response_.body_follows = true;
    append_field(response_.fields, "Content-Type", kBytes);
    append_field(response_.fields, "Cache-Control", "no-store");
  }
  void ok(std::string json) {
    response_.status = 200;
    set_body(response_, kJson, std::move(json));
  }
  // Only for requests that change nothing, or whose answer says nothing about it.
  void local(std::string_view code, std::string_view detail) {
    const ProblemKind& kind = problem_kind(code);
    problem(kind, kind.status, detail, Effect::unknown);
  }
  void misfit() { local("internal", "the answer does not fit the request"); }
  void problem(const ProblemKind& kind, int status, std::string_view detail, Effect effect) {
    const auto outcome = changes_something(context_.kind) ? std::optional(effect) : std::nullopt;
    set_problem(response_, {kind, status, detail, outcome, reply_.leader});
  }

  const RouterOptions& options_;
  const Context& context_;
  replica::Reply& reply_;
  HttpResponse response_;
};

}  // namespace

std::optional<std::string_view> HttpResponse::field(std::string_view name) const {
  std::string_view lines = fields;
  while (!lines.empty()) {
    std::string_view value = cut(lines, '\n');
    if (equals_ignoring_case(cut(value, ':'), name)) {
      value.remove_suffix(value.ends_with('\r') ? 1 : 0);
      return trimmed(value);
    }
  }
  return std::nullopt;
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 307:
      return "Temporary Redirect";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

Router::Router(RouterOptions options, NodeView& node) : options_(std::move(options)), node_(node) {}

std::variant<HttpResponse, Routed> Router::route(const HttpRequest& request) const {
  auto resolved = resolve(request, options_.target_size_max);
  if (!resolved) return refusal_response(node_, request, resolved.error());
  const auto fits = check_body_size(options_, *resolved, request.body.size());
  if (!fits) return refusal_response(node_, request, fits.error());
  if (resolved->resource == Resource::live || resolved->resource == Resource::metrics) {
    HttpResponse response = local_response(node_, 200);
    if (resolved->resource == Resource::live) {
      set_body(response, kJson, R"({"live":true})");
    } else {
      set_body(response, "text/plain; version=0.0.4; charset=utf-8", node_.metrics());
    }
    drop_body_for_head(response, resolved->head);
    return response;
  }
  const bool reads_json =
      resolved->resource == Resource::key && resolved->verb == Verb::get && !resolved->raw;
  if (reads_json && !is_utf8(resolved->name)) {
    return refusal_response(
        node_, request,
        {"not_utf8", "the key is not UTF-8 and has no JSON form: ask with ?raw for the bytes", {}});
  }
  Parsed parsed = parse_request(options_, *resolved, request.body);
  if (!parsed) return refusal_response(node_, request, parsed.error());
  return Routed{std::move(*parsed), context_of(std::move(*resolved), request.target)};
}

std::optional<HttpResponse> Router::refuse_early(
    const HttpRequest& request, std::optional<std::uint64_t> content_length) const {
  const auto resolved = resolve(request, options_.target_size_max);
  if (!resolved) return refusal_response(node_, request, resolved.error());
  const auto fits = check_body_size(options_, *resolved, content_length.value_or(0));
  if (!fits) return refusal_response(node_, request, fits.error());
  return std::nullopt;
}

std::size_t Router::body_size_max(const HttpRequest& request) const {
  const auto resolved = resolve(request, options_.target_size_max);
  return resolved ? body_size_max_of(options_, *resolved) : 0;
}

HttpResponse Router::respond(const Context& context, replica::Reply&& reply) const {
  return Responding(options_, context, reply).run();
}

HttpResponse Router::refuse(std::string_view code, std::string_view detail) const {
  return local_problem(node_, code, detail, Effect::not_applied);
}

}  // namespace raftkv::http
