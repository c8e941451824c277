// The two commands: check files, verify a proof. Each gives the exit code.
#pragma once

#include "linearizability/cli/options.h"

namespace raftkv::linearizability {

// Judges all files, as many at once as there are cores; prints a line each in the order of the
// command line.
[[nodiscard]] int run_check(const CheckCommand& command);

// Checks what --json wrote against the history: a witness in one pass, a core by judging it alone.
[[nodiscard]] int run_verify(const VerifyCommand& command);

}  // namespace raftkv::linearizability
