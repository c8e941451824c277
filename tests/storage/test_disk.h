// A disk in memory for the tests of src/storage: knows what a death of the process and what a loss
// of power would leave, fails at a chosen operation, and runs LevelDB's background work when told.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "src/storage/disk.h"

namespace raftkv::storage {

class TestDisk final : public Disk {
 public:
  // Of files that were opened for random access; the files outlive the disk.
  struct Reads {
    std::uint64_t bytes = 0;
    std::function<void()> hook;
  };

  TestDisk();

  // --- faults ---
  // The n-th operation from now that changes something (create, append, flush, sync, close, rename,
  // make a directory, sync a directory) fails, and does half of its work. 0: none.
  void fail_at(std::uint64_t n) { fail_at_ = n == 0 ? 0 : operations_ + n; }
  // Whether those behind it fail as well, or the disk is well again.
  void keep_failing(bool on) { keep_failing_ = on; }
  // Only operations on files whose path contains this count and fail.
  void fail_only(std::string part) { fail_only_ = std::move(part); }
  [[nodiscard]] std::uint64_t operations() const { return operations_; }
  [[nodiscard]] std::uint64_t failures() const { return failures_; }
  // Called before each operation that counts.
  void on_operation(std::function<void()> hook) { hook_ = std::move(hook); }

  // --- crashes ---
  // The disk as the next start finds it: after the death of the process all that was handed to the
  // system is there; after a loss of power only what was synced, in directories that were synced.
  [[nodiscard]] std::unique_ptr<TestDisk> after_kill() const { return image(false); }
  [[nodiscard]] std::unique_ptr<TestDisk> after_power_loss() const { return image(true); }

  // --- at rest ---
  [[nodiscard]] std::vector<std::string> files() const;
  [[nodiscard]] std::string contents(const std::string& path) const;
  // Bytes read from files that were opened for random access (tables).
  [[nodiscard]] std::uint64_t bytes_read() const { return reads_->bytes; }
  // Called after each read of such a file, before the reader has the bytes.
  void on_read(std::function<void()> hook) { reads_->hook = std::move(hook); }
  // Makes the file if there is none.
  void set_contents(const std::string& path, std::string bytes);
  // Everything below this directory becomes as it is on the other disk.
  void restore(const std::string& directory, const TestDisk& from);

  // Runs the background work that LevelDB has asked for, until there is none.
  void run_background_work() override;
  [[nodiscard]] bool has_background_thread() const override { return false; }

  // --- Disk ---
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
  void Schedule(void (*function)(void*), void* argument) override;
  std::uint64_t NowMicros() override { return ++now_; }

 private:
  friend class TestWritableFile;
  struct Node {
    bool directory = false;
    std::string bytes;    // as the system has it
    std::string durable;  // as the device has it
  };
  using Nodes = std::map<std::string, std::shared_ptr<Node>>;

  [[nodiscard]] bool fails(const std::string& path);
  [[nodiscard]] std::unique_ptr<TestDisk> image(bool power_lost) const;
  [[nodiscard]] std::shared_ptr<Node> find(const std::string& path) const;
  leveldb::Status open_for_writing(const std::string& name, bool truncate,
                                   leveldb::WritableFile** file);

  Nodes nodes_;    // by path
  Nodes durable_;  // the entries of synced directories
  std::set<std::string> locks_;
  std::vector<std::pair<void (*)(void*), void*>> background_;
  std::uint64_t operations_ = 0;
  std::uint64_t failures_ = 0;
  std::uint64_t fail_at_ = 0;
  bool keep_failing_ = false;
  std::string fail_only_;
  std::function<void()> hook_;
  std::uint64_t now_ = 0;
  std::shared_ptr<Reads> reads_ = std::make_shared<Reads>();
};

}  // namespace raftkv::storage
