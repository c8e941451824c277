#include "src/storage/overlay_disk.h"

#include <algorithm>

namespace raftkv::storage {

// A file in memory.
struct OverlayDisk::Bytes {
  std::mutex mutex;
  std::string bytes;
};

struct OverlayDisk::Lock final : public leveldb::FileLock {
  explicit Lock(leveldb::FileLock* lock) : under(lock) {}
  leveldb::FileLock* under;  // null: there is nothing to lock
};

class OverlayDisk::Reader final : public leveldb::SequentialFile, public leveldb::RandomAccessFile {
 public:
  explicit Reader(std::shared_ptr<Bytes> file) : file_(std::move(file)) {}

  leveldb::Status Read(std::uint64_t offset, std::size_t n, leveldb::Slice* result,
                       char* scratch) const override {
    const std::lock_guard lock(file_->mutex);
    const std::string& bytes = file_->bytes;
    const std::size_t size = offset < bytes.size() ? bytes.copy(scratch, n, offset) : 0;
    *result = {scratch, size};
    return leveldb::Status::OK();
  }
  leveldb::Status Read(std::size_t n, leveldb::Slice* result, char* scratch) override {
    const leveldb::Status status = Read(at_, n, result, scratch);
    at_ += result->size();
    return status;
  }
  leveldb::Status Skip(std::uint64_t n) override {
    at_ += n;
    return leveldb::Status::OK();
  }

 private:
  std::shared_ptr<Bytes> file_;
  std::uint64_t at_ = 0;
};

class OverlayDisk::Writer final : public leveldb::WritableFile {
 public:
  explicit Writer(std::shared_ptr<Bytes> file) : file_(std::move(file)) {}

  leveldb::Status Append(const leveldb::Slice& data) override {
    const std::lock_guard lock(file_->mutex);
    file_->bytes.append(data.data(), data.size());
    return leveldb::Status::OK();
  }
  leveldb::Status Flush() override { return leveldb::Status::OK(); }
  leveldb::Status Sync() override { return leveldb::Status::OK(); }
  leveldb::Status Close() override { return leveldb::Status::OK(); }

