#pragma once

#include <cstdint>

namespace raftkv::app {

// A number from the system's generator, never 0: for ids, and to seed a Prng.
[[nodiscard]] std::uint64_t random_id();

}  // namespace raftkv::app
