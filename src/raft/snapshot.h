// Snapshots (§7, Figure 13): what stands in for the log before an index. A snapshot is never a
// file: its sender streams a consistent view of its state in chunks, its receiver writes them into
// a new state, verifies the digest of the contents, syncs (then it is *complete*), and puts it in
// the place of its own state (then it is *installed*).
#pragma once

#include <cstdint>

#include "src/base/bytes.h"
#include "src/raft/configuration.h"
#include "src/raft/types.h"

namespace raftkv::raft {

// What a snapshot replaces (Figure 13: lastIncludedIndex, lastIncludedTerm, lastConfig).
struct SnapshotMeta {
  Index last_included_index;
  Term last_included_term;
  Index configuration_index;    // of its entry
  Configuration configuration;  // in force at last_included_index

  bool operator==(const SnapshotMeta&) const = default;
};

// One part of the state, as its sender's store made it; the core does not look into `data`.
struct SnapshotChunk {
  std::uint64_t chunk = 0;  // from 0, without gaps
  SharedBytes data;
  bool last = false;
  std::uint64_t contents_digest = 0;  // of all contents, whatever the chunks; in the last one only
};

// What became of a chunk that was handed out to be received.
enum class SnapshotReceipt {
  written,   // more are to come
  complete,  // it was the last: the digest is as sent and all of it is durable
  failed,    // nothing of this stream is kept
};

}  // namespace raftkv::raft
