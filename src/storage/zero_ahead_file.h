// A write-ahead log whose syncs are cheap. Appending to a file changes its size and its blocks, and
// a sync has to make that durable too: on ext4 a commit of the journal, behind everything that
// others have put into it. So this file is kept longer than what was appended, with zeros behind
// its end, and a sync mostly concerns bytes that have their place already.
//
// Only for files whose reader takes zeros for the end, as LevelDB's log format does
// (src/storage/log_format.h). Close() cuts the zeros off; a crash leaves them.
#pragma once

#include <leveldb/env.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "src/storage/disk.h"

namespace raftkv::storage {

class ZeroAheadFile final : public leveldb::WritableFile {
 public:
  // How far ahead: little at first, for a log that stays small, then twice as much each time.
  static constexpr std::size_t kAheadMin = 64u << 10;
  static constexpr std::size_t kAheadMax = 256u << 10;

  explicit ZeroAheadFile(std::unique_ptr<OverwritableFile> file)
      : file_(std::move(file)), block_(file_->block()) {}
  // Destroyed without Close(), it stays as it is: as a crash leaves it.
  ~ZeroAheadFile() override = default;

  leveldb::Status Append(const leveldb::Slice& data) override;
  // LevelDB calls it for each record. Nothing is promised before a sync: the bytes go with that.
  leveldb::Status Flush() override { return leveldb::Status::OK(); }
  // To the device.
  leveldb::Status Sync() override;
  // What was synced becomes durable without the zeros (a caller that has not synced the rest does
  // that first). Nothing may be appended any more.
  leveldb::Status Close() override;

 private:
  [[nodiscard]] std::uint64_t end() const { return begin_ + bytes_.size(); }
  // To the system.
  leveldb::Status write();
  leveldb::Status write_padded(std::size_t size);

  std::unique_ptr<OverwritableFile> file_;  // null: closed
  const std::size_t block_;
  // Appended, and not yet at the system; and what comes before them in the same block.
  std::string bytes_;
  std::uint64_t begin_ = 0;        // of these in the file: the beginning of a block
  std::size_t written_ = 0;        // of these: at the system
  std::uint64_t file_end_ = 0;     // with zeros
  std::size_t ahead_ = kAheadMin;  // of the next zeros; 0: no more
};

}  // namespace raftkv::storage
