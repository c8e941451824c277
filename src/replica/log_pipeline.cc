#include "src/replica/log_pipeline.h"

#include <utility>

namespace raftkv::replica {
namespace {

std::size_t size_of(const raft::LogWrite& write) {
  std::size_t size = 0;
  for (const raft::Entry& entry : write.entries) size += entry.size();
  return size;
}

}  // namespace

void LogPipeline::push(raft::LogWrite write) {
  queue_.push_back(std::move(write));
}

void LogPipeline::take_batch() {
  std::size_t bytes = 0;
  while (!queue_.empty()) {
    bytes += size_of(queue_.front());
    if (!batch_.empty() && bytes > limits_.batch_bytes_max) break;
    batch_.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
}

bool LogPipeline::checkpoint_due(Time now) const {
  return unnoted_since_ != kNever && now >= unnoted_since_ + limits_.checkpoint_interval;
}

void LogPipeline::start(Time now) {
  if (busy_) return;
  const bool checkpoint = finishing_ || checkpoint_due(now);
  if (queue_.empty() && !checkpoint && !cut_ && !repaired_) return;  // nearly every turn
  take_batch();
  checkpoint_ = checkpoint;
  if (queue_.empty()) job_cut_ = std::exchange(cut_, {});
  job_repaired_ = std::exchange(repaired_, false);
  busy_ = true;
  worker_.run([this] { return work(); }, [this](const Status& status) { finished(status); });
}

Status LogPipeline::work() {
  if (!batch_.empty()) {
    if (Status done = store_.append(batch_); !done) return done;
  }
  if (job_cut_) {
    if (Status done = store_.cut_before(job_cut_->first, job_cut_->prev_term); !done) return done;
  }
  if (job_repaired_) {
    if (Status done = store_.promise_repaired(); !done) return done;
  }
  return checkpoint_ ? store_.checkpoint() : Status();
}

void LogPipeline::finished(const Status& status) {
  const raft::WriteId last = batch_.empty() ? raft::WriteId() : batch_.back().id;
  if (!batch_.empty() && unnoted_since_ == kNever) unnoted_since_ = clock_.now();
  if (checkpoint_) {
    unnoted_since_ = kNever;
    finishing_ = false;
  }
  batch_.clear();
  job_cut_.reset();
  checkpoint_ = false;
  busy_ = false;
  on_done_(status, last);
}

void LogPipeline::finish() {
  queue_.clear();
  cut_.reset();
  finishing_ = true;
}

Time LogPipeline::next_deadline() const {
  return busy_ || unnoted_since_ == kNever ? kNever : unnoted_since_ + limits_.checkpoint_interval;
}

}  // namespace raftkv::replica