 private:
  std::shared_ptr<Bytes> file_;
};

namespace {

leveldb::Status missing(const std::string& name) {
  return leveldb::Status::NotFound(name, "No such file or directory");
}

}  // namespace

std::shared_ptr<OverlayDisk::Bytes> OverlayDisk::find(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = made_.find(name);
  return found == made_.end() ? nullptr : found->second;
}

bool OverlayDisk::is_removed(const std::string& name) {
  const std::lock_guard lock(mutex_);
  return removed_.contains(name);
}

leveldb::Status OverlayDisk::sync_directory(const std::string& /*path*/) {
  return leveldb::Status::OK();
}

leveldb::Status OverlayDisk::NewSequentialFile(const std::string& name,
                                               leveldb::SequentialFile** file) {
  *file = nullptr;
  if (auto bytes = find(name)) {
    *file = new Reader(std::move(bytes));
    return leveldb::Status::OK();
  }
  return is_removed(name) ? missing(name) : under_.NewSequentialFile(name, file);
}

leveldb::Status OverlayDisk::NewRandomAccessFile(const std::string& name,
                                                 leveldb::RandomAccessFile** file) {
  *file = nullptr;
  if (auto bytes = find(name)) {
    *file = new Reader(std::move(bytes));
    return leveldb::Status::OK();
  }
  return is_removed(name) ? missing(name) : under_.NewRandomAccessFile(name, file);
}

leveldb::Status OverlayDisk::NewWritableFile(const std::string& name,
                                             leveldb::WritableFile** file) {
  const std::lock_guard lock(mutex_);
  const auto bytes = std::make_shared<Bytes>();
  made_[name] = bytes;
  *file = new Writer(bytes);
  return leveldb::Status::OK();
}

leveldb::Status OverlayDisk::NewAppendableFile(const std::string& name,
                                               leveldb::WritableFile** file) {
  std::string before;
  if (FileExists(name)) {
    if (const auto read = leveldb::ReadFileToString(this, name, &before); !read.ok()) return read;
  }
  const leveldb::Status status = NewWritableFile(name, file);
  return status.ok() ? (*file)->Append(before) : status;
}

bool OverlayDisk::FileExists(const std::string& name) {
  {
    const std::lock_guard lock(mutex_);
    if (made_.contains(name)) return true;
    if (removed_.contains(name)) return false;
  }
  return under_.FileExists(name);
}

leveldb::Status OverlayDisk::GetChildren(const std::string& directory,
                                         std::vector<std::string>* names) {
  if (!FileExists(directory)) return missing(directory);
  names->clear();
  if (under_.FileExists(directory)) {
    if (const auto listed = under_.GetChildren(directory, names); !listed.ok()) return listed;
  }
  const std::lock_guard lock(mutex_);
  std::erase_if(*names, [&](const std::string& name) {
    const std::string path = directory + "/" + name;
    return removed_.contains(path) || made_.contains(path);
  });
  for (const auto& [path, bytes] : made_) {
    if (directory_of(path) == directory) names->push_back(path.substr(path.rfind('/') + 1));
  }
  return leveldb::Status::OK();
}

leveldb::Status OverlayDisk::RemoveFile(const std::string& name) {
  if (!FileExists(name)) return missing(name);
  const std::lock_guard lock(mutex_);
  made_.erase(name);
  removed_.insert(name);
  return leveldb::Status::OK();
}

leveldb::Status OverlayDisk::CreateDir(const std::string& name) {
  if (FileExists(name)) return leveldb::Status::IOError(name, "File exists");
  const std::lock_guard lock(mutex_);
  made_[name] = nullptr;
  return leveldb::Status::OK();
}

leveldb::Status OverlayDisk::RemoveDir(const std::string& name) {
  return RemoveFile(name);
}

leveldb::Status OverlayDisk::GetFileSize(const std::string& name, std::uint64_t* size) {
  if (const auto bytes = find(name)) {
    const std::lock_guard lock(bytes->mutex);
    *size = bytes->bytes.size();
    return leveldb::Status::OK();
  }
  return is_removed(name) ? missing(name) : under_.GetFileSize(name, size);
}

leveldb::Status OverlayDisk::RenameFile(const std::string& from, const std::string& to) {
  std::string bytes;
  if (const auto read = leveldb::ReadFileToString(this, from, &bytes); !read.ok()) return read;
  leveldb::WritableFile* file = nullptr;
  if (const auto made = NewWritableFile(to, &file); !made.ok()) return made;
  const std::unique_ptr<leveldb::WritableFile> owned(file);
  if (const auto written = owned->Append(bytes); !written.ok()) return written;
  return RemoveFile(from);
}

leveldb::Status OverlayDisk::LockFile(const std::string& name, leveldb::FileLock** lock) {
  *lock = nullptr;
  leveldb::FileLock* held = nullptr;
  if (under_.FileExists(name)) {
    if (const auto locked = under_.LockFile(name, &held); !locked.ok()) return locked;
  }
  *lock = new Lock(held);
  return leveldb::Status::OK();
}

leveldb::Status OverlayDisk::UnlockFile(leveldb::FileLock* lock) {
  const std::unique_ptr<Lock> owned(static_cast<Lock*>(lock));
  return owned->under == nullptr ? leveldb::Status::OK() : under_.UnlockFile(owned->under);
}

void OverlayDisk::Schedule(void (*function)(void*), void* argument) {
  {
    const std::lock_guard lock(mutex_);
    if (!closing_.contains(argument)) {
      waiting_.emplace_back(function, argument);
      return;
    }
  }
  under_.Schedule(function, argument);
}

void OverlayDisk::run_background_work() {
  std::vector<Work> work;
  {
    const std::lock_guard lock(mutex_);
    work.swap(waiting_);
    for (const auto& [function, argument] : work) closing_.insert(argument);
  }
  for (const auto& [function, argument] : work) under_.Schedule(function, argument);
  under_.run_background_work();
}

}  // namespace raftkv::storage
