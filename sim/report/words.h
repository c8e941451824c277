// What actions and invariants are, in a sentence for people who know neither the code nor the
// language of schedules.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "sim/schedule.h"

namespace raftkv::sim {

[[nodiscard]] std::string explain(const Action& action);

struct InvariantWords {
  std::string_view id;    // "I3"
  std::string_view name;  // "Log matching"
  std::string_view says;
};
// All that a run checks, in their order.
[[nodiscard]] std::span<const InvariantWords> invariant_words();

}  // namespace raftkv::sim
