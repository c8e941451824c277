// What clients did and saw, with real monotonic times, and as a history for the checker.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "linearizability/history.h"
#include "src/replica/request.h"

namespace raftkv::chaos {

using linearizability::End;
using replica::Level;

using Nanos = std::int64_t;  // since the run began

enum class Kind : std::uint8_t { put, set, del, get };

// The keys of a set are its name followed by one of these letters.
inline constexpr std::string_view kSetLetters = "abc";

struct Operation {
  Kind kind = Kind::get;
  Level level = Level::consistent;  // get
  End end = End::info;
  bool found = false;     // get: there is a value
  bool deleted = false;   // del: it was there
  bool leads = false;     // the node that answered takes itself for the leader
  std::uint8_t node = 0;  // that answered, from 0
  std::uint32_t process = 0;
  std::uint32_t epoch = 0;  // get: of the node; see Cluster::epoch
  bool same_epoch = false;  // and it was the same when the answer had come
  Nanos invoked = 0;
  Nanos returned = 0;         // also of info: when the client gave up
  std::string key;            // of a set: its name
  std::uint64_t value = 0;    // written, or read; no two writes of a run write the same
  std::uint64_t index = 0;    // of the write; of a get, that of the value's last change
  std::uint64_t applied = 0;  // X-Raft-Index
  std::uint64_t term = 0;     // X-Raft-Term
};

// A fault: from when it began until it was healed.
struct Band {
  std::string name;  // of the nemesis
  std::string what;  // as a line of a schedule
  Nanos from = 0;
  Nanos to = 0;
  bool quorum = true;  // a majority ran, was connected and had disks that move, all the time
};

[[nodiscard]] inline bool is_write(const Operation& op) {
  return op.kind != Kind::get;
}

// Writes and consistent reads, in the order of their times; reads that got no answer are left out.
// With indexes the checker holds the store to them, too, and judges all keys together.
[[nodiscard]] linearizability::History to_history(const std::vector<Operation>& operations,
                                                  const std::vector<Band>& bands,
                                                  bool with_indexes);
// The same as JSON lines (docs/linearizability.md).
[[nodiscard]] bool write_history(const std::string& file, const std::vector<Operation>& operations,
                                 const std::vector<Band>& bands);

}  // namespace raftkv::chaos
