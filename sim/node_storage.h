// What a node keeps over the deaths of its processes: who it is, its log and its state. One face
// for two kinds of it: in memory (disk.h), and files under the production storage code with LevelDB
// (file_storage.h).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "sim/disk.h"
#include "sim/schedule.h"
#include "src/raft/raft.h"
#include "src/replica/ports.h"
#include "src/replica/state_store.h"

namespace raftkv::sim {

class NodeStorage {
 public:
  // What a process runs on: until the next crash, wipe or loss.
  struct Opened {
    raft::Identity identity;  // with the incarnation of this run
    raft::Recovered recovered;
    replica::StateMeta meta;
    replica::LogStore* log = nullptr;
    replica::StateStore* state = nullptr;
  };
  virtual ~NodeStorage() = default;

  // --- before there is a node ---
  // A member of the first cluster, whose log is `entries`.
  virtual void found(const raft::Identity& identity, const std::vector<raft::Entry>& entries) = 0;
  // A join is about to be asked for. Gives the instance: `fresh`, or what an earlier call made
  // durable. Not where there is a node. Errors: those of open().
  [[nodiscard]] virtual Result<raft::InstanceId> begin_join(raft::InstanceId fresh) = 0;
  [[nodiscard]] virtual Status finish_join(raft::ClusterId cluster, raft::MemberId member) = 0;
  // There is a node: open() is next.
  [[nodiscard]] virtual bool holds_node() = 0;

  // --- a process ---
  // Errors: fatal (frozen, or a fault of the disk); corrupt, unsupported, invalid: refused.
  [[nodiscard]] virtual Result<Opened> open() = 0;
  // A process has been using it since the last crash, or tried to.
  [[nodiscard]] virtual bool in_use() const = 0;
  // A job of a worker has run its operations.
  virtual void job_ran() {}
  // All of the state; nullptr: it cannot be read.
  [[nodiscard]] virtual const kv::MemoryStore::Contents* contents() = 0;

  // --- crashes ---
  // Power is to be lost within the operations of the node's next jobs, after so many of them. From
  // then on it is frozen: each later one fails, and the process must be killed.
  virtual void freeze_after(std::uint64_t operations) = 0;
  // Takes freeze_after() back.
  virtual void thaw() = 0;
  [[nodiscard]] virtual bool frozen() const = 0;
  // May a crash strike within jobs of workers other than the log's?
  [[nodiscard]] virtual bool strikes_every_job() const = 0;
  // How many operations a job has, more or less: a strike within it is drawn from these.
  [[nodiscard]] virtual std::uint64_t operations_of_a_job() const = 0;
  // The process is gone, and at `power` the machine's memory with it.
  virtual void crash(Crash kind, Prng& prng) = 0;

  // --- faults that last until they are mended, over crashes ---
  enum class Fault : std::uint8_t { none, syncs, reads, full };
  // `room`: for how many more bytes there is room, if it is full. No change where there are none.
  virtual void set_fault(Fault /*fault*/, std::uint64_t /*room*/) {}
  // There has been one since the last crash.
  [[nodiscard]] virtual bool faulty() const { return false; }

  // --- after a crash ---
  // Everything is lost. The witness is not told.
  virtual void wipe() = 0;
  // The state is lost: the log and the promise are whole.
  virtual void lose_state() = 0;
  // Damages one of its files, chosen as the verb of a schedule says (is_rot). False: it has none,
  // or the place is outside of the fault model: what was synced to the log since its last
  // checkpoint, of which only LevelDB's files tell that it was there (docs/storage.md).
  virtual bool rot(const Action& /*how*/) { return false; }

  // A hash of what was asked of it and what it answered; 0: it keeps none.
  [[nodiscard]] virtual std::uint64_t trace() const { return 0; }
};

// `witness` must outlive it.
[[nodiscard]] std::unique_ptr<NodeStorage> make_memory_storage(DiskWitness& witness);

}  // namespace raftkv::sim
