// The durable log on LevelDB, with the promise file beside it.
//
// What is appended together lies together: a *group* is a few entries under one key, the index of
// its last one, u64 big-endian; its value is their encoded bytes, one behind another
// (src/raft/entry.h). So the first key that is not below an index is that of the group with the
// entry. An entry costs LevelDB its bytes only: what a key costs (in the memtable, in a flush, in
// the deletion and the compaction of what was cut) is paid once a group (docs/decisions/0005).
// Key 0 holds the bounds (little-endian):
//    0  u64  checksum, XXH3-64 of all bytes behind it
//    8  u8   version (2), then 3 zero bytes
//   12  u64  first: the first index that the log has or will have; what lies before it is ignored
//   20  u64  term of the entry before it; 0 before the first of all
//
// Every append is one batch and one sync. In steady state the batch holds groups only: their keys
// ascend, so that LevelDB's flushes never overlap and nothing is ever rewritten; one fixed key in
// each batch would double the CPU an entry costs. A truncation deletes the groups behind it, and
// writes what it leaves of one under a lower key.
//
// The log's beginning moves without that: the bounds say where it is, durably, and the groups
// before it are deleted and compacted away later, in the background (free_cut).
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/base/result.h"
#include "src/raft/log.h"
#include "src/replica/ports.h"
#include "src/storage/database.h"
#include "src/storage/promise_file.h"

namespace raftkv::storage {

inline constexpr std::uint8_t kLogVersion = 2;

// Entries on their way into a batch.
class GroupWriter {
 public:
  // Bytes of a group that has more than one entry, at most: whoever wants one entry reads a group.
  static constexpr std::size_t kBytesMax = 32 << 10;

  // `batch` must outlive it.
  explicit GroupWriter(leveldb::WriteBatch& batch) : batch_(batch) {}

  // Indexes ascend without holes.
  void add(const raft::Entry& entry);
  // What has been added is in the batch.
  void finish();
  [[nodiscard]] bool empty() const { return group_.empty(); }

 private:
  leveldb::WriteBatch& batch_;
  std::string group_;  // what is not in the batch yet; kept for its memory
  raft::Index last_;   // the index of its last entry
};

class LevelDbLogStore final : public replica::LogStore {
 public:
  static constexpr DatabaseOptions kOptions = {.create = false,
                                               .write_buffer = 32 << 20,
                                               .block_cache = 1 << 20,
                                               .open_files_max = 64,
                                               .bloom_filter = false};

  // Makes a log of these entries (from index 1) in a directory that holds none; durable.
  [[nodiscard]] static Status create(FailStopEnv& env, const std::string& path,
                                     std::span<const raft::Entry> entries);
  // `promise` must outlive it; it is the log worker's from now on. Errors: corrupt, unsupported,
  // fatal.
  [[nodiscard]] static Result<std::unique_ptr<LevelDbLogStore>> open(FailStopEnv& env,
                                                                     const std::string& path,
                                                                     PromiseFile& promise);

  // --- log worker ---
  [[nodiscard]] Status append(std::span<const raft::LogWrite> writes) override;
  [[nodiscard]] Status checkpoint() override;
  [[nodiscard]] Status promise_repaired() override;
  [[nodiscard]] Status cut_before(raft::Index first, raft::Term prev_term) override;
  // Makes the log begin behind this entry, which a state covers; durable. What lies behind it stays
  // if the log has the entry, else all of it goes. Done twice it is as done once.
  [[nodiscard]] Status begin_behind(const LogPosition& entry);

  // --- upkeep worker ---
  [[nodiscard]] Status prepare_cut() override;
  [[nodiscard]] Status free_cut() override;

  // The term at `index`, at least first() - 1 and at most last(). Errors: corrupt, fatal.
  [[nodiscard]] Result<raft::Term> term(raft::Index index);
  // The terms of the whole log. Finds their borders by search: reads a logarithm of the entries of
  // each term.
  [[nodiscard]] Result<std::vector<raft::TermRun>> term_runs();
  // About how many bytes the entries from the first through `index` have on the disk.
  [[nodiscard]] std::uint64_t bytes_through(raft::Index index);

  // --- any thread ---
  [[nodiscard]] Result<std::vector<raft::Entry>> read(raft::Index from, raft::Index to,
                                                      std::size_t bytes_max) override;
  [[nodiscard]] raft::Index first() const { return raft::Index(first_.load()); }
  [[nodiscard]] raft::Index last() const { return raft::Index(last_.load()); }

 private:
  // What an append leads to, before it is durable.
  struct Change;

  LevelDbLogStore(Database database, PromiseFile& promise)
      : database_(std::move(database)), promise_(promise) {}

  [[nodiscard]] Status load();
  [[nodiscard]] Status keep_promise(std::span<const raft::LogWrite> writes);
  [[nodiscard]] Change unchanged() const;
  [[nodiscard]] Status add(const raft::LogWrite& write, Change& change);
  [[nodiscard]] Status add_beginning(const LogPosition& before, Change& change);
  [[nodiscard]] Status add_truncation(raft::Index last, Change& change);
  [[nodiscard]] Status install(const raft::LogWrite& write);
  [[nodiscard]] Status append_together(std::span<const raft::LogWrite> writes);
  [[nodiscard]] Status commit(const Change& change);
  [[nodiscard]] Status delete_before(const leveldb::Slice& end);
  // The encoded entries of the group that `at` stands on, from `index` on. They last as long as the
  // iterator stands there. Errors: corrupt (it does not have that entry), fatal.
  [[nodiscard]] Result<std::vector<std::string_view>> entries_from(const leveldb::Iterator& at,
                                                                   raft::Index index) const;
  [[nodiscard]] Result<raft::Term> term_at(leveldb::Iterator& at, raft::Index index);
  [[nodiscard]] Result<raft::Index> end_of_term(leveldb::Iterator& at, raft::Index from,
                                                raft::Term term);

  Database database_;
  PromiseFile& promise_;
  std::atomic<std::uint64_t> first_ = 1;
  std::atomic<std::uint64_t> last_ = 0;
  raft::Term prev_term_;          // of the entry before the first
  std::uint64_t wal_number_ = 0;  // at the last append
  leveldb::WriteBatch batch_;     // kept for its memory
  GroupWriter groups_{batch_};
};

}  // namespace raftkv::storage
