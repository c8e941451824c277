// Swarm testing (Groce et al., "Swarm Testing", ISSTA 2012): each seed draws not only what happens
// but which kinds of things can happen at all, and how strong they are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sim/options.h"
#include "src/base/time.h"

namespace raftkv::sim {

// What is fixed instead of drawn.
struct SwarmOverrides {
  std::uint64_t voters = 0;  // 0: drawn, 1 to 7
  Duration duration = 20s;
  std::optional<bool> leveldb = std::nullopt;  // LevelDB inside; nullopt: in one seed of ten
};

// The run of this seed: options and schedule. The same with every compiler, for ever equal within a
// version.
[[nodiscard]] Options draw_options(std::uint64_t seed, const SwarmOverrides& overrides = {});

// " --nodes 5 --storage leveldb": how a command line says them.
[[nodiscard]] std::string fixed_options(const SwarmOverrides& fixed);

// Five members, 50 operations a second, every kind of fault: the run that speed is measured with.
[[nodiscard]] Options benchmark_options(std::uint64_t seed, Duration duration,
                                        bool leveldb = false);

}  // namespace raftkv::sim
