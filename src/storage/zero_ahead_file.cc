#include "src/storage/zero_ahead_file.h"

#include <algorithm>

namespace raftkv::storage {

leveldb::Status ZeroAheadFile::Append(const leveldb::Slice& data) {
  bytes_.append(data.data(), data.size());
  return leveldb::Status::OK();
}

// The last block is written again with what comes next: what is in it stays here until it is full.
leveldb::Status ZeroAheadFile::write() {
  if (written_ == bytes_.size()) return leveldb::Status::OK();
  const std::size_t size = bytes_.size();
  const std::size_t full = size / block_ * block_;
  const std::size_t padded = full == size ? full : full + block_;
  const leveldb::Status status = write_padded(padded);
  bytes_.resize(size);
  if (!status.ok()) return status;
  file_end_ = std::max(file_end_, begin_ + padded);
  bytes_.erase(0, full);
  begin_ += full;
  written_ = bytes_.size();
  return status;
}

// With the next zeros if the last ones are used up. Where there is no room for them, the file does
// without: a write with zeros that fails, for whatever reason, is tried once more without. Nothing
// of it was promised, and a disk that is broken fails that one, too.
leveldb::Status ZeroAheadFile::write_padded(std::size_t size) {
  if (begin_ + size >= file_end_ && ahead_ > 0) {
    bytes_.resize(size + ahead_);
    if (file_->write_at(begin_, bytes_).ok()) {
      file_end_ = begin_ + size + ahead_;
      ahead_ = std::min(ahead_ * 2, kAheadMax);
      return leveldb::Status::OK();
    }
    ahead_ = 0;
    (void)file_->truncate(file_end_);
  }
  bytes_.resize(size);
  return file_->write_at(begin_, bytes_);
}

leveldb::Status ZeroAheadFile::Sync() {
  const leveldb::Status status = write();
  return status.ok() ? file_->sync() : status;
}

leveldb::Status ZeroAheadFile::Close() {
  if (file_ == nullptr) return leveldb::Status::OK();
  leveldb::Status status = write();
  if (status.ok() && file_end_ > end()) {
    status = file_->truncate(end());
    if (status.ok()) status = file_->sync();
  }
  file_.reset();
  return status;
}

}  // namespace raftkv::storage
