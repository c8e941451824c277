// One request to whoever leads: tries the endpoints in turn, follows redirects, tries again what
// certainly did not happen, and never hides that something may have happened.
#pragma once

#include <string>
#include <variant>

#include "src/app/client.h"

namespace raftkv::app {

// Nobody could be made to answer.
struct Unreachable {
  std::string why;
};
// The request was sent and no answer came.
struct NoAnswer {
  std::string why;
};
using CallResult = std::variant<http::ClientResponse, Unreachable, NoAnswer>;

// Whether doing it twice is harmless: then it is tried again also after a connection broke.
enum class Repeatable { no, yes };

// Gives back any answer that is final: not a redirect, not "try again" (503).
[[nodiscard]] CallResult call_leader(const ClientOptions& options, const ClientWorld& world,
                                     const http::ClientRequest& request, Repeatable repeatable);

// What a problem document says (RFC 9457); the body itself where it is none.
struct ProblemText {
  std::string code;
  std::string detail;
  std::string outcome;  // not_applied, unknown, or empty
};
[[nodiscard]] ProblemText problem_of(const http::ClientResponse& response);

// HOST:PORT of a Location field; empty if it has none that can be used.
[[nodiscard]] std::string address_of_location(std::string_view location);

}  // namespace raftkv::app
