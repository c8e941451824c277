#include "src/app/client.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <optional>
#include <thread>

#include "src/app/leader_call.h"
#include "src/app/table.h"

namespace raftkv::app {
namespace {

namespace json = boost::json;

// A node that does not answer must not hold up a table for long.
constexpr Duration kStatusTimeout = 2s;

Said done(std::string out) {
  return {.exit_code = kDone, .out = std::move(out), .err = {}};
}
Said failed(int exit_code, std::string_view sentence) {
  return {.exit_code = exit_code, .out = {}, .err = fmt::format("raftkv: {}\n", sentence)};
}

// What a final answer other than the hoped-for one comes to.
Said refused(const http::ClientResponse& response) {
  const ProblemText problem = problem_of(response);
  if (problem.outcome == "unknown") {
    return failed(kUnknown,
                  fmt::format("the outcome is unknown, it may have happened or may happen yet: {}",
                              problem.detail));
  }
  if (response.status == 504) return failed(kUnreachable, problem.detail);
  return failed(kRefused, problem.detail.empty()
                              ? fmt::format("refused with status {}", response.status)
                              : problem.detail);
}

// Hands a 200 to `use`; all else is said.
template <typename Use>
Said answer_of(const CallResult& result, Use use) {
  if (const auto* unreachable = std::get_if<Unreachable>(&result)) {
    return failed(kUnreachable, fmt::format("no leader could be reached: {}", unreachable->why));
  }
  if (const auto* no_answer = std::get_if<NoAnswer>(&result)) {
    return failed(kUnknown,
                  fmt::format("the outcome is unknown, it may have happened or may happen yet: {}",
                              no_answer->why));
  }
  const auto& response = std::get<http::ClientResponse>(result);
  return response.status == 200 ? use(response) : refused(response);
}

http::ClientRequest request_of(std::string method, std::string target, std::string body = {}) {
  return {.method = std::move(method),
          .target = std::move(target),
          .fields = {},
          .body = std::move(body)};
}

std::string key_target(const std::string& key) {
  return "/key/" + percent_encode(key);
}

json::object object_of(const http::ClientResponse& response) {
  boost::system::error_code error;
  json::value parsed = json::parse(response.body, error);
  return !error && parsed.is_object() ? std::move(parsed.as_object()) : json::object();
}

// A member of an object as text; "-" where there is none.
std::string cell(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return "-";
  if (value->is_string()) return std::string(value->as_string());
  return json::serialize(*value);
}

struct Commands {
  const ClientOptions& options;
  const ClientWorld& world;

  CallResult call(const http::ClientRequest& request, Repeatable repeatable) const {
    return call_leader(options, world, request, repeatable);
  }

  Said operator()(const Get& get) const {
    const auto request = request_of("GET", key_target(get.key) + "?raw&level=" + get.level);
    const CallResult result = call(request, Repeatable::yes);
    if (const auto* response = std::get_if<http::ClientResponse>(&result);
        response && response->status == 404) {
      return failed(kNotFound, "there is no such key");
    }
    return answer_of(result, [&](const http::ClientResponse& response) {
      return done(response.body + (world.terminal ? "\n" : ""));
    });
  }

  Said operator()(const Set& set) const {
    return answer_of(call(request_of("PUT", key_target(set.key), set.value), Repeatable::no),
                     [](const auto&) { return done(""); });
  }

  Said operator()(const Del& del) const {
    return answer_of(
        call(request_of("DELETE", key_target(del.key)), Repeatable::no), [](const auto& response) {
          const json::object object = object_of(response);
          const json::value* deleted = object.if_contains("deleted");
          const bool was_there = deleted != nullptr && deleted->is_bool() && deleted->as_bool();
          return was_there ? done("") : failed(kNotFound, "there was no such key");
        });
  }

  Said operator()(const RemoveMember& remove) const {
    return answer_of(
        call(request_of("DELETE", "/members/" + percent_encode(remove.id)), Repeatable::no),
        [](const auto&) { return done(""); });
  }

  Said operator()(const TransferLeader& transfer) const {
    const std::string body = json::serialize(json::object{{"id", transfer.id}});
    return answer_of(call(request_of("POST", "/leader", body), Repeatable::no),
                     [](const auto&) { return done(""); });
  }

