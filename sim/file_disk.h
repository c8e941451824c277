// A disk with files, under the production storage code: LevelDB and the promise file run on it as
// they run on a machine's. What a process sees and what a crash leaves are kept apart, file by file
// and directory by directory. No thread, no clock, no file of the machine: the same calls and the
// same draws give the same bytes.
//
// A loss of power leaves of what was not synced:
//   - of a file's tail any of its sectors of 512 bytes: later ones may be there and earlier ones
//     zero, and the file may have any length in between;
//   - of a file that was made anew in place of another one, the old bytes or the new;
//   - of the entries of a directory (files made, removed, renamed) any subset, in order.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/disk.h"
#include "src/base/prng.h"
#include "src/storage/disk.h"

namespace raftkv::sim {

class FileDisk final : public storage::Disk {
 public:
  FileDisk();
  ~FileDisk() override;

  // --- faults ---
  // After this many more operations that change something the disk stops: the image that a crash
  // leaves is fixed, and each later operation fails. What runs meanwhile runs to its end.
  void freeze_after(std::uint64_t operations) { operations_left_ = operations; }
  // Takes freeze_after() back.
  void thaw() { operations_left_ = kForever; }
  [[nodiscard]] bool frozen() const { return operations_left_ == 0; }
  // There is room for so many bytes; an append that does not fit writes what fits, and fails.
  void set_capacity(std::uint64_t bytes) { capacity_ = bytes; }
  static constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();
  // Bytes of all files.
  [[nodiscard]] std::uint64_t used() const { return used_; }
  // Each sync fails from now on, and each read. What a file had to write when its sync failed is
  // dropped: a later sync of it reports success and writes none of it.
  void fail_syncs(bool on) { fail_syncs_ = on; }
  void fail_reads(bool on) { fail_reads_ = on; }
  // Syncs do nothing, and report success.
  void lie_about_syncs() { lies_ = true; }

  // The process is gone, and at `power` the machine's memory with it. Freeze the disk and destroy
  // what is open on it before: a process that dies flushes nothing. The disk works again
  // afterwards, its faults are gone. What was not synced before the death of a process is there,
  // and still not synced.
  void crash(Crash kind, Prng& prng);
  // Everything is lost; the disk is as new.
  void wipe();

  // --- background work ---
  // LevelDB calls Schedule with its mutex held: its work waits here. Run it at moments of your
  // choice. LevelDB waits when a write buffer is full and the last one is not yet a table, and here
  // nobody would end its wait: so when write-ahead logs have grown by a part of a buffer since the
  // work was asked for, their next bytes do it first. LevelDB holds no mutex while it appends
  // and syncs, and has synced what it closes.
  [[nodiscard]] std::size_t background_work() const { return background_.size(); }
  void run_background_work() override;
  // The first piece of it; it may ask for another.
  void run_some_background_work();
  // LevelDB's smallest, so that tables are written and compacted in short runs.
  [[nodiscard]] std::size_t write_buffer_max() const override { return std::size_t{64} << 10; }
  [[nodiscard]] bool has_background_thread() const override { return false; }

  // --- at rest ---
  [[nodiscard]] std::vector<std::string> files() const;
  [[nodiscard]] const std::string& contents(const std::string& path) const;
  void set_contents(const std::string& path, std::string bytes);
  // What the last sync of this file made durable that was not before: bytes from..to.
  struct Range {
    std::size_t from = 0;
    std::size_t to = 0;
  };
  [[nodiscard]] Range last_synced(const std::string& path) const;
  // The file is lost. False: there was none.
  bool remove(const std::string& path);
  // A hash of all that was asked of the disk and of what it answered.
  [[nodiscard]] std::uint64_t trace() const { return trace_; }

