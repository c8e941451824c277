// Counts the allocations of a benchmark program. Link allocations.cc once.
#pragma once

#include <cstdint>

namespace raftkv::bench {

// Calls of operator new since the program started, by all threads.
[[nodiscard]] std::uint64_t allocations();

}  // namespace raftkv::bench
