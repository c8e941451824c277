// The durable log on LevelDB, with the promise file beside it.
//
// Keys are indexes, u64 big-endian; the value of an entry is its encoded bytes (src/raft/entry.h).
// Key 0 holds the bounds (little-endian):
//    0  u64  checksum, XXH3-64 of all bytes behind it
//    8  u8   version (1), then 3 zero bytes
//   12  u64  first: the first index that the log has or will have; what lies before it is ignored
//   20  u64  term of the entry before it; 0 before the first of all
//   28  u64  end: the index behind the last, what lies there and further is ignored; 0: open, the
//            last key is the last entry
//
// Every append is one batch and one sync. In steady state the batch holds entries only: their keys
// ascend, so that LevelDB's flushes never overlap and nothing is ever rewritten; one fixed key in
// each batch would double the CPU an entry costs. A truncation sets `end` instead of deleting, and
// each append sets it anew until the log has grown over what was truncated; then it is open again.
//
// The log's beginning moves the same way: the bounds say where it is, durably, and what lies before
// is deleted and compacted away later, in the background (free_cut).
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

inline constexpr std::uint8_t kLogVersion = 1;

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
  void add(const raft::LogWrite& write, Change& change);
  [[nodiscard]] Status add_beginning(const LogPosition& before, Change& change);
  [[nodiscard]] Status install(const raft::LogWrite& write);
  [[nodiscard]] Status append_together(std::span<const raft::LogWrite> writes);
  [[nodiscard]] Status commit(const Change& change);
  [[nodiscard]] Status delete_before(const leveldb::Slice& end);
  [[nodiscard]] Result<raft::Term> term_at(leveldb::Iterator& at, raft::Index index);
  [[nodiscard]] Result<raft::Index> end_of_term(leveldb::Iterator& at, raft::Index from,
                                                raft::Term term);

  Database database_;
  PromiseFile& promise_;
  std::atomic<std::uint64_t> first_ = 1;
  std::atomic<std::uint64_t> last_ = 0;
  raft::Term prev_term_;  // of the entry before the first
  // The last index that has a key. Above last_: some were truncated.
  raft::Index last_key_;
  bool open_ended_ = true;        // on disk
  std::uint64_t wal_number_ = 0;  // at the last append
  leveldb::WriteBatch batch_;     // kept for its memory
};

}  // namespace raftkv::storage
