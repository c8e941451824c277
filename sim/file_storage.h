// Storage as production has it: storage::DataDirectory and LevelDB, on a disk in memory with files
// (file_disk.h).
//
// What is durable. The invariants need D(n) at every moment, and LevelDB does not tell. So the log
// store is wrapped: when a call has returned ok, the witness is told what it promised. That is D(n)
// exactly as far as anybody may rely on it, and costs nothing. A call that a crash cut short may
// have left more, whole or in part; nobody has heard of it, so nothing depends on it before the
// next start, and there the log that was recovered is held against what was promised and what was
// under way (FoundOnDisk). Reopening a copy of the durable image instead, after each operation or
// at each crash, would say the same later and cost the copy.
#pragma once

#include <memory>
#include <string>

#include "sim/node_storage.h"
#include "src/base/prng.h"
#include "src/storage/promise_file.h"

namespace raftkv::sim {

class FileDisk;

// `witness` must outlive it. `prng` chooses the moments of LevelDB's background work.
[[nodiscard]] std::unique_ptr<NodeStorage> make_file_storage(DiskWitness& witness,
                                                             storage::NodeNames names, Prng prng,
                                                             bool syncs_lie);

}  // namespace raftkv::sim
