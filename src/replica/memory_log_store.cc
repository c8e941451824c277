#include "src/replica/memory_log_store.h"

#include <algorithm>
#include <utility>

#include "src/base/check.h"

namespace raftkv::replica {

raft::Recovered recover(const LogImage& image, const StateMeta& meta) {
  CHECK(meta.applied <= image.last(), "the state is ahead of its log");
  raft::Recovered recovered;
  recovered.hard_state = image.hard_state;
  recovered.applied = meta.applied;
  recovered.configuration = meta.configuration;
  recovered.configuration_index = meta.configuration_index;
  recovered.last = image.last();
  recovered.promise_lost = image.last() < image.through;
  for (const raft::Entry& entry : image.entries) {
    if (recovered.terms.empty() || recovered.terms.back().term != entry.term()) {
      recovered.terms.push_back({.term = entry.term(), .first = entry.index()});
    }
    if (entry.index() > meta.applied) recovered.tail.push_back(entry);
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
    if (log_write.truncate_from) {
      if (auto done = write({.truncate_from = log_write.truncate_from, .entry = {}}); !done)
        return done;
    }
    for (const raft::Entry& entry : log_write.entries) {
      if (auto done = write({.truncate_from = {}, .entry = entry}); !done) return done;
    }
  }
  if (auto done = count_operation(); !done) return done;
  for (const Operation& operation : unsynced_) execute(durable_, operation);
  unsynced_.clear();
  return {};
}

Result<std::vector<raft::Entry>> MemoryLogStore::read(Index from, Index to, std::size_t bytes_max) {
  CHECK(from);
  CHECK(from <= to);
  if (from > written_.last())
    return failure(ErrorCode::not_found, "the log ends before these entries");
  std::vector<raft::Entry> out;
  std::size_t bytes = 0;
  for (Index index = from; index <= to && index <= written_.last(); ++index) {
    const raft::Entry& entry = written_.entries[index.value - 1];
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
  if (operation.truncate_from) {
    const Index from = *operation.truncate_from;
    CHECK(from);
    CHECK(from <= image.last().next(), "a truncation behind the end of the log");
    image.entries.resize(from.value - 1);
  }
  if (operation.entry) {
    CHECK(operation.entry->index() == image.last().next(), "a hole in the log");
    image.entries.push_back(*operation.entry);
  }
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
