// Stable: how far the node's own log is durable, while log writes are under way (design, section 4,
// rule 2).
#pragma once

#include <optional>

#include "src/base/ring.h"
#include "src/base/time.h"
#include "src/raft/types.h"

namespace raftkv::raft {

// Invariant (I12): index() is at most the length of the current log's durable prefix. A write that
// is still pending when its entries are truncated will not make what replaces them stable:
// truncated() clips it.
class Stable {
 public:
  explicit Stable(Index durable) : index_(durable) {}

  [[nodiscard]] Index index() const { return index_; }
  // The id that the next write will have.
  [[nodiscard]] WriteId next_id() const { return next_id_; }
  // Everything up to this write is durable.
  [[nodiscard]] bool done(WriteId id) const {
    return id < (pending_.empty() ? next_id_ : pending_.front().id);
  }
  // When the oldest write that is still pending was handed out.
  [[nodiscard]] std::optional<Time> oldest_pending() const {
    return pending_.empty() ? std::nullopt : std::optional(pending_.front().since);
  }

  // A write is handed out; once durable, the log is durable through `through`.
  WriteId begin(Index through, Time now);
  // The log's entries from `from` on are dropped. True: some of them are in writes that are
  // pending.
  bool truncated(Index from);
  // The write with this id, and all before it, are durable. True: some of their entries had been
  // dropped.
  bool written(WriteId id);

 private:
  struct Pending {
    WriteId id;
    Index through;
    Time since{};
    bool clipped = false;
  };
  Index index_;
  WriteId next_id_ = WriteId(1);
  Ring<Pending> pending_;
};

}  // namespace raftkv::raft
