// A backup on a disk (src/replica/backup.h has the format).
//
// It is written into PATH.part, and has the name PATH only when all of it is durable and has been
// read back: a file with that name is a backup, or somebody has changed it since.
#pragma once

#include <leveldb/env.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/result.h"
#include "src/replica/backup.h"
#include "src/storage/disk.h"

namespace raftkv::storage {

class BackupFileReader {
 public:
  // Reads the header. `disk` must outlive it. Errors: not_found (no file, or it cannot be read),
  // invalid (no backup), corrupt, unsupported.
  [[nodiscard]] static Result<BackupFileReader> open(Disk& disk, const std::string& path);

  [[nodiscard]] const replica::BackupHeader& header() const { return *decoder_.header(); }
  // The next chunk; with the last one the file has ended, and all of it is verified. Not to be
  // called again after that or after an error. Errors: corrupt, unavailable (it cannot be read).
  [[nodiscard]] Result<replica::StateChunk> next();
  // Of what was read so far.
  [[nodiscard]] const replica::BackupTotals& totals() const { return decoder_.totals(); }

 private:
  BackupFileReader(std::string path, std::unique_ptr<leveldb::SequentialFile> file);
  [[nodiscard]] Result<std::optional<replica::StateChunk>> advance();

  std::string path_;
  std::unique_ptr<leveldb::SequentialFile> file_;
  std::vector<char> buffer_;
  std::string_view unread_;  // of the buffer
  bool at_end_ = false;      // of the file
  replica::BackupDecoder decoder_;
  std::optional<replica::StateChunk> first_;  // came with the header
};

class BackupFileWriter {
 public:
  // `disk` must outlive it. With `replace` a file that has this name goes, once the new one is
  // there.
  BackupFileWriter(Disk& disk, std::string path, bool replace);

  // Begins PATH.part, from nothing. Errors: invalid (PATH is there, and is not to be replaced),
  // unavailable (it cannot be written).
  [[nodiscard]] Status begin();
  // Bytes as they come. Errors: as of BackupDecoder (what comes is no backup), unavailable.
  [[nodiscard]] Status append(std::string_view bytes);
  // All has come: makes it durable, reads it back, and gives it its name. Errors: as append().
  [[nodiscard]] Status finish();
  // PATH.part goes, if it has not become PATH.
  void discard();

  // Nullopt until it has come.
  [[nodiscard]] const std::optional<replica::BackupHeader>& header() const {
    return decoder_.header();
  }
  [[nodiscard]] const replica::BackupTotals& totals() const { return decoder_.totals(); }

 private:
  [[nodiscard]] Status may_take_name() const;
  [[nodiscard]] Status verify() const;

  Disk& disk_;
  std::string path_;
  std::string part_;
  bool replace_;
  bool begun_ = false;  // PATH.part is there
  std::unique_ptr<leveldb::WritableFile> file_;
  replica::BackupDecoder decoder_;
};

}  // namespace raftkv::storage
