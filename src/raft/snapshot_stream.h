// SnapshotStream: one transfer of a snapshot to one peer, as the leader that sends it sees it (§7,
// Figure 13). Knows no messages; Raft asks what to read and what to send.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "src/base/ring.h"
#include "src/base/time.h"
#include "src/raft/options.h"
#include "src/raft/snapshot.h"
#include "src/raft/types.h"

namespace raftkv::raft {

// Chunks that are not acknowledged stay here to be sent again, no more than a window of them; the
// store is read strictly forward.
class SnapshotStream {
 public:
  // The view that is being opened covers at least `applied`.
  SnapshotStream(StreamId id, Index applied, Time now)
      : id_(id), behind_(applied), opened_at_(now), moved_at_(now), sent_at_(now) {}

  [[nodiscard]] StreamId id() const { return id_; }
  // Nullopt: the view is not open yet.
  [[nodiscard]] const std::optional<SnapshotMeta>& snapshot() const { return snapshot_; }
  // The peer will need the log behind this entry.
  [[nodiscard]] Index behind() const { return behind_; }

  void opened(SnapshotMeta snapshot, Time now);
  // The number of the chunk to be read now, if one is; it counts as being read then.
  [[nodiscard]] std::optional<std::uint64_t> next_to_read(const Options& options);
  // It has been read. False: nobody asked for it.
  [[nodiscard]] bool read(SnapshotChunk chunk);
  // The chunk to be sent now, or null; it counts as sent then.
  [[nodiscard]] const SnapshotChunk* next_to_send(Time now);
  // The peer has written all chunks before this one.
  void acknowledged(std::uint64_t next_chunk, Time now);
  // Everything that is not acknowledged is sent again if nothing has been acknowledged for so long.
  // True: there is something.
  bool resend_after(Duration quiet, Time now);
  // Nothing has moved for too long, or the view is too old: to be closed.
  [[nodiscard]] bool over(const Options& options, Time now) const;

 private:
  StreamId id_;
  std::optional<SnapshotMeta> snapshot_;
  Index behind_;
  Time opened_at_{};
  Time moved_at_{};  // the last acknowledgement that said something new
  Time sent_at_{};
  Ring<SnapshotChunk> window_;      // not acknowledged, in order
  std::uint64_t acknowledged_ = 0;  // the number of the first in the window
  std::uint64_t unsent_ = 0;        // all before it have been sent
  bool reading_ = false;
  bool read_to_the_end_ = false;
};

}  // namespace raftkv::raft
