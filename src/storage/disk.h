// Disk: the outside world of this folder. All file access goes through it, so that the simulator
// can put a disk with faults here (sim::Disk) and LevelDB and our own files meet the same ones.
#pragma once

#include <leveldb/env.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>

namespace raftkv::storage {

// A file that is written at any place.
class OverwritableFile {
 public:
  virtual ~OverwritableFile() = default;
  // Offsets and sizes of writes are multiples of it. 1: the system's cache is in between.
  [[nodiscard]] virtual std::size_t block() const { return 1; }
  // Bytes between the end and `offset` become zeros.
  [[nodiscard]] virtual leveldb::Status write_at(std::uint64_t offset,
                                                 const leveldb::Slice& data) = 0;
  [[nodiscard]] virtual leveldb::Status truncate(std::uint64_t size) = 0;
  // Makes bytes and size durable.
  [[nodiscard]] virtual leveldb::Status sync() = 0;
};

// A leveldb::Env, and what it lacks.
class Disk : public leveldb::EnvWrapper {
 public:
  using EnvWrapper::EnvWrapper;

  // Makes the entries of a directory durable: files created in it and renames within it.
  [[nodiscard]] virtual leveldb::Status sync_directory(const std::string& path) = 0;

  // Makes the file anew and empty. Null in `file` and ok: this disk has no such files, take
  // NewWritableFile.
  [[nodiscard]] virtual leveldb::Status new_overwritable_file(
      const std::string& /*name*/, std::unique_ptr<OverwritableFile>& file) {
    file.reset();
    return leveldb::Status::OK();
  }

  // Is LevelDB's background work (Schedule) done by a thread? Where it is not, nobody may wait for
  // it, and run_background_work() does what was asked for until now: it is called before a database
  // is closed, for LevelDB waits then.
  [[nodiscard]] virtual bool has_background_thread() const { return true; }
  virtual void run_background_work() {}

  // A database's write buffer is at most so large: small on a simulated disk, so that tables are
  // written and compacted there, too.
  [[nodiscard]] virtual std::size_t write_buffer_max() const {
    return std::numeric_limits<std::size_t>::max();
  }
};

// The disk of this machine. Lives as long as the process.
[[nodiscard]] Disk& posix_disk();

// "a/b" of "a/b/c"; "." of "c"; "/" of "/c".
[[nodiscard]] std::string directory_of(const std::string& path);

}  // namespace raftkv::storage
