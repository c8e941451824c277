// `raftkv restore` and `raftkv recover`: new clusters of one node, from a backup or from what a
// stopped node's directory holds.
#pragma once

#include <functional>
#include <string>

#include "src/app/options.h"
#include "src/storage/disk.h"

namespace raftkv::app {

[[nodiscard]] Said run_restore(const RestoreOptions& options, storage::Disk& disk);

// Shows the warning to a person and gives what that person says; nothing if nobody is there.
using Ask = std::function<std::string(const std::string& warning)>;
[[nodiscard]] Said run_recover(const RecoverOptions& options, storage::Disk& disk, const Ask& ask);

// Asks on standard error, if standard input is a terminal.
[[nodiscard]] std::string ask_terminal(const std::string& warning);

}  // namespace raftkv::app
