// Messages and events as one line of a trace.
#pragma once

#include <string>

#include "src/raft/message.h"
#include "src/replica/ports.h"

namespace raftkv::sim {

[[nodiscard]] std::string describe(const raft::Envelope& envelope);
[[nodiscard]] std::string describe(const raft::Configuration& configuration);
// Empty for events that other lines tell already.
[[nodiscard]] std::string describe(const replica::Event& event);

}  // namespace raftkv::sim
