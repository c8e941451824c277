// `raftkv inspect` and `raftkv check`: what a data directory holds, while no process uses it.
#pragma once

#include "src/app/options.h"
#include "src/storage/disk.h"

namespace raftkv::app {

// Reads only. A directory without a node is shown as what it is.
[[nodiscard]] Said run_inspect(const InspectOptions& options, storage::Disk& disk);

// Reads only. Exit code kNotFound if anything is not as it was written.
[[nodiscard]] Said run_check(const CheckOptions& options, storage::Disk& disk);

}  // namespace raftkv::app
