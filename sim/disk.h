// A node's memory disk: the durable log with its promise, and the ordered store of the state
// machine. What the process sees and what a crash leaves are kept apart, operation by operation.
//
// The log is a row of operations in the order of LogStore's contract: for each write the hard state
// (a file of its own, durable when written), the truncation, the entries one by one; then a sync.
// Records carry checksums and are written behind each other, so of operations that were not synced
// a crash leaves the first few: a torn one, and all behind it, are cut by recovery. The state is a
// row of batches, each of them whole or not there.
//
// A snapshot in a log write is the promise file's (durable when written): from then on the incoming
// state is the one that a crash leaves, and recovery makes the log begin behind the snapshot; then
// come the operation that cuts the log, the entries, the sync, and a promise that no cut is owed.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/base/prng.h"
#include "src/kv/store.h"
#include "src/replica/memory_log_store.h"
#include "src/replica/ports.h"

namespace raftkv::sim {

// The log and the promise as recovery found them.
struct FoundOnDisk {
  raft::HardState hard_state;
  raft::Index first;  // of the log
  raft::Index last;
  std::vector<raft::Entry> entries;  // first..last
  bool promise_lost = false;
  std::string loss;  // what this start found missing, a phrase
  // What was damaged at rest is still there: the start has not read it, and LevelDB may yet.
  bool damage_left = false;
  // An entry is among it: `entries` is empty.
  bool unreadable = false;
};

// Is told what has become durable, in order.
struct DiskWitness {
  virtual ~DiskWitness() = default;
  virtual void durable_hard_state(const raft::HardState& hard_state) = 0;
  virtual void durable_truncated(raft::Index from) = 0;
  virtual void durable_appended(const raft::Entry& entry) = 0;
  // The log begins with `first`.
  virtual void durable_cut(raft::Index first) = 0;
  // The state is the snapshot that ends with this entry. The log begins behind it; what it had
  // behind it stays if it had the entry, else all of it is gone.
  virtual void durable_installed(raft::Index index, raft::Term term) = 0;
  // The state is synced; it has applied all through this entry.
  virtual void durable_state(raft::Index applied) = 0;
  // What was lost of the log is there again.
  virtual void promise_repaired() = 0;
  // A start has found this. `under_way`: what the last process was writing when it died, and has
  // told nobody: any first part of it may be there.
  virtual void found(const FoundOnDisk& found, std::span<const raft::LogWrite> under_way) = 0;
};

enum class Crash : std::uint8_t {
  process,  // what was written survives
  power,    // of what was not synced a part survives
};

class Disk final : public replica::LogStore, public kv::ReplaceableStore {
 public:
  // `witness` must outlive it.
  explicit Disk(DiskWitness& witness);
  ~Disk() override;

  // --- replica::LogStore ---
  [[nodiscard]] Status append(std::span<const raft::LogWrite> writes) override;
  [[nodiscard]] Result<std::vector<raft::Entry>> read(raft::Index from, raft::Index to,
                                                      std::size_t bytes_max) override;
  [[nodiscard]] Status checkpoint() override;
  [[nodiscard]] Status promise_repaired() override;
  [[nodiscard]] Status cut_before(raft::Index first, raft::Term prev_term) override;
  [[nodiscard]] Status prepare_cut() override { return {}; }
  [[nodiscard]] Status free_cut() override { return {}; }

  // --- kv::ReplaceableStore ---
  [[nodiscard]] Result<std::optional<std::string>> get(std::string_view key) override;
  [[nodiscard]] Status write(const kv::Batch& batch) override;
  [[nodiscard]] Status sync() override;
  [[nodiscard]] std::unique_ptr<kv::View> view() override;
  [[nodiscard]] Result<kv::OrderedStore*> begin_incoming() override;
  [[nodiscard]] Status discard_incoming() override;
  [[nodiscard]] Status adopt_incoming() override;

  // --- crashes ---
  // After this many more operations of the log the disk stops: each later one fails and changes
  // nothing.
  void freeze_after(std::uint64_t operations) { operations_left_ = operations; }
  // Takes freeze_after() back.
  void thaw() { operations_left_ = kForever; }
  [[nodiscard]] bool frozen() const { return operations_left_ == 0; }
  // The process is gone, and at `power` the machine's memory with it: what was not synced survives
  // in part, by draws from `prng`. The disk works again afterwards.
  void crash(Crash kind, Prng& prng);
  // Everything is lost; the disk is as new. The witness is not told.
  void wipe();
  // The state is empty. After a crash.
  void lose_state() { state_ = {}; }

  // --- what is on it ---
  // The log as recovery finds it. After a crash that is its durable part.
  [[nodiscard]] replica::LogImage image() const;
  [[nodiscard]] const kv::MemoryStore::Contents& contents() const { return state_.contents; }

 private:
  struct Place {
    raft::Index index;
    raft::Term term;
  };
  // One of the three.
  struct Operation {
    std::optional<raft::Index> truncate_from;
    std::optional<raft::Entry> entry;
    std::optional<Place> begin_behind;
  };
  // A state, and how to take its last batches back.
  struct State {
    // What a batch has replaced under a key.
    struct Replaced {
      std::string key;
      std::string bytes;
      bool there = false;  // else there was nothing
    };
    void write(const kv::Batch& batch);
    void undo_last();
    // The batches written so far are not taken back any more.
    void synced();
    // Of the batches that are not synced the first few survive, by lot.
    void lose_power(Prng& prng);

    kv::MemoryStore::Contents contents;
    std::vector<std::size_t> unsynced;  // batches: where in `replaced` each begins
    // Their changes are the first of it. The others are of batches that are synced: strings whose
    // memory is used again.
    std::vector<Replaced> replaced;
    std::size_t replaced_size = 0;
  };
  class Incoming;
  static constexpr std::uint64_t kForever = std::numeric_limits<std::uint64_t>::max();

  // False: the disk is frozen.
  [[nodiscard]] bool operation();
  [[nodiscard]] bool put_hard_state(const raft::HardState& hard_state);
  [[nodiscard]] bool put_through(raft::Index through);
  [[nodiscard]] bool put_snapshot(const raft::SnapshotMeta& snapshot);
  [[nodiscard]] bool cut_is_done();
  [[nodiscard]] bool put(Operation operation);
  [[nodiscard]] bool sync_log();
  void make_durable(std::size_t operations);
  void recover();

  DiskWitness& witness_;
  std::uint64_t operations_left_ = kForever;

  // The promise file: durable when written.
  raft::HardState hard_state_;
  raft::Index through_;
  std::optional<Place> cut_owed_;
  bool incoming_counts_ = false;  // it names the incoming state

  replica::LogImage written_;  // the log as the process sees it
  replica::LogImage durable_;
  std::vector<Operation> unsynced_;

  State state_;
  std::unique_ptr<Incoming> incoming_;
};

}  // namespace raftkv::sim
