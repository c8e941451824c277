// What a LevelDB database says of itself: CURRENT names a MANIFEST, a file of records
// (log_format.h) of which each is a change of the version before (db/version_edit.cc in
// LevelDB 1.23).
#pragma once

#include <leveldb/env.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/base/result.h"

namespace raftkv::storage {

struct Manifest {
  std::string file;                               // its name, without the directory
  std::uint64_t log_number = 0;                   // WALs below are in tables
  std::uint64_t last_sequence = 0;                // at least of all that is in tables
  std::map<std::uint64_t, std::uint64_t> tables;  // number, size in bytes
  std::uint64_t size = 0;                         // of the file
  std::uint64_t whole = 0;                        // where its last whole record ends

  // The last record is not whole. It was being written when the node stopped, or it was damaged.
  [[nodiscard]] bool torn() const { return whole < size; }
};

// Reads it. `name` stands in errors ("log"). Errors: corrupt (CURRENT or MANIFEST is missing or
// damaged anywhere but in the last record), fatal.
[[nodiscard]] Result<Manifest> read_manifest(leveldb::Env& env, std::string_view name,
                                             const std::string& database);

// The numbers of the files NUMBER.suffix in a database's directory, ascending. Error: fatal.
[[nodiscard]] Result<std::vector<std::uint64_t>> numbered_files(leveldb::Env& env,
                                                                const std::string& database,
                                                                std::string_view suffix);
// 7 of "000007.log" with suffix ".log".
[[nodiscard]] std::optional<std::uint64_t> number_of(std::string_view file_name,
                                                     std::string_view suffix);
// The path of such a file; LevelDB writes numbers with at least six digits.
[[nodiscard]] std::string numbered_path(const std::string& database, std::uint64_t number,
                                        std::string_view suffix);

}  // namespace raftkv::storage
