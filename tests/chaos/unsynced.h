// Writes that were not synced, lost at a kill, as when the machine loses its power. A plain SIGKILL
// never does that: what a process has written stays in the kernel's cache.
//
// The interposed library (interposed.cc, LD_PRELOAD) writes a journal of what it lets through:
// before each write the bytes that it replaces, after each sync what was synced. When the process
// is dead, lose_unsynced() takes back what was not, of each file from a drawn point on, with one
// torn write. What belongs to directories (names of files, renames, removals) is not taken back.
#pragma once

#include <cstdint>
#include <string>

#include "src/base/prng.h"

namespace raftkv::chaos {

// The environment of the process: the journal's path, and the directory below which files count.
inline constexpr const char* kJournalVariable = "RAFTKV_UNSYNCED_JOURNAL";
inline constexpr const char* kBelowVariable = "RAFTKV_UNSYNCED_BELOW";

// One record of the journal; `size_old` bytes follow it. Both programs run on the same machine.
struct JournalRecord {
  enum class What : std::uint64_t { created, write, truncate, sync };
  What what;
  std::uint64_t inode;
  std::uint64_t
      offset;          // write: where; truncate: the new size; sync: records before this are synced
  std::uint64_t size;  // write: bytes
  std::uint64_t file_old;  // the file's size before
  std::uint64_t size_old;  // bytes that were replaced or cut, from `offset` on
};

struct Lost {
  int files = 0;
  int writes = 0;
  std::uint64_t bytes = 0;
  int synced_files = 0;  // files that were synced at least once: else the library was not there
};

// How much of what was not synced is lost.
enum class Keep { nothing, drawn };

// Takes back what was not synced in files below `directory`, and removes the journal. The process
// must be dead.
Lost lose_unsynced(const std::string& journal, const std::string& directory, Keep keep, Prng& prng);

}  // namespace raftkv::chaos
