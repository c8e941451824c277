#include "sim/disk.h"

#include <algorithm>

#include "src/base/check.h"

namespace raftkv::sim {
namespace {

using raft::Index;
using raft::Term;

std::unexpected<Error> stopped() {
  return failure(ErrorCode::fatal, "the simulated disk has stopped");
}

// Without a truncation before it, what lies behind it stays.
void put_entry(replica::LogImage& log, raft::Entry entry) {
  CHECK(entry.index() >= log.first());
  CHECK(entry.index() <= log.last().next(), "an entry does not follow the log's end");
  const std::size_t at = entry.index() - log.first();
  if (at == log.entries.size()) log.entries.emplace_back();
  log.entries[at] = std::move(entry);
}

// As the state's record says.
Index applied_of(const kv::MemoryStore::Contents& contents) {
  std::string key;
  kv::stored_key(kv::kMetaSpace, {}, key);
  const auto record = contents.find(key);
  if (record == contents.end()) return {};
  const auto stored = kv::parse_stored_value(record->second);
  CHECK(stored.has_value());
  return Index(stored->index);
}

void truncate(replica::LogImage& log, Index from) {
  log.truncate_from(std::min(from, log.last().next()));
}

}  // namespace

// What a snapshot is received into.
class Disk::Incoming final : public kv::OrderedStore {
 public:
  explicit Incoming(const Disk& disk) : disk_(disk) {}

  [[nodiscard]] Result<std::optional<std::string>> get(std::string_view key) override {
    const auto found = state.contents.find(key);
    if (found == state.contents.end()) return std::optional<std::string>();
    return std::optional(found->second);
  }
  [[nodiscard]] Status write(const kv::Batch& batch) override {
    if (disk_.frozen()) return stopped();
    state.write(batch);
    return {};
  }
  [[nodiscard]] Status sync() override {
    if (disk_.frozen()) return stopped();
    state.synced();
    return {};
  }
  [[nodiscard]] std::unique_ptr<kv::View> view() override { return kv::view_of(state.contents); }

  State state;

 private:
  const Disk& disk_;
};

Disk::Disk(DiskWitness& witness) : witness_(witness) {}
Disk::~Disk() = default;

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

bool Disk::put_snapshot(const raft::SnapshotMeta& snapshot) {
  CHECK(incoming_ != nullptr, "a snapshot is installed that was not received");
  if (!operation()) return false;
  const Place end{snapshot.last_included_index, snapshot.last_included_term};
  incoming_counts_ = true;
  cut_owed_ = end;
  through_ = end.index;
  witness_.durable_installed(end.index, end.term);
  return true;
}

bool Disk::cut_is_done() {
  if (!operation()) return false;
  cut_owed_.reset();
  return true;
}

bool Disk::put(Operation change) {
  if (!operation()) return false;
  unsynced_.push_back(change);
  if (change.truncate_from) {
    truncate(written_, *change.truncate_from);
  } else if (change.begin_behind) {
    written_.begin_behind(change.begin_behind->index, change.begin_behind->term);
  } else {
    put_entry(written_, *std::move(change.entry));
  }
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
      truncate(durable_, *change.truncate_from);
    } else if (change.begin_behind) {
      durable_.begin_behind(change.begin_behind->index, change.begin_behind->term);
      witness_.durable_cut(durable_.first());
    } else {
      witness_.durable_appended(*change.entry);
      put_entry(durable_, *change.entry);
    }
  }
  unsynced_.erase(unsynced_.begin(), unsynced_.begin() + static_cast<std::ptrdiff_t>(operations));
}

Status Disk::append(std::span<const raft::LogWrite> writes) {
  for (const raft::LogWrite& write : writes) {
    if (write.snapshot && !sync_log()) return stopped();
    if (write.hard_state && !put_hard_state(*write.hard_state)) return stopped();
    if (write.snapshot) {
      if (!put_snapshot(*write.snapshot)) return stopped();
      if (!put({.truncate_from = {}, .entry = {}, .begin_behind = cut_owed_})) return stopped();
    }
    if (write.truncate_from) {
      // `through` promises a log of this length: it is taken back before the log gets shorter.
      const Index kept = write.truncate_from->prev();
      if (through_ > kept && !put_through(kept)) return stopped();
      if (!put({.truncate_from = write.truncate_from, .entry = {}, .begin_behind = {}}))
        return stopped();
    }
    for (const raft::Entry& entry : write.entries) {
      if (!put({.truncate_from = {}, .entry = entry, .begin_behind = {}})) return stopped();
    }
  }
  if (!sync_log()) return stopped();
  if (cut_owed_ && !cut_is_done()) return stopped();
  return {};
}

Status Disk::cut_before(Index first, Term prev_term) {
  CHECK(unsynced_.empty());
  if (first <= written_.first()) return frozen() ? Status(stopped()) : Status();
  CHECK(written_.term(first.prev()) == prev_term);
  const Operation cut{
      .truncate_from = {}, .entry = {}, .begin_behind = Place{first.prev(), prev_term}};
  if (!put(cut) || !sync_log()) return stopped();
  return {};
}

