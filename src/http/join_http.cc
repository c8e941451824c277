#include "src/http/join_http.h"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <charconv>
#include <optional>

#include "src/base/bytes.h"
#include "src/http/router.h"
#include "src/http/text.h"

namespace raftkv::http {
namespace {

namespace json = boost::json;

void append_member(std::string& out, std::string_view name, std::string_view value) {
  out += out.empty() ? '{' : ',';
  append_json_string(out, name);
  out += ':';
  append_json_text(out, value);
}

// The object that `body` is; empty if it is none.
json::object parse_object(std::string_view body) {
  json::error_code error;
  json::value value = json::parse(json::string_view(body.data(), body.size()), error);
  return error || !value.is_object() ? json::object() : std::move(value.get_object());
}

std::string_view text_member(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || !value->is_string()) return {};
  return {value->get_string().data(), value->get_string().size()};
}

std::optional<std::uint64_t> parse_hex(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (text.size() != 16 || error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

replica::JoinAnswer accepted(std::string_view body) {
  const json::object object = parse_object(body);
  const auto cluster = parse_hex(text_member(object, "cluster"));
  const json::value* member = object.if_contains("member");
  const std::int64_t* number = member == nullptr ? nullptr : member->if_int64();
  if (!cluster || *cluster == 0 || number == nullptr || *number <= 0) {
    return replica::JoinRetry{"an answer that names no cluster and member"};
  }
  return replica::JoinAccepted{raft::ClusterId(*cluster),
                               raft::MemberId(static_cast<std::uint64_t>(*number))};
}

replica::JoinAnswer redirected(std::string_view location) {
  constexpr std::string_view kScheme = "http://";
  if (location.starts_with(kScheme)) {
    location.remove_prefix(kScheme.size());
    const std::string_view address = cut(location, '/');
    if (is_host_and_port(address)) return replica::JoinRedirected{std::string(address)};
  }
  return replica::JoinRetry{"a redirect to no address"};
}

// What a problem document says, or at least its status.
std::string reason_of(int status, std::string_view body) {
  const json::object problem = parse_object(body);
  const std::string_view detail = text_member(problem, "detail");
  const std::string answer = std::to_string(status) + " " + std::string(reason_phrase(status));
  return detail.empty() ? answer : std::string(detail) + " (" + answer + ")";
}

}  // namespace

std::string join_body(const replica::Join& request) {
  std::string out;
  append_member(out, "id", request.name);
  append_member(out, "httpAddr", request.http_address);
  append_member(out, "raftAddr", request.raft_address);
  if (request.instance) append_member(out, "instance", to_hex(request.instance.value));
  out += '}';
  return out;
}

replica::JoinAnswer join_answer(int status, std::string_view location, std::string_view body) {
  if (status == 200) return accepted(body);
  if (status == 307 || status == 308) return redirected(location);
  // A wiped node comes back faster than the cluster notices that its old instance is gone.
  const json::object problem = parse_object(body);
  const bool name_taken = text_member(problem, "code") == "name_taken";
  const bool may_pass =
      name_taken || status < 400 || status == 408 || status == 429 || status >= 500;
  if (may_pass) return replica::JoinRetry{reason_of(status, body)};
  return replica::JoinRefused{reason_of(status, body)};
}

}  // namespace raftkv::http
