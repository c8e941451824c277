// A disk whose changes stay in memory: what is under it is read, and never written. So whatever a
// start would do to a data directory can be done, and looked at, without doing it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "src/storage/disk.h"

namespace raftkv::storage {

class OverlayDisk final : public Disk {
 public:
  // `under` must outlive this. Locks are taken there, where the file to lock exists: nobody else
  // shall change what is being looked at.
  explicit OverlayDisk(Disk& under) : Disk(&under), under_(under) {}

  leveldb::Status sync_directory(const std::string& path) override;
  leveldb::Status NewSequentialFile(const std::string& name,
                                    leveldb::SequentialFile** file) override;
  leveldb::Status NewRandomAccessFile(const std::string& name,
                                      leveldb::RandomAccessFile** file) override;
  leveldb::Status NewWritableFile(const std::string& name, leveldb::WritableFile** file) override;
  leveldb::Status NewAppendableFile(const std::string& name, leveldb::WritableFile** file) override;
  bool FileExists(const std::string& name) override;
  leveldb::Status GetChildren(const std::string& directory,
                              std::vector<std::string>* names) override;
  leveldb::Status RemoveFile(const std::string& name) override;
  leveldb::Status CreateDir(const std::string& name) override;
  leveldb::Status RemoveDir(const std::string& name) override;
  leveldb::Status GetFileSize(const std::string& name, std::uint64_t* size) override;
  leveldb::Status RenameFile(const std::string& from, const std::string& to) override;
  leveldb::Status LockFile(const std::string& name, leveldb::FileLock** lock) override;
  leveldb::Status UnlockFile(leveldb::FileLock* lock) override;
  // LevelDB's background work waits until the database is closed, which ends it before it begins:
  // nothing is compacted for a look.
  [[nodiscard]] bool has_background_thread() const override { return false; }
  void Schedule(void (*function)(void*), void* argument) override;
  void run_background_work() override;

 private:
  struct Bytes;
  struct Lock;
  class Reader;
  class Writer;
  using Work = std::pair<void (*)(void*), void*>;

  [[nodiscard]] std::shared_ptr<Bytes> find(const std::string& name);
  [[nodiscard]] bool is_removed(const std::string& name);

  Disk& under_;
  std::mutex mutex_;  // over all below: background work that ends runs in a thread of `under`
  std::map<std::string, std::shared_ptr<Bytes>> made_;  // files; null: a directory
  std::set<std::string> removed_;                       // of what is under it
  std::vector<Work> waiting_;
  std::set<void*> closing_;  // whose work does not wait any more
};

}  // namespace raftkv::storage
