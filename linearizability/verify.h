// A second opinion: does this order prove the history linearizable? One pass, a hundred lines that
// share nothing with the checkers but the history (model steps are its own, too), so that a bug
// there cannot vouch for itself.
#pragma once

#include <span>
#include <string_view>

#include "linearizability/history.h"
#include "src/base/result.h"

namespace raftkv::linearizability {

// `order` is a witness for the model of that name (register, …, kv) and the initial value (kUnsaid:
// the model's default). Every ok operation stands in it exactly once, one that ended with info at
// most once, one that failed never; none stands after one that it precedes in real time; and
// executed in this order, each gives its recorded answer. ErrorCode::invalid says which rule
// breaks, and where.
[[nodiscard]] Status verify_witness(const History& history, std::string_view model, Value initial,
                                    std::span<const OperationId> order);

}  // namespace raftkv::linearizability
