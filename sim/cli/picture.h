// The pages that --html writes.
#pragma once

#include <string>

#include "sim/options.h"
#include "sim/report/recorder.h"
#include "sim/simulate.h"

namespace raftkv::sim::cli {

// Writes the run's page, and beside it (NAME-history.html) lincheck's of what clients did, if they
// did anything. `run.history` must have been kept. False: a file cannot be written, which is said.
[[nodiscard]] bool write_pages(const std::string& path, const Record& record,
                               const Options& options, const Run& run, const std::string& title,
                               const std::string& reproduce);

}  // namespace raftkv::sim::cli
