// What a data directory holds, found out without changing anything in it: `raftkv inspect` and
// `raftkv check`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/base/result.h"
#include "src/raft/raft.h"
#include "src/storage/data_directory.h"
#include "src/storage/disk.h"
#include "src/storage/wal_scan.h"

namespace raftkv::storage {

// One of the two databases, as its files say.
struct DatabaseInspection {
  std::string directory;             // its name in the data directory
  std::optional<DatabaseScan> scan;  // none: see trouble
  std::string trouble;               // why it cannot be used; empty: it can
  std::uint64_t bytes = 0;           // of all its files
};

// What the next start would find.
struct NodeInspection {
  raft::Index first;  // of the log
  raft::Recovered recovered;
  replica::StateMeta state;
  std::string loss;  // what of the log would be found missing; empty: nothing
  std::string
      state_damage;  // why an empty state would take the place of this one; empty: it is well
};

struct Inspection {
  DataDirectory::Stage stage = DataDirectory::Stage::empty;
  std::optional<Promise> promise;
  std::string promise_trouble;  // a file missing or not whole; empty: both are
  DatabaseInspection log;
  DatabaseInspection state;
  std::optional<NodeInspection> node;  // none: a start would refuse
  std::string refusal;                 // and say this
};

// Takes the directory for as long as it looks. Errors: those of DataDirectory::take (missing, in
// use, something else), fatal.
[[nodiscard]] Result<Inspection> inspect(Disk& disk, const std::string& path);

struct Check {
  Inspection inspection;
  std::vector<std::string> damages;    // a sentence each; none: all is as it was written
  std::vector<std::string> leftovers;  // what a crash leaves, and the next start clears away
  std::uint64_t tables = 0;            // looked through, block by block
  std::uint64_t entries = 0;           // of the log, that were read
  std::uint64_t keys = 0;              // of the state, that were read
};

// Reads every byte that counts, and verifies every checksum. Errors as of inspect.
[[nodiscard]] Result<Check> check(Disk& disk, const std::string& path);

}  // namespace raftkv::storage
