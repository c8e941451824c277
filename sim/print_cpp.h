// A run as C++.
#pragma once

#include <string>
#include <string_view>

#include "sim/options.h"

namespace raftkv::sim {

// The same run as a test to paste into tests/sim/simulate_test.cc: it fails until the bug is gone.
[[nodiscard]] std::string print_test(const Options& options, std::string_view suite,
                                     std::string_view name);

}  // namespace raftkv::sim
