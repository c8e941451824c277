// `raftkv backup`: a state from a running node into a file (src/storage/backup_file.h).
#pragma once

#include "src/app/client.h"
#include "src/app/options.h"
#include "src/storage/disk.h"

namespace raftkv::app {

[[nodiscard]] Said run_backup(const BackupOptions& options, const ClientWorld& world,
                              storage::Disk& disk);

}  // namespace raftkv::app