  // --- storage::Disk ---
  leveldb::Status sync_directory(const std::string& path) override;
  leveldb::Status NewSequentialFile(const std::string& name,
                                    leveldb::SequentialFile** file) override;
  leveldb::Status NewRandomAccessFile(const std::string& name,
                                      leveldb::RandomAccessFile** file) override;
  leveldb::Status NewWritableFile(const std::string& name, leveldb::WritableFile** file) override;
  leveldb::Status NewAppendableFile(const std::string& name, leveldb::WritableFile** file) override;
  leveldb::Status new_overwritable_file(const std::string& name,
                                        std::unique_ptr<storage::OverwritableFile>& file) override;
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
  // Never: LevelDB asks for neither when it is opened as src/storage opens it.
  void StartThread(void (*function)(void*), void* argument) override;
  leveldb::Status NewLogger(const std::string& name, leveldb::Logger** logger) override;
  leveldb::Status GetTestDirectory(std::string* path) override;
  // Counts; LevelDB uses it for statistics only.
  std::uint64_t NowMicros() override { return ++micros_; }
  void SleepForMicroseconds(int /*micros*/) override {}

 private:
  struct File {
    bool directory = false;
    std::string bytes;        // as the system has them
    std::size_t synced = 0;   // the device has the first so many of them
    std::size_t written = 0;  // where the last byte is that is no zero written ahead
    Range last_synced;
    // It was begun anew, and the device may not have begun: what it has instead.
    std::optional<std::string> before;
    bool dropped = false;  // a sync failed: the pages are clean, and were not written
    // Of what is synced, sectors that were written over since: what the device has there.
    std::map<std::size_t, std::string> overwritten;
    std::string cut;  // what a truncation took off, which the device may still have
  };
  using FilePtr = std::shared_ptr<File>;
  using Names = std::map<std::string, FilePtr>;
  // One change of a directory's entries: `path` is this file now, or nothing.
  struct Entry {
    std::string path;
    FilePtr file;
  };
  using Change = std::vector<Entry>;  // more than one: a rename
  class Writer;
  class Reader;
  class Overwriter;

  // Counts an operation that changes something. False: the disk has stopped.
  [[nodiscard]] bool operation(char kind, const std::string& path, std::uint64_t size = 0);
  void mix(char kind, const std::string& path, std::uint64_t size);
  [[nodiscard]] FilePtr find(const std::string& path) const;
  leveldb::Status open_for_writing(const std::string& name, bool anew,
                                   leveldb::WritableFile** file);
  // Makes the file, or takes the one that is there.
  leveldb::Status open(const std::string& name, bool anew, FilePtr& file);
  // More was written to a write-ahead log.
  void logged(const std::string& path, std::string_view data);
  leveldb::Status write_at(File& file, const std::string& path, std::size_t offset,
                           std::string_view data);
  leveldb::Status truncate(File& file, const std::string& path, std::size_t size);
  leveldb::Status append(File& file, const std::string& path, std::string_view data);
  leveldb::Status sync(File& file, const std::string& path);
  void change(const std::string& directory, Change change);
  [[nodiscard]] static FilePtr make_directory();
  void forget_faults();
  void lose_power(Prng& prng);

  static constexpr std::uint64_t kForever = std::numeric_limits<std::uint64_t>::max();

  Names names_;                                           // as the system has them
  Names durable_;                                         // as the device has them
  std::vector<std::pair<std::string, Change>> unsynced_;  // by directory, in order
  std::vector<std::pair<void (*)(void*), void*>> background_;
  std::uint64_t appended_since_ = 0;  // to write-ahead logs, since there is background work
  std::map<std::string, std::uint64_t> locks_;
  std::uint64_t operations_left_ = kForever;
  std::uint64_t capacity_ = kForever;
  std::uint64_t used_ = 0;  // bytes of all files
  bool fail_syncs_ = false;
  bool fail_reads_ = false;
  bool lies_ = false;
  std::uint64_t micros_ = 0;
  std::uint64_t trace_ = 0;
};

}  // namespace raftkv::sim
