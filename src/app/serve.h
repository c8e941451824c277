// `raftkv init` and `raftkv serve`.
#pragma once

#include "src/app/options.h"

namespace raftkv::app {

[[nodiscard]] Said run_init(const InitOptions& options);

// Runs a node until it is told to stop. A start that cannot work ends with one sentence and an exit
// code.
[[nodiscard]] Said run_serve(ServeOptions options);

}  // namespace raftkv::app