Result<std::vector<raft::Entry>> Disk::read(Index from, Index to, std::size_t bytes_max) {
  if (from < written_.first() || to > written_.last() || from > to) {
    return failure(ErrorCode::not_found, "the log has no such entries");
  }
  std::vector<raft::Entry> entries;
  std::size_t bytes = 0;
  for (Index i = from; i <= to; ++i) {
    const raft::Entry& entry = written_.at(i);
    bytes += entry.size();
    if (!entries.empty() && bytes > bytes_max) break;
    entries.push_back(entry);
  }
  return entries;
}

Status Disk::checkpoint() {
  if (!put_through(durable_.last())) return stopped();
  return {};
}

Status Disk::promise_repaired() {
  if (!operation()) return stopped();
  witness_.promise_repaired();
  return {};
}

// --- the state ---

void Disk::State::write(const kv::Batch& batch) {
  unsynced.push_back(replaced_size);
  for (const kv::Batch::Operation& change : batch.operations()) {
    if (replaced_size == replaced.size()) replaced.emplace_back();
    Replaced& before = replaced[replaced_size++];
    kv::stored_key(change.space, change.key, before.key);
    auto found = contents.find(before.key);
    before.there = found != contents.end();
    if (before.there) {
      before.bytes.swap(found->second);
      if (!change.bytes) contents.erase(found);
    } else if (change.bytes) {
      found = contents.emplace(before.key, std::string()).first;
    }
    if (change.bytes) kv::stored_value(*change.bytes, change.index, found->second);
  }
}

void Disk::State::undo_last() {
  // Backwards: a key may stand in one batch twice.
  while (replaced_size > unsynced.back()) {
    Replaced& before = replaced[--replaced_size];
    if (before.there) {
      contents.insert_or_assign(before.key, std::move(before.bytes));
    } else {
      contents.erase(before.key);
    }
  }
  unsynced.pop_back();
}

void Disk::State::synced() {
  unsynced.clear();
  replaced_size = 0;
}

void Disk::State::lose_power(Prng& prng) {
  const std::size_t kept = prng.below(unsynced.size() + 1);
  while (unsynced.size() > kept) undo_last();
  synced();  // what has survived a power failure is on the disk
}

Result<std::optional<std::string>> Disk::get(std::string_view key) {
  const auto found = state_.contents.find(key);
  if (found == state_.contents.end()) return std::optional<std::string>();
  return std::optional(found->second);
}

Status Disk::write(const kv::Batch& batch) {
  if (frozen()) return stopped();
  state_.write(batch);
  return {};
}

Status Disk::sync() {
  if (frozen()) return stopped();
  state_.synced();
  witness_.durable_state(applied_of(state_.contents));
  return {};
}

std::unique_ptr<kv::View> Disk::view() {
  return kv::view_of(state_.contents);
}

Result<kv::OrderedStore*> Disk::begin_incoming() {
  if (frozen()) return stopped();
  CHECK(!incoming_counts_, "a snapshot is discarded that has been installed");
  incoming_ = std::make_unique<Incoming>(*this);
  return incoming_.get();
}

Status Disk::discard_incoming() {
  if (frozen()) return stopped();
  CHECK(!incoming_counts_, "a snapshot is discarded that has been installed");
  incoming_.reset();
  return {};
}

Status Disk::adopt_incoming() {
  if (frozen()) return stopped();
  CHECK(incoming_counts_, "a snapshot becomes the state before its log write");
  state_ = std::move(incoming_->state);
  incoming_.reset();
  incoming_counts_ = false;
  return {};
}

// --- crashes ---

void Disk::crash(Crash kind, Prng& prng) {
  operations_left_ = kForever;
  if (kind == Crash::process) {
    make_durable(unsynced_.size());
  } else {
    make_durable(prng.below(unsynced_.size() + 1));
    unsynced_.clear();
    written_ = durable_;
    state_.lose_power(prng);
    if (incoming_ != nullptr) incoming_->state.lose_power(prng);
  }
  recover();
}

// What a start does before the node says anything.
void Disk::recover() {
  if (incoming_counts_) state_ = std::move(incoming_->state);
  incoming_.reset();
  incoming_counts_ = false;
  state_.synced();  // opening it makes it durable
  if (!cut_owed_) return;
  for (replica::LogImage* log : {&written_, &durable_}) {
    log->begin_behind(cut_owed_->index, cut_owed_->term);
  }
  cut_owed_.reset();
}

void Disk::wipe() {
  operations_left_ = kForever;
  hard_state_ = {};
  through_ = {};
  cut_owed_.reset();
  incoming_counts_ = false;
  written_ = {};
  durable_ = {};
  unsynced_.clear();
  state_ = {};
  incoming_.reset();
}

replica::LogImage Disk::image() const {
  replica::LogImage image = written_;
  image.hard_state = hard_state_;
  image.through = through_;
  return image;
}

}  // namespace raftkv::sim
