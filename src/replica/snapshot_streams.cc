#include "src/replica/snapshot_streams.h"

#include <utility>

namespace raftkv::replica {

void SnapshotStreams::start() {
  if (busy_ || queue_.empty()) return;
  busy_ = true;
  current_ = std::move(queue_.front());
  queue_.pop_front();
  worker_.run(
      [this] { return std::visit([this](const auto& piece) { return work(piece); }, current_); },
      [this](const Status& status) { finished(status); });
}

Status SnapshotStreams::work(const raft::SnapshotOpen& open) {
  auto reader = store_.open_snapshot();
  if (!reader) return failure(reader);
  const StateMeta& meta = (*reader)->meta();
  snapshot_ = raft::SnapshotMeta{.last_included_index = meta.applied,
                                 .last_included_term = meta.applied_term,
                                 .configuration_index = meta.configuration_index,
                                 .configuration = meta.configuration};
  open_[open.stream] = std::move(*reader);
  return {};
}

Status SnapshotStreams::work(const raft::SnapshotRead& read) {
  const auto found = open_.find(read.stream);
  if (found == open_.end())
    return failure(ErrorCode::not_found, "snapshot: no such stream is open");
  auto chunk = found->second->next(read.bytes_max);
  if (!chunk) return failure(chunk);
  chunk_ = raft::SnapshotChunk{.chunk = read.chunk,
                               .data = SharedBytes::from(std::move(chunk->data)),
                               .last = chunk->last,
                               .contents_digest = chunk->contents_digest};
  return {};
}

Status SnapshotStreams::work(const raft::SnapshotClose& close) {
  open_.erase(close.stream);
  return {};
}

void SnapshotStreams::finished(const Status& status) {
  busy_ = false;
  if (const auto* open = std::get_if<raft::SnapshotOpen>(&current_)) {
    on_opened_(status, {.stream = open->stream, .snapshot = std::exchange(snapshot_, {})});
  } else if (const auto* read = std::get_if<raft::SnapshotRead>(&current_)) {
    on_read_(status, {.stream = read->stream, .chunk = std::exchange(chunk_, {})});
  }
}

}  // namespace raftkv::replica
