// FailStopEnv: what LevelDB 1.23 needs under it to hold a replicated log.
//
// 1. After a failed append, flush, sync, create or rename everything that writes or removes fails.
//    LevelDB itself goes on after a failed append (no space, say), and what it then reports as
//    synced is lost at the next open. A failed fsync is never tried again: the kernel has dropped
//    the pages.
// 2. A write-ahead log (WAL) that LevelDB closes has been synced. LevelDB switches WALs in a
//    destructor, without a sync and without a way to report one that fails.
// 3. Files created and renamed, and directories made, are durable when the call returns. LevelDB
//    does not sync directories (its issues 189 and 195).
// 4. It knows how far the WAL is synced, which LevelDB does not tell.
// 5. Where each write is synced, the WAL has zeros ahead (zero_ahead_file.h).
// 6. Its background work waits for no other database's: LevelDB's own Env has one thread for all of
//    them, and the log's appends stand still while a compaction of the state holds up its flush.
// 7. Tables go to the disk in steps, not all at once at their end.
#pragma once

#include <leveldb/env.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "src/base/result.h"
#include "src/storage/disk.h"

namespace raftkv::storage {

// The first failure of a data directory; both databases and the promise file share it. Any thread.
class FailFlag {
 public:
  // Remembers the first failure only.
  void trip(const leveldb::Status& failure);
  [[nodiscard]] bool tripped() const { return tripped_.load(std::memory_order_acquire); }
  // What every operation answers after it.
  [[nodiscard]] leveldb::Status status() const;
  // Fatal with the first failure; ok before it.
  [[nodiscard]] Status check() const;

 private:
  std::atomic<bool> tripped_ = false;
  mutable std::mutex mutex_;
  std::string reason_;
};

// How the WAL of a database is used.
enum class WalUse {
  syncs_rarely,
  syncs_always,  // each write: worth a file with zeros ahead (zero_ahead_file.h)
};

// So much of a file that is no WAL waits for its sync at most, up to one append more.
inline constexpr std::size_t kTableSyncStep = 256 << 10;

class FailStopEnv final : public leveldb::EnvWrapper {
 public:
  // Both must outlive this. One database, one FailStopEnv.
  FailStopEnv(Disk& disk, FailFlag& flag, WalUse wal_use = WalUse::syncs_rarely);
  // The database is closed. Its last background work may be about to return.
  ~FailStopEnv() override { await_background_work(); }

  leveldb::Status NewWritableFile(const std::string& name, leveldb::WritableFile** file) override;
  leveldb::Status NewAppendableFile(const std::string& name, leveldb::WritableFile** file) override;
  leveldb::Status RenameFile(const std::string& from, const std::string& to) override;
  leveldb::Status RemoveFile(const std::string& name) override;
  // Failing is no reason to stop: LevelDB makes directories that are there already.
  leveldb::Status CreateDir(const std::string& name) override;
  // LevelDB asks for the next piece when the last one is done.
  void Schedule(void (*function)(void*), void* argument) override;
  // Waits until no thread does any of it.
  void await_background_work();

  [[nodiscard]] Disk& disk() { return disk_; }
  [[nodiscard]] FailFlag& flag() { return flag_; }
  // LevelDB's number of the last write that is durable; it counts puts and deletes. 0: none since
  // this Env was made. Any thread.
  [[nodiscard]] std::uint64_t synced_sequence() const { return synced_sequence_.load(); }
  // The number in the name of the WAL that was created last; 0: none yet. Any thread.
  [[nodiscard]] std::uint64_t wal_number() const { return wal_number_.load(); }

 private:
  friend class WalFile;
  using Create = leveldb::Status (leveldb::Env::*)(const std::string&, leveldb::WritableFile**);
  leveldb::Status create(Create how, const std::string& name, leveldb::WritableFile** file);
  leveldb::Status make_ahead(const std::string& name, std::unique_ptr<leveldb::WritableFile>& file);
  leveldb::Status trip(const leveldb::Status& failure);

  Disk& disk_;
  FailFlag& flag_;
  const WalUse wal_use_;
  std::atomic<std::uint64_t> synced_sequence_ = 0;
  std::atomic<std::uint64_t> wal_number_ = 0;
  std::mutex background_mutex_;
  std::condition_variable background_done_;
  int background_work_ = 0;  // pieces under way
};

// Writes a file of our own, from nothing: durable when it returns. Error: fatal.
[[nodiscard]] Status write_synced(FailStopEnv& env, const std::string& name,
                                  const std::string& bytes);

}  // namespace raftkv::storage
