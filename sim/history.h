// What clients did and saw, as linearizability/ takes it: writes, deletes and consistent reads.
// Default and stale reads promise less; client_checks.h judges them.
#pragma once

#include <span>
#include <string>

#include "linearizability/history.h"
#include "sim/client_checks.h"

namespace raftkv::sim {

[[nodiscard]] linearizability::History to_history(std::span<const Operation> operations);

// The same as JSON lines (docs/linearizability.md). Times are ns of the world's clock.
[[nodiscard]] std::string to_json_lines(std::span<const Operation> operations);

}  // namespace raftkv::sim
