#include "src/replica/apply_pipeline.h"

#include <utility>

namespace raftkv::replica {

void ApplyPipeline::push(std::span<const raft::Entry> entries) {
  for (const raft::Entry& entry : entries) queue_.push_back(entry);
}

void ApplyPipeline::take_batch() {
  std::size_t bytes = 0;
  while (!queue_.empty()) {
    bytes += queue_.front().size();
    if (!batch_.empty() && bytes > limits_.batch_bytes_max) return;
    unsynced_bytes_ += queue_.front().size();
    batch_.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
}

void ApplyPipeline::start() {
  if (busy_) return;
  take_batch();
  sync_ = finishing_ || unsynced_bytes_ >= limits_.sync_bytes;
  if (batch_.empty() && !sync_) return;
  if (sync_) unsynced_bytes_ = 0;
  busy_ = true;
  worker_.run([this] { return work(); }, [this](const Status& status) { finished(status); });
}

Status ApplyPipeline::work() {
  if (!batch_.empty()) {
    auto result = store_.apply(batch_);
    if (!result) return failure(result);
    result_ = std::move(*result);
  }
  if (!sync_) return {};
  if (Status synced = store_.sync(); !synced) return synced;
  synced_ = store_.applied();
  return {};
}

void ApplyPipeline::finished(const Status& status) {
  if (sync_) finishing_ = false;
  on_done_(status, batch_, result_, std::exchange(synced_, {}));
  batch_.clear();
  busy_ = false;
}

void ApplyPipeline::finish() {
  queue_.clear();
  finishing_ = true;
}

}  // namespace raftkv::replica
