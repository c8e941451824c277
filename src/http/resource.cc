#include "src/http/resource.h"

#include <algorithm>
#include <array>
#include <optional>

#include "src/http/text.h"
#include "src/kv/command.h"

namespace raftkv::http {
namespace {

std::unexpected<Refusal> refusal(std::string_view code, std::string detail) {
  return std::unexpected(Refusal{code, std::move(detail), {}});
}
using Accepted = std::expected<void, Refusal>;

Verb verb_of(std::string_view method) {
  if (is_read(method)) return Verb::get;
  if (method == "PUT") return Verb::put;
  if (method == "POST") return Verb::post;
  if (method == "DELETE") return Verb::remove;
  return Verb::other;
}

// A path, or the beginning of one, and what it takes.
struct Route {
  std::string_view path;
  bool prefix;  // something follows: a key, an id
  Resource resource;
  std::string_view allow;
};
constexpr std::array kRoutes = {
    Route{"/key/", true, Resource::key, "GET, HEAD, PUT, DELETE"},
    Route{"/key", false, Resource::keys, "POST"},
    Route{"/join", false, Resource::join, "POST"},
    Route{"/members", false, Resource::members, "GET, HEAD"},
    Route{"/members/", true, Resource::member, "DELETE"},
    Route{"/leader", false, Resource::leader, "POST"},
    Route{"/status", false, Resource::status, "GET, HEAD"},
    Route{"/livez", false, Resource::live, "GET, HEAD"},
    Route{"/readyz", false, Resource::ready, "GET, HEAD"},
    Route{"/metrics", false, Resource::metrics, "GET, HEAD"},
    Route{"/backup", false, Resource::backup, "GET"},
};

const Route* route_of(std::string_view path) {
  const auto found = std::ranges::find_if(kRoutes, [&](const Route& route) {
    return route.prefix ? path.starts_with(route.path) : path == route.path;
  });
  return found == kRoutes.end() ? nullptr : &*found;
}

bool allows(const Route& route, std::string_view method) {
  std::string_view methods = route.allow;
  while (!methods.empty()) {
    if (trimmed(cut(methods, ',')) == method) return true;
  }
  return false;
}

Accepted take_key(std::string_view escaped, Resolved& out) {
  out.name = *percent_decoded(escaped);  // the target's escapes are whole
  if (out.name.empty()) return refusal("bad_key", "the key is empty: it must have 1 to 2048 bytes");
  if (out.name.size() > kv::kKeySizeMax) {
    return refusal("bad_key", "the key has " + std::to_string(out.name.size()) +
                                  " bytes: it must have 1 to 2048");
  }
  return {};
}

Accepted take_member(std::string_view escaped, Resolved& out) {
  out.name = *percent_decoded(escaped);
  if (out.name.empty() || escaped.find('/') != std::string_view::npos) {
    return refusal("no_such_resource", "the path is /members/ID with the id of a member");
  }
  return {};
}

std::optional<replica::Level> level_of(std::string_view text) {
  if (text == "default") return replica::Level::default_;
  if (text == "consistent") return replica::Level::consistent;
  if (text == "stale") return replica::Level::stale;
  return std::nullopt;
}

// ?level=… and ?raw, each at most once, and only where a key is read; a backup has a level, too.
Accepted take_parameters(std::string_view query, Resolved& out) {
  const bool read = out.resource == Resource::key && out.verb == Verb::get;
  const bool has_level = read || out.resource == Resource::backup;
  bool level_given = false;
  while (!query.empty()) {
    std::string_view value = cut(query, '&');
    const bool has_value = value.find('=') != std::string_view::npos;
    const std::string_view name = cut(value, '=');
    if (has_level && name == "level" && !level_given) {
      const auto level = level_of(value);
      if (!level) {
        return refusal("bad_parameter", "the level must be default, consistent or stale");
      }
      out.level = *level;
      level_given = true;
    } else if (read && name == "raw" && !out.raw) {
      if (has_value) return refusal("bad_parameter", "the parameter raw takes no value");
      out.raw = true;
    } else {
      return refusal("bad_parameter",
                     "this request takes no such parameter, or not twice: " + std::string(name));
    }
  }
  return {};
}

// The weight of an Accept element in thousandths (RFC 9110, 12.4.2); 0 for one that is malformed.
int weight_of(std::string_view parameters) {
  while (!parameters.empty()) {
    std::string_view value = trimmed(cut(parameters, ';'));
    if (!equals_ignoring_case(trimmed(cut(value, '=')), "q")) continue;
    value = trimmed(value);
    if (value.empty() || value.size() > 5 || (value[0] != '0' && value[0] != '1')) return 0;
    if (value.size() > 1 && value[1] != '.') return 0;
    int weight = value[0] == '1' ? 1000 : 0;
    int unit = 100;
    for (const char c : value.substr(std::min<std::size_t>(2, value.size()))) {
      if (c < '0' || c > '9') return 0;
      weight += (c - '0') * unit;
      unit /= 10;
    }
    return std::min(weight, 1000);
  }
  return 1000;
}

// How much the client wants application/json and the raw bytes, by the most specific range that
// covers each.
struct Preference {
  struct Weight {
    int specificity = -1;
    int weight = 0;
    void consider(int how_specific, int how_much) {
      if (how_specific <= specificity) return;
      specificity = how_specific;
      weight = how_much;
    }
  };
  Weight json;
  Weight bytes;

