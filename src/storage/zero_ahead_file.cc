#include "src/storage/zero_ahead_file.h"

#include <algorithm>

namespace raftkv::storage {

leveldb::Status ZeroAheadFile::Append(const leveldb::Slice& data) {
  buffer_.append(data.data(), data.size());
  return leveldb::Status::OK();
}

leveldb::Status ZeroAheadFile::Flush() {
  if (buffer_.empty()) return leveldb::Status::OK();
  const leveldb::Status status = file_->write_at(end_, buffer_);
  if (!status.ok()) return status;
  end_ += buffer_.size();
  buffer_.clear();
  return status;
}

leveldb::Status ZeroAheadFile::Sync() {
  leveldb::Status status = Flush();
  if (!status.ok()) return status;
  if (end_ > zeros_end_ && ahead_ > 0) write_zeros();
  return file_->sync();
}

// Where there is no room for them, the file does without: nothing that was appended is touched.
void ZeroAheadFile::write_zeros() {
  static const std::string kZeros(kAheadMax, '\0');
  const leveldb::Slice zeros(kZeros.data(), static_cast<std::size_t>(ahead_));
  if (file_->write_at(end_, zeros).ok()) {
    zeros_end_ = end_ + ahead_;
    ahead_ = std::min(ahead_ * 2, kAheadMax);
  } else {
    ahead_ = 0;
    (void)file_->truncate(end_);
  }
}

leveldb::Status ZeroAheadFile::Close() {
  if (file_ == nullptr) return leveldb::Status::OK();
  leveldb::Status status = Flush();
  if (status.ok() && zeros_end_ > end_) {
    status = file_->truncate(end_);
    if (status.ok()) status = file_->sync();
  }
  file_.reset();
  return status;
}

}  // namespace raftkv::storage