  Said operator()(const ShowMembers& show) const;
  Said operator()(const ShowStatus& show) const;
  CallResult members_of_leader() const;
};

// Any node knows the members; only the leader knows how far they are.
CallResult Commands::members_of_leader() const {
  const auto request = request_of("GET", "/members");
  CallResult result = call(request, Repeatable::yes);
  const auto* response = std::get_if<http::ClientResponse>(&result);
  if (response == nullptr || response->status != 200) return result;
  const json::object answer = object_of(*response);
  const json::value* members = answer.if_contains("members");
  if (members == nullptr || !members->is_array()) return result;
  for (const json::value& member : members->as_array()) {
    const json::value* leader =
        member.is_object() ? member.as_object().if_contains("leader") : nullptr;
    if (leader == nullptr || !leader->is_bool() || !leader->as_bool()) continue;
    if (auto better = world.send(cell(member.as_object(), "httpAddr"), request, kStatusTimeout);
        better && better->status == 200) {
      return std::move(*better);
    }
  }
  return result;
}

Said Commands::operator()(const ShowMembers& show) const {
  return answer_of(members_of_leader(), [&](const http::ClientResponse& response) {
    if (show.json) return done(response.body + "\n");
    Table table({"ID", "MEMBER", "ROLE", "HTTP", "RAFT", "MATCH", "LAG", "CONTACT"});
    const json::object answer = object_of(response);
    const json::value* members = answer.if_contains("members");
    if (members == nullptr || !members->is_array())
      return failed(kRefused, "the answer cannot be understood");
    for (const json::value& value : members->as_array()) {
      if (!value.is_object()) continue;
      const json::object& member = value.as_object();
      const bool leads = cell(member, "leader") == "true";
      const std::string contact = cell(member, "lastContactMs");
      table.add({cell(member, "id"), cell(member, "member"),
                 leads ? "leader" : cell(member, "role"), cell(member, "httpAddr"),
                 cell(member, "raftAddr"), cell(member, "match"), cell(member, "lag"),
                 contact == "-" ? "-" : contact + " ms"});
    }
    return done(table.text());
  });
}

Said Commands::operator()(const ShowStatus& show) const {
  Table table(
      {"ENDPOINT", "ID", "ROLE", "TERM", "LEADER", "COMMIT", "APPLIED", "DIGEST", "VERSION"});
  std::string all;
  std::string unreachable;
  std::size_t answered = 0;
  for (const std::string& endpoint : options.endpoints) {
    const auto response = world.send(endpoint, request_of("GET", "/status"),
                                     std::min(options.timeout, kStatusTimeout));
    if (!response || response->status != 200) {
      const std::string why =
          response ? problem_of(*response).detail : response.error().error.message;
      unreachable += fmt::format("raftkv: {}: {}\n", endpoint, why);
      continue;
    }
    ++answered;
    const json::object status = object_of(*response);
    const json::value* leader = status.if_contains("leader");
    table.add({endpoint, cell(status, "id"), cell(status, "role"), cell(status, "term"),
               leader != nullptr && leader->is_object() ? cell(leader->as_object(), "id") : "-",
               cell(status, "commitIndex"), cell(status, "appliedIndex"), cell(status, "digest"),
               cell(status, "version")});
    all += (all.empty() ? "" : ",") + response->body;
  }
  return {.exit_code = answered == options.endpoints.size() ? kDone : kUnreachable,
          .out = show.json      ? "[" + all + "]\n"
                 : answered > 0 ? table.text()
                                : "",
          .err = unreachable};
}

}  // namespace

std::string percent_encode(std::string_view key) {
  constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";  // RFC 3986, 2.3
  std::string out;
  for (const char c : key) {
    if (kPlain.find(c) != std::string_view::npos) {
      out.push_back(c);
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

ClientWorld real_client_world() {
  return {.send =
              [](const std::string& address, const http::ClientRequest& request, Duration timeout) {
                http::ClientOptions options;
                options.timeout = timeout;
                options.connect_timeout = std::min(options.connect_timeout, timeout);
                return http::send_request(address, request, options);
              },
          .download =
              [](const std::string& address, const http::ClientRequest& request, Duration timeout,
                 const http::Sink& sink) {
                http::ClientOptions options;
                options.timeout = timeout;
                options.connect_timeout = std::min(options.connect_timeout, timeout);
                return http::download(address, request, options, sink);
              },
          .now =
              [] {
                const auto now = std::chrono::steady_clock::now().time_since_epoch();
                return Time(std::chrono::duration_cast<Duration>(now));
              },
          .pause = [](Duration time) { std::this_thread::sleep_for(time); },
          .progress = [](const std::string& line) { fmt::print(stderr, "{}\n", line); },
          .terminal = ::isatty(STDOUT_FILENO) == 1};
}

Said run_client(const ClientCommand& command, const ClientWorld& world) {
  return std::visit(Commands{.options = command.options, .world = world}, command.verb);
}

}  // namespace raftkv::app
