// What a request names: one of the resources of docs/api.md with its parameters. Pure syntax;
// nothing here knows a node.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "src/http/router.h"

namespace raftkv::http {

enum class Resource : std::uint8_t {
  keys,     // /key
  key,      // /key/K
  join,     // /join
  members,  // /members
  member,   // /members/ID
  leader,   // /leader
  status,
  live,
  ready,
  metrics,
  backup,
};
enum class Verb : std::uint8_t { get, put, post, remove, other };  // HEAD is get with `head`

struct Resolved {
  Resource resource = Resource::status;
  Verb verb = Verb::get;
  bool head = false;
  std::string name;  // the key, or the id of a member; decoded
  replica::Level level = replica::Level::default_;
  bool raw = false;  // asked for by ?raw or Accept
};

// Why a request is refused. The code is one of problem_kinds().
struct Refusal {
  std::string_view code;
  std::string detail;
  std::string_view allow;  // the methods of the resource, for method_not_allowed
};

// Everything about a request but its body.
[[nodiscard]] std::expected<Resolved, Refusal> resolve(const HttpRequest& request,
                                                       std::size_t target_size_max);

// True for the methods that change nothing: their problem documents say nothing of an outcome.
[[nodiscard]] bool is_read(std::string_view method);

}  // namespace raftkv::http
