// SnapshotStreams: the snapshots that this node sends. A stream is a view of the state, read chunk
// by chunk by the read worker, one piece of work at a time, so that clients' reads do not wait
// behind a row of them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "src/base/result.h"
#include "src/base/ring.h"
#include "src/raft/effects.h"
#include "src/replica/ports.h"
#include "src/replica/state_store.h"

namespace raftkv::replica {

class SnapshotStreams {
 public:
  // What came of a piece of work, on the loop. Without a snapshot or chunk: `status` says why.
  struct Opened {
    raft::StreamId stream;
    std::optional<raft::SnapshotMeta> snapshot;
  };
  struct Read {
    raft::StreamId stream;
    std::optional<raft::SnapshotChunk> chunk;
  };
  using OnOpened = std::move_only_function<void(const Status&, Opened)>;
  using OnRead = std::move_only_function<void(const Status&, Read)>;

  // The references must outlive this, and this the worker's jobs.
  SnapshotStreams(StateStore& store, Worker& worker, OnOpened on_opened, OnRead on_read)
      : store_(store),
        worker_(worker),
        on_opened_(std::move(on_opened)),
        on_read_(std::move(on_read)) {}

  // In the order in which the core wants it.
  void push(const raft::SnapshotOpen& open) { queue_.push_back(open); }
  void push(const raft::SnapshotRead& read) { queue_.push_back(read); }
  void push(const raft::SnapshotClose& close) { queue_.push_back(close); }
  // Starts the next piece of work if none is under way.
  void start();

 private:
  using Work = std::variant<raft::SnapshotOpen, raft::SnapshotRead, raft::SnapshotClose>;
  [[nodiscard]] Status work(const raft::SnapshotOpen& open);
  [[nodiscard]] Status work(const raft::SnapshotRead& read);
  [[nodiscard]] Status work(const raft::SnapshotClose& close);
  void finished(const Status& status);

  StateStore& store_;
  Worker& worker_;
  OnOpened on_opened_;
  OnRead on_read_;
  Ring<Work> queue_;

  // The job's while busy_.
  bool busy_ = false;
  Work current_;
  std::map<raft::StreamId, std::unique_ptr<SnapshotReader>> open_;
  std::optional<raft::SnapshotMeta> snapshot_;
  std::optional<raft::SnapshotChunk> chunk_;
};

}  // namespace raftkv::replica
