// Small random histories for properties: a tape of choices becomes a run of a real object by a few
// processes, and then some of its answers are falsified. A shorter tape is a shorter run, so
// rapidcheck can shrink.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "linearizability/history.h"
#include "linearizability/model.h"

namespace raftkv::linearizability {

// Of at most kRandomOperationsMax operations by four processes, for the model of that name.
inline constexpr std::size_t kRandomOperationsMax = 7;
[[nodiscard]] History random_history(std::string_view model, std::span<const std::uint8_t> tape,
                                     bool falsify = true);

// Whether some order of all ok operations, and any of those of unknown end, respects real time and
// answers as recorded. Tries them all.
[[nodiscard]] bool some_order_fits(const History& history, const Model& model, Value initial);
// The same, judged by nothing but verify_witness.
[[nodiscard]] bool some_order_verifies(const History& history, std::string_view model,
                                       Value initial);

}  // namespace raftkv::linearizability
