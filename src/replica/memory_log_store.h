// A log in memory with the durability of a disk: what a crash would leave is a thing of its own.
// For tests and for most simulated runs; src/storage keeps the same promises on LevelDB.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "src/base/result.h"
#include "src/raft/effects.h"
#include "src/raft/entry.h"
#include "src/raft/raft.h"
#include "src/raft/types.h"
#include "src/replica/ports.h"
#include "src/replica/state_store.h"

namespace raftkv::replica {

// The contents of a log: what is on a disk, or what a crash leaves of it.
//
// Invariant: entries are contiguous behind `before`; terms do not fall.
struct LogImage {
  raft::HardState hard_state;
  Index before;      // the entry before the first; a state stands for all through it
  Term before_term;  // its term
  std::vector<raft::Entry> entries;
  Index through;                   // known to be synced, as noted by the last checkpoint
  std::uint64_t state_number = 1;  // of the state that counts: one more for each snapshot installed

  [[nodiscard]] Index first() const { return before.next(); }
  [[nodiscard]] Index last() const { return before + entries.size(); }
  // Of an entry that it has, or of the one before the first.
  [[nodiscard]] Term term(Index index) const;
  [[nodiscard]] const raft::Entry& at(Index index) const;

  void truncate_from(Index from);
  void append(raft::Entry entry);
  // Makes it begin behind this entry. What lies behind it stays if the log has the entry, else all
  // goes; a log that begins further behind stays as it is.
  void begin_behind(Index index, Term term);
};

// What a Raft needs to start from this log and a state that is at `meta`. The state must not be
// ahead of the log.
[[nodiscard]] raft::Recovered recover(const LogImage& image, const StateMeta& meta);

// Single-threaded: its workers must run their jobs on one thread.
//
// Every append is a row of operations in the order of the contract: for each write the hard state,
// the snapshot, the truncation, the entries one by one; then a sync. written() has what operations
// did, durable() what a crash leaves: a hard state or a snapshot when its operation is done (a file
// of its own, synced), the rest when the sync is. Of a snapshot it knows that another state counts
// (LogImage::state_number), not which.
class MemoryLogStore final : public LogStore {
 public:
  MemoryLogStore() = default;
  // Starts from what a crash left.
  explicit MemoryLogStore(LogImage image) : written_(image), durable_(std::move(image)) {}

  [[nodiscard]] Status append(std::span<const raft::LogWrite> writes) override;
  [[nodiscard]] Result<std::vector<raft::Entry>> read(Index from, Index to,
                                                      std::size_t bytes_max) override;
  [[nodiscard]] Status checkpoint() override;
  [[nodiscard]] Status promise_repaired() override { return {}; }
  [[nodiscard]] Status cut_before(Index first, Term prev_term) override;
  [[nodiscard]] Status prepare_cut() override { return {}; }
  [[nodiscard]] Status free_cut() override { return {}; }

  [[nodiscard]] const LogImage& written() const { return written_; }
  [[nodiscard]] const LogImage& durable() const { return durable_; }
  // What a crash may leave if the machine happens to have written `operations` of the unsynced
  // ones: between durable() and written().
  [[nodiscard]] LogImage torn(std::size_t operations) const;
  [[nodiscard]] std::size_t unsynced() const { return unsynced_.size(); }

  // After this many more operations (syncs count) every call fails and nothing changes any more: a
  // disk that fails, or a crash that strikes within an append. nullopt: never.
  void fail_after(std::optional<std::uint64_t> operations) { operations_left_ = operations; }

 private:
  // One change of the log that the next sync makes durable.
  struct Operation {
    std::optional<Index> truncate_from;
    std::optional<raft::Entry> entry;
  };
  static void execute(LogImage& image, const Operation& operation);
  [[nodiscard]] Status count_operation();
  [[nodiscard]] Status sync();
  [[nodiscard]] Status install(const raft::SnapshotMeta& snapshot);
  [[nodiscard]] Status write(Operation operation);

  LogImage written_;
  LogImage durable_;
  std::vector<Operation> unsynced_;
  std::optional<std::uint64_t> operations_left_;
};

}  // namespace raftkv::replica
