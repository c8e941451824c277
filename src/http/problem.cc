#include "src/http/problem.h"

#include <algorithm>
#include <array>

#include "src/base/check.h"
#include "src/http/text.h"

namespace raftkv::http {
namespace {

// Of a document but for its detail.
constexpr std::size_t kUsualSize = 300;

constexpr std::array kKinds = {
    // What the request itself got wrong.
    ProblemKind{"bad_request", 400, "The request is not framed as HTTP/1.1 demands"},
    ProblemKind{"bad_target", 400, "The request target is not a valid path and query"},
    ProblemKind{"bad_parameter", 400,
                "A query parameter is unknown, repeated or has a wrong value"},
    ProblemKind{"bad_key", 400, "The key is empty or too long"},
    ProblemKind{"bad_body", 400, "The body is not what this request takes"},
    ProblemKind{"no_such_resource", 404, "There is nothing under this path"},
    ProblemKind{"no_such_key", 404, "The key is not there"},
    ProblemKind{"method_not_allowed", 405, "The method is not for this path"},
    ProblemKind{"not_acceptable", 406, "No form of the answer is acceptable to the client"},
    ProblemKind{"not_utf8", 406, "The key or the value is not UTF-8 and has no JSON form"},
    ProblemKind{"request_timeout", 408, "The request did not arrive in time"},
    ProblemKind{"body_too_large", 413, "The body or a value in it is too large"},
    ProblemKind{"target_too_long", 414, "The request target is too long"},
    ProblemKind{"unsupported_encoding", 415, "Encoded bodies are not taken"},
    ProblemKind{"expectation_failed", 417, "The expectation cannot be met"},
    ProblemKind{"header_too_large", 431, "The header is too large"},
    ProblemKind{"unsupported_condition", 501, "Conditional and partial writes are not supported"},
    ProblemKind{"unsupported_version", 505, "Only HTTP/1.0 and HTTP/1.1 are spoken"},
    // What the node could not do.
    ProblemKind{"not_leader", 503, "Another node has to answer this"},
    ProblemKind{"timeout", 504, "No answer in time"},
    ProblemKind{"leadership_lost", 504, "The leader lost its leadership on the way"},
    ProblemKind{"busy", 503, "The node has too much to do"},
    ProblemKind{"not_ready", 503, "The node is not ready"},
    ProblemKind{"change_under_way", 503, "Another change of the configuration is under way"},
    ProblemKind{"transferring", 503, "The leader is handing its leadership over"},
    ProblemKind{"address_taken", 409, "The address belongs to another member"},
    ProblemKind{"name_taken", 409, "The id belongs to another node that is alive"},
    ProblemKind{"removed_instance", 410, "This node was removed from the cluster"},
    ProblemKind{"unknown_member", 404, "There is no member with this id"},
    ProblemKind{"last_voter", 409, "The last voter cannot be removed"},
    ProblemKind{"not_voter", 409, "The member is no voter"},
    ProblemKind{"too_many_members", 409, "The cluster has as many members as it can have"},
    ProblemKind{"transfer_failed", 504, "The leadership was not taken over"},
    ProblemKind{"stopping", 503, "The node is on its way out"},
    ProblemKind{"internal", 500, "Something that should not happen has happened"},
};

}  // namespace

std::span<const ProblemKind> problem_kinds() {
  return kKinds;
}

const ProblemKind& problem_kind(std::string_view code) {
  const auto found = std::ranges::find(kKinds, code, &ProblemKind::code);
  CHECK(found != kKinds.end(), "a problem without a row in the table");
  return *found;
}

std::string_view code_of(replica::Problem problem) {
  using enum replica::Problem;
  switch (problem) {
    case not_leader:
      return "not_leader";
    case timeout:
      return "timeout";
    case leadership_lost:
      return "leadership_lost";
    case busy:
      return "busy";
    case not_ready:
      return "not_ready";
    case change_under_way:
      return "change_under_way";
    case transferring:
      return "transferring";
    case address_taken:
      return "address_taken";
    case name_taken:
      return "name_taken";
    case removed_instance:
      return "removed_instance";
    case unknown_member:
      return "unknown_member";
    case last_voter:
      return "last_voter";
    case not_voter:
      return "not_voter";
    case too_many_members:
      return "too_many_members";
    case transfer_failed:
      return "transfer_failed";
    case stopping:
      return "stopping";
    case internal:
      return "internal";
  }
  return "internal";  // a number from a newer node
}

std::string problem_document(const ProblemKind& kind, int status, std::string_view detail,
                             std::optional<replica::Effect> effect,
                             const std::optional<replica::LeaderHint>& leader) {
  std::string out;
  out.reserve(kUsualSize + detail.size());
  out += R"({"type":"urn:raft-kv:problem:)";
  out += kind.code;
  out += R"(","title":)";
  append_json_string(out, kind.title);
  out += R"(,"status":)";
  append_number(out, static_cast<std::uint64_t>(status));
  out += R"(,"code":)";
  append_json_string(out, kind.code);
  out += R"(,"detail":)";
  append_json_text(out, detail.empty() ? kind.title : detail);
  if (effect) {
    out += R"(,"outcome":)";
    append_json_string(out, *effect == replica::Effect::not_applied ? "not_applied" : "unknown");
  }
  if (leader) {
    out += R"(,"leader":{"id":)";
    append_json_text(out, leader->name);
    out += R"(,"httpAddr":)";
    append_json_text(out, leader->http_address);
    out += '}';
  }
  out += '}';
  return out;
}

}  // namespace raftkv::http
