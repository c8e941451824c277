// The promise file: who this node is, and what it has told others and must not forget.
//
// It is two slots, the files promise.0 and promise.1. Each save writes the slot that does not hold
// the newest promise, and syncs it; so a crash at any moment leaves one that is whole. Layout of a
// slot (little-endian):
//    0  u64  checksum, XXH3-64 of all bytes behind it
//    8  u32  size of the slot
//   12  u8   version (1)
//   13  u8   flags: 1 the promise is lost
//   14  u16  zero
//   16  u64  generation: 1 at creation, one more a save; in the file promise.(generation mod 2)
//   24  u64  cluster        32 u64 member      40 u64 instance     48 u64 incarnation
//   56  u64  current term   64 u64 voted for
//   72  u64  through: log index    80 u64 its term    88 u64 LevelDB's sequence in the log's WAL
//   96       state directory, node's name, HTTP address, Raft address: each u32 size, bytes
#pragma once

#include <cstdint>
#include <string>

#include "src/base/result.h"
#include "src/raft/types.h"
#include "src/storage/fail_stop_env.h"

namespace raftkv::storage {

inline constexpr std::uint8_t kPromiseVersion = 1;
inline constexpr std::size_t kPromiseTextMax = 1024;  // bytes of each text in a slot

// The log as it is known to be synced.
struct Through {
  raft::Index index;
  raft::Term term;
  std::uint64_t sequence = 0;
  bool operator==(const Through&) const = default;
};

// What the operator called the node when its directory was made.
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
  // At open, the slot that is not in use was missing or not whole although it had been written: a
  // save that a crash cut short (it was never reported), or damage at rest.
  [[nodiscard]] bool other_slot_was_bad() const { return other_slot_was_bad_; }

 private:
  PromiseFile(FailStopEnv& env, std::string directory)
      : env_(&env), directory_(std::move(directory)) {}

  FailStopEnv* env_;
  std::string directory_;
  std::uint64_t generation_ = 0;
  Promise promise_;
  bool other_slot_was_bad_ = false;
  std::string buffer_;  // kept for its memory
};

}  // namespace raftkv::storage
