// From a violation to its core: the smallest sub-history that still cannot be explained.
//
// What may be left out, such that a sub-history that is not linearizable proves that the history is
// not:
// - an operation together with all that may have read from it (and so on, if those write), which
// leaves every other answer
//   as right or wrong as it was. One does not read from an operation if something that took effect
//   surely later had surely replaced its effect before; but the last one that could explain an
//   answer stays as long as the answer does;
// - all that had returned at a moment at which, in every order, the state is the initial one and
// nothing that is under way
//   has taken effect;
// - that an operation returned (it is weakened: its end becomes info).
// Minimal: neither the first nor the last can be done to any one operation and leave a sub-history
// that is not linearizable.
#pragma once

#include <span>
#include <vector>

#include "linearizability/check.h"
#include "linearizability/search/contest.h"

namespace raftkv::linearizability {

// What the violation shows in the outcome is where the core is looked for. Ends early, and is then
// not minimal, when the meter says so.
[[nodiscard]] Core minimal_core(const History& history, const Options& options,
                                const Outcome& violation, Meter& meter);

// The operations of `history` that leave it together with `seeds` (ascending), themselves included.
[[nodiscard]] std::vector<OperationId> with_readers(const History& history, const Model& model,
                                                    std::span<const OperationId> seeds);

}  // namespace raftkv::linearizability
