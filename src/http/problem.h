// Problem documents (RFC 9457): how every failure looks to a client. docs/api.md lists the codes; a
// test compares.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "src/http/router.h"
#include "src/replica/request.h"

namespace raftkv::http {

// One kind of failure. The same code has the same status everywhere, but for not_leader, which is a
// redirect where the leader is known.
struct ProblemKind {
  std::string_view code;
  int status;
  std::string_view title;
};

// All kinds, in the order of docs/api.md.
[[nodiscard]] std::span<const ProblemKind> problem_kinds();
// CHECKs that there is one with this code.
[[nodiscard]] const ProblemKind& problem_kind(std::string_view code);
[[nodiscard]] std::string_view code_of(replica::Problem problem);

// The document. `effect`: absent for a request that changes nothing.
[[nodiscard]] std::string problem_document(const ProblemKind& kind, int status,
                                           std::string_view detail,
                                           std::optional<replica::Effect> effect,
                                           const std::optional<replica::LeaderHint>& leader);

}  // namespace raftkv::http
