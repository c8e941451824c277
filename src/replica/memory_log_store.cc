#include "src/replica/memory_log_store.h"

#include <algorithm>
#include <utility>

#include "src/base/check.h"

namespace raftkv::replica {

Term LogImage::term(Index index) const {
  return index == before ? before_term : at(index).term();
}

const raft::Entry& LogImage::at(Index index) const {
  CHECK(index > before);
  CHECK(index <= last());
  return entries[index - before - 1];
}

void LogImage::truncate_from(Index from) {
  CHECK(from > before);
  CHECK(from <= last().next(), "a truncation behind the end of the log");
  entries.resize(from - before - 1);
}

void LogImage::append(raft::Entry entry) {
  CHECK(entry.index() == last().next(), "a hole in the log");
  entries.push_back(std::move(entry));
}

void LogImage::begin_behind(Index index, Term its_term) {
  if (index < before) return;
  if (index <= last() && term(index) == its_term) {
    entries.erase(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(index - before));
  } else {
    entries.clear();
    through = std::min(through, index);
  }
  before = index;
  before_term = its_term;
}

raft::Recovered recover(const LogImage& image, const StateMeta& meta) {
  CHECK(meta.applied <= image.last(), "the state is ahead of its log");
  raft::Recovered recovered;
  recovered.hard_state = image.hard_state;
  recovered.applied = meta.applied;
  recovered.configuration = meta.configuration;
  recovered.configuration_index = meta.configuration_index;
  recovered.first = image.first();
  recovered.prev_term = image.before_term;
  recovered.last = image.last();
  recovered.promise_lost = image.last() < image.through;
  recovered.state_lost = meta.applied < image.before;
  for (const raft::Entry& entry : image.entries) {
    if (recovered.terms.empty() || recovered.terms.back().term != entry.term()) {
      recovered.terms.push_back({.term = entry.term(), .first = entry.index()});
    }
    if (entry.index() > meta.applied) {
      recovered.tail.push_back(entry);
    } else {
      recovered.bytes_before_tail += entry.size();
    }
  }
  return recovered;
}

Status MemoryLogStore::append(std::span<const raft::LogWrite> writes) {
  for (const raft::LogWrite& log_write : writes) {
    if (log_write.hard_state) {
      if (auto done = count_operation(); !done) return done;
      CHECK(log_write.hard_state->current_term >= written_.hard_state.current_term,
            "the term falls");
      written_.hard_state = *log_write.hard_state;
      durable_.hard_state = *log_write.hard_state;
    }
    if (log_write.snapshot) {
      if (auto done = install(*log_write.snapshot); !done) return done;
    }
    if (log_write.truncate_from) {
      if (auto done = write({.truncate_from = log_write.truncate_from, .entry = {}}); !done)
        return done;
    }
    for (const raft::Entry& entry : log_write.entries) {
      if (auto done = write({.truncate_from = {}, .entry = entry}); !done) return done;
    }
  }
  return sync();
}

Status MemoryLogStore::sync() {
  if (auto done = count_operation(); !done) return done;
  for (const Operation& operation : unsynced_) execute(durable_, operation);
  unsynced_.clear();
  return {};
}

// The log of before is synced first, as src/storage does: what a crash leaves is then either all of
// it or what recovery makes of it for the snapshot's sake.
Status MemoryLogStore::install(const raft::SnapshotMeta& snapshot) {
  if (auto synced = sync(); !synced) return synced;
  if (auto done = count_operation(); !done) return done;
  for (LogImage* image : {&written_, &durable_}) {
    ++image->state_number;
    image->begin_behind(snapshot.last_included_index, snapshot.last_included_term);
  }
  return {};
}

Status MemoryLogStore::cut_before(Index first, Term prev_term) {
  if (auto done = count_operation(); !done) return done;
  CHECK(unsynced_.empty());
  if (first <= written_.first()) return {};
  CHECK(written_.term(first.prev()) == prev_term);
  for (LogImage* image : {&written_, &durable_}) image->begin_behind(first.prev(), prev_term);
  return {};
}

Result<std::vector<raft::Entry>> MemoryLogStore::read(Index from, Index to, std::size_t bytes_max) {
  CHECK(from);
  CHECK(from <= to);
  if (from > written_.last())
    return failure(ErrorCode::not_found, "the log ends before these entries");
  if (from < written_.first())
    return failure(ErrorCode::not_found, "the log begins behind these entries");
  std::vector<raft::Entry> out;
  std::size_t bytes = 0;
  for (Index index = from; index <= to && index <= written_.last(); ++index) {
    const raft::Entry& entry = written_.at(index);
    bytes += entry.size();
    if (!out.empty() && bytes > bytes_max) break;
    out.push_back(entry);
  }
  return out;
}

Status MemoryLogStore::checkpoint() {
  if (auto done = count_operation(); !done) return done;
  written_.through = durable_.through = durable_.last();
  return {};
}

LogImage MemoryLogStore::torn(std::size_t operations) const {
  CHECK(operations <= unsynced_.size());
  LogImage image = durable_;
  for (std::size_t i = 0; i < operations; ++i) execute(image, unsynced_[i]);
  return image;
}

void MemoryLogStore::execute(LogImage& image, const Operation& operation) {
  if (operation.truncate_from) image.truncate_from(*operation.truncate_from);
  if (operation.entry) image.append(*operation.entry);
}

Status MemoryLogStore::count_operation() {
  if (!operations_left_) return {};
  if (*operations_left_ == 0) return failure(ErrorCode::fatal, "log: the disk has failed");
  --*operations_left_;
  return {};
}

Status MemoryLogStore::write(Operation operation) {
  if (auto done = count_operation(); !done) return done;
  if (operation.truncate_from) {
    // What the leader's log contradicts was never promised; else a crash now would look like a lost
    // promise.
    const Index kept = operation.truncate_from->prev();
    written_.through = durable_.through = std::min(durable_.through, kept);
  }
  execute(written_, operation);
  unsynced_.push_back(std::move(operation));
  return {};
}

}  // namespace raftkv::replica
