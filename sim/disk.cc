#include "sim/disk.h"

#include <algorithm>

#include "src/base/check.h"

namespace raftkv::sim {
namespace {

using raft::Index;

std::unexpected<Error> stopped() {
  return failure(ErrorCode::fatal, "the simulated disk has stopped");
}

void execute(std::vector<raft::Entry>& log, std::optional<Index> truncate_from, raft::Entry entry) {
  if (truncate_from) {
    CHECK(truncate_from->value >= 1);
    log.resize(std::min(log.size(), static_cast<std::size_t>(truncate_from->value - 1)));
    return;
  }
  const std::size_t at = entry.index().value - 1;
  CHECK(at <= log.size(), "an entry does not follow the log's end");
  if (at == log.size()) log.emplace_back();
  log[at] = std::move(entry);  // without a truncation before it, what lies behind it stays
}

}  // namespace

// --- the log ---

bool Disk::operation() {
  if (operations_left_ == 0) return false;
  if (operations_left_ != kForever) --operations_left_;
  return true;
}

bool Disk::put_hard_state(const raft::HardState& hard_state) {
  if (!operation()) return false;
  hard_state_ = hard_state;
  witness_.durable_hard_state(hard_state);
  return true;
}

bool Disk::put_through(Index through) {
  if (!operation()) return false;
  through_ = through;
  return true;
}

bool Disk::put(Operation change) {
  if (!operation()) return false;
  execute(written_, change.truncate_from, change.entry);
  unsynced_.push_back(std::move(change));
  return true;
}

bool Disk::sync_log() {
  if (unsynced_.empty()) return true;
  if (!operation()) return false;
  make_durable(unsynced_.size());
  return true;
}

void Disk::make_durable(std::size_t operations) {
  for (std::size_t i = 0; i < operations; ++i) {
    const Operation& change = unsynced_[i];
    if (change.truncate_from) {
      witness_.durable_truncated(*change.truncate_from);
    } else {
      witness_.durable_appended(change.entry);
    }
    execute(durable_, change.truncate_from, change.entry);
  }
  unsynced_.erase(unsynced_.begin(), unsynced_.begin() + static_cast<std::ptrdiff_t>(operations));
}

Status Disk::append(std::span<const raft::LogWrite> writes) {
  for (const raft::LogWrite& write : writes) {
    if (write.hard_state && !put_hard_state(*write.hard_state)) return stopped();
    if (write.truncate_from) {
      // `through` promises a log of this length: it is taken back before the log gets shorter.
      const Index kept = write.truncate_from->prev();
      if (through_ > kept && !put_through(kept)) return stopped();
      if (!put({write.truncate_from, {}})) return stopped();
    }
    for (const raft::Entry& entry : write.entries) {
      if (!put({std::nullopt, entry})) return stopped();
    }
  }
  if (!sync_log()) return stopped();
  return {};
}

Result<std::vector<raft::Entry>> Disk::read(Index from, Index to, std::size_t bytes_max) {
  if (!from || to.value > written_.size() || from > to) {
    return failure(ErrorCode::not_found, "the log has no such entries");
  }
  std::vector<raft::Entry> entries;
  std::size_t bytes = 0;
  for (Index i = from; i <= to; ++i) {
    const raft::Entry& entry = written_[i.value - 1];
    bytes += entry.size();
    if (!entries.empty() && bytes > bytes_max) break;
    entries.push_back(entry);
  }
  return entries;
}

Status Disk::checkpoint() {
  if (!put_through(Index(durable_.size()))) return stopped();
  return {};
}

// --- the state ---

Result<std::optional<std::string>> Disk::get(std::string_view key) {
  const auto found = contents_.find(key);
  if (found == contents_.end()) return std::optional<std::string>();
  return std::optional(found->second);
}

Status Disk::write(const kv::Batch& batch) {
  if (frozen()) return stopped();
  Undo undo;
  undo.previous.reserve(batch.operations().size());
  for (const kv::Batch::Operation& change : batch.operations()) {
    kv::stored_key(change.space, change.key, key_);
    auto found = contents_.find(key_);
    if (found == contents_.end()) {
      undo.previous.emplace_back(key_, std::nullopt);
      if (change.bytes) found = contents_.emplace(key_, std::string()).first;
    } else {
      undo.previous.emplace_back(key_, std::move(found->second));
      if (!change.bytes) contents_.erase(found);
    }
    if (change.bytes) kv::stored_value(*change.bytes, change.index, found->second);
  }
  unsynced_batches_.push_back(std::move(undo));
  return {};
}

Status Disk::sync() {
  if (frozen()) return stopped();
  unsynced_batches_.clear();
  return {};
}

Status Disk::scan(std::string_view begin, std::string_view end,
                  const std::function<bool(std::string_view, std::string_view)>& visit) {
  for (auto it = contents_.lower_bound(begin); it != contents_.end(); ++it) {
    if (!end.empty() && it->first >= end) break;
    if (!visit(it->first, it->second)) break;
  }
  return {};
}

void Disk::undo(Undo& batch) {
  // Backwards: a key may stand in one batch twice.
  for (auto it = batch.previous.rbegin(); it != batch.previous.rend(); ++it) {
    if (it->second) {
      contents_.insert_or_assign(it->first, *std::move(it->second));
    } else {
      contents_.erase(it->first);
    }
  }
}

// --- crashes ---

void Disk::crash(Crash kind, Prng& prng) {
  operations_left_ = kForever;
  if (kind == Crash::process) {
    make_durable(unsynced_.size());
    return;
  }
  make_durable(prng.below(unsynced_.size() + 1));
  unsynced_.clear();
  written_ = durable_;
  const std::size_t kept = prng.below(unsynced_batches_.size() + 1);
  while (unsynced_batches_.size() > kept) {
    undo(unsynced_batches_.back());
    unsynced_batches_.pop_back();
  }
  unsynced_batches_.clear();  // what has survived a power failure is on the disk
}

void Disk::wipe() {
  operations_left_ = kForever;
  hard_state_ = {};
  through_ = {};
  written_.clear();
  durable_.clear();
  unsynced_.clear();
  contents_.clear();
  unsynced_batches_.clear();
}

replica::LogImage Disk::image() const {
  replica::LogImage image;
  image.hard_state = hard_state_;
  image.entries = written_;
  image.through = through_;
  return image;
}

}  // namespace raftkv::sim