  void consider(std::string_view element) {
    const std::string_view range = trimmed(cut(element, ';'));
    const int weight = weight_of(element);
    if (equals_ignoring_case(range, "application/json")) {
      json.consider(2, weight);
    } else if (equals_ignoring_case(range, "application/octet-stream")) {
      bytes.consider(2, weight);
    } else if (equals_ignoring_case(range, "application/*")) {
      json.consider(1, weight);
      bytes.consider(1, weight);
    } else if (range == "*/*") {
      json.consider(0, weight);
      bytes.consider(0, weight);
    }
  }
};

Accepted take_accept(const HttpRequest& request, Resolved& out) {
  if (out.raw || out.resource != Resource::key || out.verb != Verb::get) return {};
  bool given = false;
  Preference preference;
  for (const Field& field : request.fields) {
    if (!equals_ignoring_case(field.name, "Accept") || trimmed(field.value).empty()) continue;
    given = true;
    std::string_view elements = field.value;
    while (!elements.empty()) preference.consider(cut(elements, ','));
  }
  if (!given) return {};
  if (preference.json.weight == 0 && preference.bytes.weight == 0) {
    return refusal("not_acceptable",
                   "a value comes as application/json or as application/octet-stream");
  }
  out.raw = preference.bytes.weight > preference.json.weight;
  return {};
}

Accepted check_fields(const HttpRequest& request) {
  for (const Field& field : request.fields) {
    const auto is = [&](std::string_view name) { return equals_ignoring_case(field.name, name); };
    if (is("Content-Encoding") && !equals_ignoring_case(field.value, "identity")) {
      return refusal("unsupported_encoding", "send the bytes as they are, without encoding");
    }
    if (is_read(request.method)) continue;
    if (is("If-Match") || is("If-None-Match") || is("If-Unmodified-Since") || is("If-Range") ||
        is("Content-Range")) {
      return refusal("unsupported_condition", "this server does not look at " +
                                                  std::string(field.name) +
                                                  ": it would have to ignore it");
    }
  }
  return {};
}

Accepted take_name(std::string_view path, const Route& route, Resolved& out) {
  const std::string_view name = path.substr(route.path.size());
  if (out.resource == Resource::key) return take_key(name, out);
  if (out.resource == Resource::member) return take_member(name, out);
  return {};
}

}  // namespace

bool is_read(std::string_view method) {
  return method == "GET" || method == "HEAD";
}

std::expected<Resolved, Refusal> resolve(const HttpRequest& request, std::size_t target_size_max) {
  if (request.target.size() > target_size_max) {
    return refusal("target_too_long",
                   "the target must have at most " + std::to_string(target_size_max) + " bytes");
  }
  if (!is_origin_form(request.target)) {
    return refusal("bad_target",
                   "the target must start with / and have every other byte than letters, digits "
                   "and -._~!$&'()*+,;=:@/? escaped as %XX");
  }
  std::string_view query = request.target;
  const std::string_view path = cut(query, '?');
  const Route* route = route_of(path);
  if (route == nullptr) {
    return refusal("no_such_resource",
                   "there are /key, /key/K, /members, /join, /leader, /status, /livez, /readyz, "
                   "/metrics and /backup");
  }
  if (!allows(*route, request.method)) {
    return std::unexpected(Refusal{"method_not_allowed",
                                   "this path takes " + std::string(route->allow), route->allow});
  }
  Resolved out;
  out.resource = route->resource;
  out.verb = verb_of(request.method);
  out.head = request.method == "HEAD";
  Accepted accepted = take_name(path, *route, out);
  if (accepted) accepted = take_parameters(query, out);
  if (accepted) accepted = check_fields(request);
  if (accepted) accepted = take_accept(request, out);
  if (!accepted) return std::unexpected(std::move(accepted).error());
  return out;
}

}  // namespace raftkv::http
