// A write-ahead log whose syncs are cheap. Appending to a file changes its size and its blocks, and
// a sync has to make that durable too: on ext4 a commit of the journal, behind everything that
// others have put into it. So this file is kept longer than what was appended, with zeros behind
// its end, and a sync mostly concerns bytes that have their place already.
//
// Only for files whose reader takes zeros for the end, as LevelDB's log format does
// (src/storage/log_format.h). Close() cuts the zeros off; a crash leaves them.
#pragma once

#include <leveldb/env.h>

#include <cstdint>
#include <memory>
#include <string>

#include "src/storage/disk.h"

namespace raftkv::storage {

class ZeroAheadFile final : public leveldb::WritableFile {
 public:
  // How far ahead: little at first, for a log that stays small, then twice as much each time.
  static constexpr std::uint64_t kAheadMin = 64u << 10;
  static constexpr std::uint64_t kAheadMax = 256u << 10;

  explicit ZeroAheadFile(std::unique_ptr<OverwritableFile> file) : file_(std::move(file)) {}
  ~ZeroAheadFile() override { (void)Close(); }

  leveldb::Status Append(const leveldb::Slice& data) override;
  // To the system.
  leveldb::Status Flush() override;
  // To the device.
  leveldb::Status Sync() override;
  // Durably without the zeros; nothing may be appended any more.
  leveldb::Status Close() override;

 private:
  void write_zeros();

  std::unique_ptr<OverwritableFile> file_;  // null: closed
  std::string buffer_;                      // appended, and not yet at the system
  std::uint64_t end_ = 0;                   // of what is there
  std::uint64_t zeros_end_ = 0;
  std::uint64_t ahead_ = kAheadMin;  // of the next zeros; 0: no more
};

}  // namespace raftkv::storage
