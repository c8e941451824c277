// A node's memory disk: the durable log with its promise, and the ordered store of the state
// machine. What the process sees and what a crash leaves are kept apart, operation by operation.
//
// The log is a row of operations in the order of LogStore's contract: for each write the hard state
// (a file of its own, durable when written), the truncation, the entries one by one; then a sync.
// Records carry checksums and are written behind each other, so of operations that were not synced
// a crash leaves the first few: a torn one, and all behind it, are cut by recovery. The state is a
// row of batches, each of them whole or not there.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
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

// Is told what has become durable, in order.
struct DiskWitness {
  virtual ~DiskWitness() = default;
  virtual void durable_hard_state(const raft::HardState& hard_state) = 0;
  virtual void durable_truncated(raft::Index from) = 0;
  virtual void durable_appended(const raft::Entry& entry) = 0;
};

enum class Crash : std::uint8_t {
  process,  // what was written survives
  power,    // of what was not synced a part survives
};

class Disk final : public replica::LogStore, public kv::OrderedStore {
 public:
  // `witness` must outlive it.
  explicit Disk(DiskWitness& witness) : witness_(witness) {}

  // --- replica::LogStore ---
  [[nodiscard]] Status append(std::span<const raft::LogWrite> writes) override;
  [[nodiscard]] Result<std::vector<raft::Entry>> read(raft::Index from, raft::Index to,
                                                      std::size_t bytes_max) override;
  [[nodiscard]] Status checkpoint() override;

  // --- kv::OrderedStore ---
  [[nodiscard]] Result<std::optional<std::string>> get(std::string_view key) override;
  [[nodiscard]] Status write(const kv::Batch& batch) override;
  [[nodiscard]] Status sync() override;
  [[nodiscard]] Status scan(
      std::string_view begin, std::string_view end,
      const std::function<bool(std::string_view, std::string_view)>& visit) override;

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

  // --- what is on it ---
  // The log as recovery finds it. After a crash that is its durable part.
  [[nodiscard]] replica::LogImage image() const;
  [[nodiscard]] const std::map<std::string, std::string, std::less<>>& contents() const {
    return contents_;
  }

 private:
  struct Operation {
    std::optional<raft::Index> truncate_from;
    raft::Entry entry;
  };
  // One batch of the state that is not synced, as what it replaced.
  struct Undo {
    std::vector<std::pair<std::string, std::optional<std::string>>> previous;
  };
  static constexpr std::uint64_t kForever = std::numeric_limits<std::uint64_t>::max();

  // False: the disk is frozen.
  [[nodiscard]] bool operation();
  [[nodiscard]] bool put_hard_state(const raft::HardState& hard_state);
  [[nodiscard]] bool put_through(raft::Index through);
  [[nodiscard]] bool put(Operation operation);
  [[nodiscard]] bool sync_log();
  void make_durable(std::size_t operations);
  void undo(Undo& batch);

  DiskWitness& witness_;
  std::uint64_t operations_left_ = kForever;

  raft::HardState hard_state_;  // durable when written
  raft::Index through_;
  std::vector<raft::Entry> written_;  // the log as the process sees it; entry i + 1 at i
  std::vector<raft::Entry> durable_;
  std::vector<Operation> unsynced_;

  std::map<std::string, std::string, std::less<>> contents_;
  std::vector<Undo> unsynced_batches_;
  std::string key_;  // scratch
};

}  // namespace raftkv::sim
