#include "src/storage/backup_file.h"

#include <fmt/format.h>

#include <utility>

#include "src/base/check.h"

namespace raftkv::storage {
namespace {

constexpr std::size_t kReadBytes = 1u << 20;

std::unexpected<Error> unavailable(std::string_view what, const leveldb::Status& status) {
  return failure(ErrorCode::unavailable, fmt::format("cannot {} {}", what, status.ToString()));
}

}  // namespace

// --- reading ---

BackupFileReader::BackupFileReader(std::string path, std::unique_ptr<leveldb::SequentialFile> file)
    : path_(std::move(path)), file_(std::move(file)), buffer_(kReadBytes) {}

Result<BackupFileReader> BackupFileReader::open(Disk& disk, const std::string& path) {
  leveldb::SequentialFile* file = nullptr;
  if (const auto status = disk.NewSequentialFile(path, &file); !status.ok()) {
    return failure(ErrorCode::not_found, fmt::format("cannot read {}", status.ToString()));
  }
  BackupFileReader reader(path, std::unique_ptr<leveldb::SequentialFile>(file));
  while (!reader.decoder_.header()) {
    auto chunk = reader.advance();
    if (!chunk) return failure(chunk);
    reader.first_ = std::move(*chunk);
  }
  return reader;
}

Result<replica::StateChunk> BackupFileReader::next() {
  std::optional<replica::StateChunk> chunk = std::exchange(first_, std::nullopt);
  CHECK(chunk || !decoder_.whole(), "nothing is read behind the end");
  while (!chunk) {
    auto more = advance();
    if (!more) return failure(more);
    chunk = std::move(*more);
  }
  // The end of the backup has to be that of the file.
  while (decoder_.whole() && chunk->last && !at_end_) {
    if (const auto nothing = advance(); !nothing) return failure(nothing);
  }
  return std::move(*chunk);
}

// Takes what was read, or reads more. At the end of the file: the backup must have ended.
Result<std::optional<replica::StateChunk>> BackupFileReader::advance() {
  if (unread_.empty()) {
    leveldb::Slice read;
    if (const auto status = file_->Read(buffer_.size(), &read, buffer_.data()); !status.ok()) {
      return unavailable("read", status);
    }
    unread_ = {read.data(), read.size()};
    at_end_ = unread_.empty();
  }
  auto chunk = decoder_.take(unread_);
  if (chunk && at_end_) {
    if (const Status ended = decoder_.finish(); !ended) chunk = failure(ended);
  }
  if (chunk) return chunk;
  return failure(chunk.error().code, fmt::format("{}: {}", path_, chunk.error().message));
}

// --- writing ---

BackupFileWriter::BackupFileWriter(Disk& disk, std::string path, bool replace)
    : disk_(disk), path_(std::move(path)), part_(path_ + ".part"), replace_(replace) {}

Status BackupFileWriter::begin() {
  if (Status may = may_take_name(); !may) return may;
  decoder_ = {};
  file_.reset();
  leveldb::WritableFile* file = nullptr;
  if (const auto status = disk_.NewWritableFile(part_, &file); !status.ok()) {
    return unavailable("write", status);
  }
  file_.reset(file);
  begun_ = true;
  return {};
}

Status BackupFileWriter::may_take_name() const {
  if (replace_ || !disk_.FileExists(path_)) return {};
  return failure(ErrorCode::invalid,
                 fmt::format("{} is there already: name another file, or say --force", path_));
}

Status BackupFileWriter::append(std::string_view bytes) {
  CHECK(file_ != nullptr);
  if (const auto status = file_->Append(leveldb::Slice(bytes.data(), bytes.size())); !status.ok()) {
    return unavailable("write", status);
  }
  while (!bytes.empty()) {
    if (const auto taken = decoder_.take(bytes); !taken) return failure(taken);
  }
  return {};
}

Status BackupFileWriter::finish() {
  CHECK(file_ != nullptr);
  if (Status whole = decoder_.finish(); !whole) return whole;
  auto status = file_->Sync();
  if (status.ok()) status = file_->Close();
  file_.reset();
  if (!status.ok()) return unavailable("write", status);
  if (Status verified = verify(); !verified) return verified;
  if (Status may = may_take_name(); !may) return may;
  status = disk_.RenameFile(part_, path_);
  if (status.ok()) status = disk_.sync_directory(directory_of(path_));
  if (!status.ok()) return unavailable("rename", status);
  begun_ = false;
  return {};
}

// What lies on the disk, not what came.
Status BackupFileWriter::verify() const {
  auto reader = BackupFileReader::open(disk_, part_);
  if (!reader) return failure(reader);
  for (;;) {
    const auto chunk = reader->next();
    if (!chunk) return failure(chunk);
    if (chunk->last) break;
  }
  if (reader->totals() == decoder_.totals()) return {};
  return failure(ErrorCode::corrupt,
                 fmt::format("{} is not what was written: another process writes it, too", part_));
}

void BackupFileWriter::discard() {
  file_.reset();
  if (std::exchange(begun_, false)) (void)disk_.RemoveFile(part_);
}

}  // namespace raftkv::storage
