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
    batch_.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
}

void ApplyPipeline::start(Time now) {
  start_batch();
  start_sync(now);
}

Time ApplyPipeline::next_deadline() const {
  const bool waits = !syncing_ && unsynced_since_ != kNever;
  return waits ? unsynced_since_ + limits_.sync_interval : kNever;
}

void ApplyPipeline::start_batch() {
  if (busy_ || queue_.empty()) return;
  take_batch();
  busy_ = true;
  const auto done = [this](const Status& status) { finished(status); };
  // With few clients most of a write's time goes into waking threads: here are two of them.
  if (store_.applies_at_once(batch_)) {
    worker_.run_short([this] { return work(); }, done);
  } else {
    worker_.run([this] { return work(); }, done);
  }
}

Status ApplyPipeline::work() {
  auto result = store_.apply(batch_);
  if (!result) return failure(result);
  result_ = std::move(*result);
  return {};
}

void ApplyPipeline::finished(const Status& status) {
  if (status) {
    applied_ = batch_.back().index();
    for (const raft::Entry& entry : batch_) unsynced_bytes_ += entry.size();
  }
  on_done_(status, batch_, result_);
  batch_.clear();
  busy_ = false;
}

// The batches go on meanwhile: a sync takes long.
void ApplyPipeline::start_sync(Time now) {
  if (unsynced_bytes_ > 0 && unsynced_since_ == kNever) unsynced_since_ = now;
  if (syncing_) return;
  const bool last = finishing_ && !busy_;
  if (last) finishing_ = false;
  const bool enough =
      unsynced_bytes_ >= limits_.sync_bytes || (unsynced_bytes_ > 0 && store_.wants_sync());
  if (!last && !enough && now < next_deadline()) return;
  syncing_ = true;
  through_ = applied_;
  unsynced_bytes_ = 0;
  unsynced_since_ = kNever;
  upkeep_.run([this] { return store_.sync(); },
              [this](const Status& status) {
                on_synced_(status, through_);
                syncing_ = false;
              });
}

void ApplyPipeline::finish() {
  queue_.clear();
  finishing_ = true;
}

}  // namespace raftkv::replica
