// What a LevelDB database's files hold, found out before LevelDB opens them.
//
// LevelDB 1.23 goes through its write-ahead logs (WALs) with a reader that skips what it cannot
// read and replays what follows: a hole, silently. And it does not miss a WAL that is not there. So
// each open is preceded by this scan: all WALs from the manifest's log number on are one stream of
// batches, each of which takes up the sequence numbers where the one before ended. At the first
// break the stream ends; what lies behind it is cut off before LevelDB sees it.
//
// A batch is u64 sequence of its first write, u32 count, writes (db/write_batch.cc).
#pragma once

#include <leveldb/env.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/result.h"
#include "src/storage/fail_stop_env.h"
#include "src/storage/manifest.h"

namespace raftkv::storage {

struct ScannedWal {
  std::uint64_t number = 0;
  std::uint64_t size = 0;     // bytes
  std::uint64_t batches = 0;  // that are part of the stream
};

// The place where the stream ends before its files do.
struct WalBreak {
  std::size_t file = 0;      // in DatabaseScan::wals
  std::uint64_t offset = 0;  // behind the last batch of the stream in that file
  std::string why;           // a phrase
  // Something was written behind what is missing: a valid batch of a later sequence, or a later WAL
  // that is not empty. A crash cannot leave that where every write is synced before the next one.
  bool passed = false;
};

struct DatabaseScan {
  Manifest manifest;
  std::vector<ScannedWal> wals;     // from the manifest's log number on, ascending
  std::uint64_t last_sequence = 0;  // of the stream; of the manifest, if the stream is empty
  std::optional<WalBreak> broken;
};

// Reads all of it, and changes nothing. `name` stands in errors ("log"). Errors: corrupt (CURRENT,
// the MANIFEST, the WAL that it names or a table is missing, the MANIFEST is damaged anywhere but
// in its last record, a table has another size), fatal.
[[nodiscard]] Result<DatabaseScan> scan_database(leveldb::Env& env, std::string_view name,
                                                 const std::string& database);

// Makes the files what the scan found them to be: cuts a torn last record of the MANIFEST, cuts the
// broken WAL at the break, removes the WALs behind it. Durable, and safe to do again after a crash
// in it. Error: fatal.
[[nodiscard]] Status cut_to_scan(FailStopEnv& env, const std::string& database,
                                 const DatabaseScan& scan);

// Is this less than a database in which each write is synced before the next had at `sequence`?
// What comes back is a phrase that says what shows it; nullopt: it is whole.
[[nodiscard]] std::optional<std::string> lost_since(const DatabaseScan& scan,
                                                    std::uint64_t sequence);

}  // namespace raftkv::storage
