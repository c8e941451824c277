// What clients did and saw, as linearizability/ takes it: writes, deletes and consistent reads.
// Default and stale reads promise less; client_checks.h judges them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "linearizability/history.h"
#include "sim/client_checks.h"

namespace raftkv::sim {

[[nodiscard]] linearizability::History to_history(std::span<const Operation> operations);

// Where in the log a write of unknown end stands; 0: nowhere; nullopt: cannot be told.
using Whereabouts = std::function<std::optional<std::uint64_t>(const Operation&)>;

// The same history with more said: a write of unknown end that stands in the log did happen, at any
// time since it was invoked, and one that does not stand there did not. If this one is
// linearizable, so is the other; nothing follows if it is not.
[[nodiscard]] linearizability::History to_told_history(std::span<const Operation> operations,
                                                       const Whereabouts& whereabouts);

// The same as JSON lines (docs/linearizability.md). Times are ns of the world's clock.
[[nodiscard]] std::string to_json_lines(std::span<const Operation> operations);

}  // namespace raftkv::sim
