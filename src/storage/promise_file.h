// The promise file: who this node is, and what it has told others and must not forget.
//
// It is two files, promise.0 and promise.1, each a sequence of slots; the newest whole slot of both
// holds. A save appends a slot to one of them and syncs; unless it only raises `through`, it then
// does the same to the other one. So either file can be lost or damaged, and what is left says who
// the node is, its term and its vote. When a file is full, and at each start, it is begun anew,
// while the other one holds. So no save can harm the slot before it, and a save costs what an
// append costs (rewriting a small file in place of it costs two to three times as much). Layout of
// a slot (little-endian):
//    0  u64  checksum, XXH3-64 of all bytes behind it
//    8  u32  size of the slot (1024)
//   12  u8   version (1)
//   13  u8   flags: 1 the promise is lost
//   14  u16  zero
//   16  u64  generation: 1 at creation, one more a save
//   24  u64  cluster        32 u64 member      40 u64 instance     48 u64 incarnation
//   56  u64  current term   64 u64 voted for
//   72  u64  through: log index    80 u64 its term    88 u64 LevelDB's sequence in the log's WAL
//   96       state directory, node's name, HTTP address, Raft address: each u32 size, bytes
//   ..  u64  the log is to begin behind this index    .. u64 its term; both 0: nothing to be done
//   ..       zero
#pragma once

#include <leveldb/env.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "src/base/result.h"
#include "src/raft/types.h"
#include "src/storage/fail_stop_env.h"

namespace raftkv::storage {

inline constexpr std::uint8_t kPromiseVersion = 1;
inline constexpr std::size_t kPromiseSlotSize = 1024;
inline constexpr std::size_t kPromiseSlotsMax = 256;  // in one file

// The log as it is known to be synced.
struct Through {
  raft::Index index;
  raft::Term term;
  std::uint64_t sequence = 0;
  bool operator==(const Through&) const = default;
};

// An entry by its place.
struct LogPosition {
  raft::Index index;
  raft::Term term;
  bool operator==(const LogPosition&) const = default;
};

// What the operator called the node when its directory was made. Each at most raft::kMemberTextMax
// bytes.
struct NodeNames {
  std::string name;          // --id
  std::string http_address;  // as advertised
  std::string raft_address;
  bool operator==(const NodeNames&) const = default;
};

struct Promise {
  raft::Identity identity;
  raft::HardState hard_state;
  Through through;
  bool lost = false;  // found to be less than what was acknowledged, and not yet repaired
  std::string state_directory;
  // A snapshot that ends with this entry has become the state, and the log may not know it yet: its
  // beginning and what contradicts the snapshot have to go. Index 0: nothing to be done.
  LogPosition begin_behind;
  NodeNames names;
  bool operator==(const Promise&) const = default;
};

class PromiseFile {
 public:
  // Is there one in this directory, whole or not?
  [[nodiscard]] static bool exists(leveldb::Env& env, const std::string& directory);
  // Makes the first slot, durable and atomic: before this returns there is no promise file.
  [[nodiscard]] static Status create(FailStopEnv& env, const std::string& directory,
                                     const Promise& promise);
  // Reads the newest slot that is whole. Errors: not_found (no file), corrupt (no slot is whole, or
  // they contradict each other), unsupported (a newer version), fatal.
  [[nodiscard]] static Result<PromiseFile> open(FailStopEnv& env, std::string directory);

  [[nodiscard]] const Promise& get() const { return promise_; }
  // Durable when it returns. Error: fatal.
  [[nodiscard]] Status save(const Promise& promise);
  // At open, a file was missing, or something in it was not whole: a save that a crash cut short
  // (it was never reported), or damage at rest. The other one holds what counts.
  [[nodiscard]] bool was_torn() const { return was_torn_; }

 private:
  PromiseFile(FailStopEnv& env, std::string directory)
      : env_(&env), directory_(std::move(directory)) {}
  struct File {
    std::unique_ptr<leveldb::WritableFile> file;  // none before it is begun in this run
    std::size_t slots = 0;                        // in it
  };
  [[nodiscard]] bool must_begin(int number) const;
  [[nodiscard]] Status begin(int number);
  [[nodiscard]] Status append_slot(int number);

  FailStopEnv* env_;
  std::string directory_;
  int number_ = 0;  // of a file with the newest slot
  std::uint64_t generation_ = 0;
  Promise promise_;
  bool was_torn_ = false;
  std::array<File, 2> files_;
  std::string buffer_;  // kept for its memory
};

}  // namespace raftkv::storage
