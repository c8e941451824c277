#include "sim/file_disk.h"

#include <algorithm>

#include "src/base/check.h"
#include "src/base/checksum.h"

namespace raftkv::sim {
namespace {

using leveldb::Status;

constexpr std::size_t kSector = 512;
constexpr std::size_t kBlock = 4096;      // of files that are written past the system's cache
constexpr std::uint64_t kBufferPart = 8;  // a memtable takes several times the bytes of its log

Status missing(const std::string& path) {
  return Status::NotFound(path, "No such file or directory");
}
Status stopped(const std::string& path) {
  return Status::IOError(path, "the simulated disk has stopped");
}
Status broken(const std::string& path) {
  return Status::IOError(path, "Input/output error");
}
Status full(const std::string& path) {
  return Status::IOError(path, "No space left on device");
}

struct Lock final : public leveldb::FileLock {
  explicit Lock(std::string name) : path(std::move(name)) {}
  std::string path;
};

// Without the zeros at its end: room that is taken ahead of what comes later.
std::string_view without_zeros(std::string_view bytes) {
  return bytes.substr(0, bytes.find_last_not_of('\0') + 1);
}

// What a device holds that was told to write `bytes` behind its first `synced` and was not told to
// finish: sectors of it, and a length.
std::string torn(const std::string& bytes, std::size_t synced, Prng& prng) {
  if (bytes.size() <= synced) return bytes;
  const std::size_t size = synced + prng.below(bytes.size() - synced + 1);
  std::string left = bytes.substr(0, size);
  for (std::size_t at = synced; at < size;) {
    const std::size_t end = std::min(size, (at / kSector + 1) * kSector);
    if (prng.chance(1, 2))
      std::fill(left.begin() + static_cast<std::ptrdiff_t>(at),
                left.begin() + static_cast<std::ptrdiff_t>(end), '\0');
    at = end;
  }
  return left;
}

}  // namespace

class FileDisk::Reader final : public leveldb::SequentialFile, public leveldb::RandomAccessFile {
 public:
  Reader(FileDisk& disk, std::string path, FilePtr file)
      : disk_(disk), path_(std::move(path)), file_(std::move(file)) {}

  Status Read(std::uint64_t offset, std::size_t n, leveldb::Slice* result,
              char* scratch) const override {
    if (disk_.fail_reads_) return broken(path_);
    const std::string& bytes = file_->bytes;
    const std::size_t size = offset < bytes.size() ? bytes.copy(scratch, n, offset) : 0;
    *result = {scratch, size};
    disk_.mix('r', path_, offset ^ size);
    return Status::OK();
  }
  Status Read(std::size_t n, leveldb::Slice* result, char* scratch) override {
    const Status status = Read(at_, n, result, scratch);
    if (status.ok()) at_ += result->size();
    return status;
  }
  Status Skip(std::uint64_t n) override {
    at_ += n;
    return Status::OK();
  }

 private:
  FileDisk& disk_;
  std::string path_;
  FilePtr file_;
  std::uint64_t at_ = 0;
};

// Buffers in the process until it is flushed, as LevelDB's own does.
class FileDisk::Writer final : public leveldb::WritableFile {
 public:
  Writer(FileDisk& disk, std::string path, FilePtr file)
      : disk_(disk), path_(std::move(path)), file_(std::move(file)) {}
  ~Writer() override { (void)Flush(); }

  Status Append(const leveldb::Slice& data) override {
    buffer_.append(data.data(), data.size());
    return Status::OK();
  }
  Status Flush() override {
    if (buffer_.empty()) return Status::OK();
    const Status status = disk_.append(*file_, path_, buffer_);
    buffer_.clear();
    return status;
  }
  Status Sync() override {
    const Status flushed = Flush();
    return flushed.ok() ? disk_.sync(*file_, path_) : flushed;
  }
  Status Close() override { return Flush(); }

 private:
  FileDisk& disk_;
  std::string path_;
  FilePtr file_;
  std::string buffer_;
};

class FileDisk::Overwriter final : public storage::OverwritableFile {
 public:
  Overwriter(FileDisk& disk, std::string path, FilePtr file)
      : disk_(disk), path_(std::move(path)), file_(std::move(file)) {}

  // As on the machine's disk; but writes that are no blocks do here, too.
  [[nodiscard]] std::size_t block() const override { return kBlock; }
  Status write_at(std::uint64_t offset, const leveldb::Slice& data) override {
    return disk_.write_at(*file_, path_, offset, {data.data(), data.size()});
  }
  Status truncate(std::uint64_t size) override { return disk_.truncate(*file_, path_, size); }
  Status sync() override { return disk_.sync(*file_, path_); }

 private:
  FileDisk& disk_;
  std::string path_;
  FilePtr file_;
};

FileDisk::FileDisk() : Disk(nullptr) {
  wipe();
}

void FileDisk::wipe() {
  CHECK(background_.empty(), "a database is still open");
  CHECK(locks_.empty(), "a database is still open");
  names_.clear();
  names_["/"] = make_directory();
  durable_ = names_;
  unsynced_.clear();
  forget_faults();
  used_ = 0;
}

FileDisk::FilePtr FileDisk::make_directory() {
  auto made = std::make_shared<File>();
  made->directory = true;
  return made;
}

void FileDisk::forget_faults() {
  operations_left_ = kForever;
  capacity_ = kForever;
  fail_syncs_ = fail_reads_ = false;
}

FileDisk::~FileDisk() = default;

void FileDisk::mix(char kind, const std::string& path, std::uint64_t size) {
  trace_ = chain64(trace_, checksum64(path, size << 8 | static_cast<unsigned char>(kind)));
}

bool FileDisk::operation(char kind, const std::string& path, std::uint64_t size) {
  if (operations_left_ == 0) return false;
  if (operations_left_ != kForever) --operations_left_;
  mix(kind, path, size);
  return true;
}

FileDisk::FilePtr FileDisk::find(const std::string& path) const {
  const auto found = names_.find(path);
  return found == names_.end() ? nullptr : found->second;
}

void FileDisk::change(const std::string& directory, Change change) {
  for (const Entry& entry : change) {
    if (entry.file == nullptr) {
      names_.erase(entry.path);
    } else {
      names_[entry.path] = entry.file;
    }
  }
  unsynced_.emplace_back(directory, std::move(change));
}

// --- files ---

void FileDisk::logged(const std::string& path, std::string_view data) {
  if (!path.ends_with(".log")) return;
  appended_since_ += data.size();
  if (appended_since_ > write_buffer_max() / kBufferPart) run_background_work();
}

Status FileDisk::write_at(File& file, const std::string& path, std::size_t offset,
                          std::string_view data) {
  CHECK(file.cut.empty(), "a file that was cut is synced before it grows again");
  const std::size_t told = without_zeros(data).size();
  // The last block is written again with what follows.
  const std::size_t again = std::max(file.written, offset) - offset;
  if (told > again) logged(path, data.substr(again, told - again));
  if (!operation('w', path, data.size() ^ offset << 20)) return stopped(path);
  const std::size_t room = capacity_ - std::min(capacity_, used_);
  const std::size_t end = std::min(offset + data.size(), file.bytes.size() + room);
  if (end <= offset) return data.empty() ? Status::OK() : full(path);
  for (std::size_t at = offset / kSector * kSector; at < std::min(end, file.synced);
       at += kSector) {
    file.overwritten.try_emplace(at, file.bytes.substr(at, std::min(kSector, file.synced - at)));
  }
  if (end > file.bytes.size()) {
    used_ += end - file.bytes.size();
    file.bytes.resize(end);
  }
  file.bytes.replace(offset, end - offset, data.substr(0, end - offset));
  if (told > 0) file.written = std::max(file.written, std::min(end, offset + told));
  return end == offset + data.size() ? Status::OK() : full(path);
}

Status FileDisk::truncate(File& file, const std::string& path, std::size_t size) {
  if (!operation('t', path, size)) return stopped(path);
  CHECK(size <= file.bytes.size());
  used_ -= file.bytes.size() - size;
  if (file.synced > size) file.cut = file.bytes.substr(size, file.synced - size);
  file.bytes.resize(size);
  file.synced = std::min(file.synced, size);
  file.overwritten.erase(file.overwritten.lower_bound(size), file.overwritten.end());
  return Status::OK();
}

Status FileDisk::append(File& file, const std::string& path, std::string_view data) {
  logged(path, data);
  if (!operation('a', path, data.size())) return stopped(path);
  const std::size_t room = capacity_ - std::min(capacity_, used_);
  const std::string_view fits = data.substr(0, room);
  file.bytes.append(fits);
  file.written = file.bytes.size();
  used_ += fits.size();
  return fits.size() == data.size() ? Status::OK() : full(path);
}

Status FileDisk::sync(File& file, const std::string& path) {
  if (!operation('s', path, file.bytes.size())) return stopped(path);
  if (fail_syncs_) {
    file.dropped = true;
    return broken(path);
  }
  if (file.dropped || lies_) return Status::OK();
  if (file.written > file.last_synced.to)
    file.last_synced = {.from = file.last_synced.to, .to = file.written};
  file.synced = file.bytes.size();
  file.before.reset();
  file.overwritten.clear();
  file.cut.clear();
  return Status::OK();
}

Status FileDisk::NewSequentialFile(const std::string& name, leveldb::SequentialFile** file) {
  *file = nullptr;
  const FilePtr found = find(name);
  if (found == nullptr) return missing(name);
  *file = new Reader(*this, name, found);
  return Status::OK();
}

Status FileDisk::NewRandomAccessFile(const std::string& name, leveldb::RandomAccessFile** file) {
  *file = nullptr;
  const FilePtr found = find(name);
  if (found == nullptr) return missing(name);
  *file = new Reader(*this, name, found);
  return Status::OK();
}

Status FileDisk::NewWritableFile(const std::string& name, leveldb::WritableFile** file) {
  return open_for_writing(name, /*anew=*/true, file);
}

Status FileDisk::NewAppendableFile(const std::string& name, leveldb::WritableFile** file) {
  return open_for_writing(name, /*anew=*/false, file);
}

Status FileDisk::new_overwritable_file(const std::string& name,
                                       std::unique_ptr<storage::OverwritableFile>& file) {
  FilePtr made;
  const Status status = open(name, /*anew=*/true, made);
  if (status.ok()) file = std::make_unique<Overwriter>(*this, name, std::move(made));
  return status;
}

Status FileDisk::open_for_writing(const std::string& name, bool anew,
                                  leveldb::WritableFile** file) {
  FilePtr opened;
  const Status status = open(name, anew, opened);
  *file = status.ok() ? new Writer(*this, name, std::move(opened)) : nullptr;
  return status;
}

Status FileDisk::open(const std::string& name, bool anew, FilePtr& file) {
  const std::string directory = storage::directory_of(name);
  if (find(directory) == nullptr) return missing(name);
  if (!operation('o', name)) return stopped(name);
  file = find(name);
  if (file == nullptr) {
    file = std::make_shared<File>();
    change(directory, {{name, file}});
  } else if (anew) {
    used_ -= file->bytes.size();
    if (!file->before) file->before = file->bytes.substr(0, file->synced);
    file->bytes.clear();
    file->overwritten.clear();
    file->cut.clear();
    file->synced = 0;
    file->dropped = false;
    file->written = 0;
    file->last_synced = {};
  }
  return Status::OK();
}

// --- directories ---

bool FileDisk::FileExists(const std::string& name) {
  return find(name) != nullptr;
}

Status FileDisk::GetChildren(const std::string& directory, std::vector<std::string>* names) {
  names->clear();
  const FilePtr found = find(directory);
  if (found == nullptr || !found->directory) return missing(directory);
  for (const auto& [path, file] : names_) {
    if (path != "/" && storage::directory_of(path) == directory) {
      names->push_back(path.substr(path.rfind('/') + 1));
    }
  }
  return Status::OK();
}

Status FileDisk::sync_directory(const std::string& path) {
  if (find(path) == nullptr) return missing(path);
  if (!operation('d', path)) return stopped(path);
  if (fail_syncs_) return broken(path);
  if (lies_) return Status::OK();
  for (const auto& [directory, change] : unsynced_) {
    if (directory != path) continue;
    for (const Entry& entry : change) {
      if (entry.file == nullptr) {
        durable_.erase(entry.path);
      } else {
        durable_[entry.path] = entry.file;
      }
    }
  }
  std::erase_if(unsynced_, [&](const auto& change) { return change.first == path; });
  return Status::OK();
}

Status FileDisk::RemoveFile(const std::string& name) {
  const FilePtr found = find(name);
  if (found == nullptr) return missing(name);
  if (!operation('u', name)) return stopped(name);
  used_ -= found->bytes.size();
  change(storage::directory_of(name), {{name, nullptr}});
  return Status::OK();
}

Status FileDisk::CreateDir(const std::string& name) {
  const std::string directory = storage::directory_of(name);
  if (find(directory) == nullptr) return missing(name);
  if (find(name) != nullptr) return Status::IOError(name, "File exists");
  if (!operation('m', name)) return stopped(name);
  change(directory, {{name, make_directory()}});
  return Status::OK();
}

Status FileDisk::RemoveDir(const std::string& name) {
  return RemoveFile(name);
}

Status FileDisk::GetFileSize(const std::string& name, std::uint64_t* size) {
  const FilePtr found = find(name);
  if (found == nullptr) return missing(name);
  *size = found->bytes.size();
  return Status::OK();
}

Status FileDisk::RenameFile(const std::string& from, const std::string& to) {
  const FilePtr file = find(from);
  if (file == nullptr) return missing(from);
  if (!operation('n', to)) return stopped(to);
  if (const FilePtr replaced = find(to)) used_ -= replaced->bytes.size();
  change(storage::directory_of(to), {{from, nullptr}, {to, file}});
  return Status::OK();
}

Status FileDisk::LockFile(const std::string& name, leveldb::FileLock** lock) {
  *lock = nullptr;
  if (locks_[name]++ > 0) {
    --locks_[name];
    return Status::IOError(name, "already held");
  }
  if (find(name) == nullptr) {
    leveldb::WritableFile* file = nullptr;
    const Status made = NewWritableFile(name, &file);
    delete file;
    if (!made.ok()) {
      locks_.erase(name);
      return made;
    }
  }
  *lock = new Lock(name);
  return Status::OK();
}

Status FileDisk::UnlockFile(leveldb::FileLock* lock) {
  const std::unique_ptr<Lock> owned(static_cast<Lock*>(lock));
  locks_.erase(owned->path);
  return Status::OK();
}

// --- background work ---

void FileDisk::Schedule(void (*function)(void*), void* argument) {
  mix('b', {}, background_.size());
  if (background_.empty()) appended_since_ = 0;
  background_.emplace_back(function, argument);
}

void FileDisk::run_background_work() {
  while (!background_.empty()) run_some_background_work();
}

void FileDisk::run_some_background_work() {
  if (background_.empty()) return;
  const auto [function, argument] = background_.front();
  background_.erase(background_.begin());
  function(argument);
}

void FileDisk::StartThread(void (* /*function*/)(void*), void* /*argument*/) {
  CHECK(false, "the simulated disk has no threads");
}

Status FileDisk::NewLogger(const std::string& name, leveldb::Logger** logger) {
  *logger = nullptr;
  return Status::NotSupported(name, "the simulated disk has no loggers");
}

Status FileDisk::GetTestDirectory(std::string* /*path*/) {
  return Status::NotSupported("the simulated disk has no test directory");
}

// --- crashes ---

void FileDisk::lose_power(Prng& prng) {
  for (const auto& [directory, change] : unsynced_) {
    const bool kept = prng.chance(1, 2);
    for (const Entry& entry : change) {
      if (!kept) continue;
      if (entry.file == nullptr) {
        durable_.erase(entry.path);
      } else {
        durable_[entry.path] = entry.file;
      }
    }
  }
  names_.clear();
  for (const auto& [path, file] : durable_) {
    // What lies in a directory that is not there is not there.
    if (path != "/" && !names_.contains(storage::directory_of(path))) continue;
    // A file that was begun anew: the device has begun it, too, or not yet.
    if (file->before && prng.chance(1, 2)) {
      file->bytes = *std::move(file->before);
    } else {
      file->bytes = torn(file->bytes, file->synced, prng);
      for (const auto& [at, was] : file->overwritten) {
        if (prng.chance(1, 2)) file->bytes.replace(at, was.size(), was);
      }
      if (!file->cut.empty() && prng.chance(1, 2)) file->bytes += file->cut;
    }
    // Two names of one file, a rename half done, share its bytes.
    names_[path] = file;
    file->synced = file->bytes.size();
    file->before.reset();
    file->overwritten.clear();
    file->cut.clear();
    file->dropped = false;
  }
  durable_ = names_;
  unsynced_.clear();
}

void FileDisk::crash(Crash kind, Prng& prng) {
  CHECK(background_.empty(), "a database is still open");
  CHECK(locks_.empty(), "a database is still open");
  if (kind == Crash::power) lose_power(prng);
  forget_faults();
  used_ = 0;
  for (const auto& [path, file] : names_) {
    used_ += file->bytes.size();
    mix('c', path, checksum64(file->bytes));
  }
}

// --- at rest ---

std::vector<std::string> FileDisk::files() const {
  std::vector<std::string> paths;
  for (const auto& [path, file] : names_) {
    if (!file->directory) paths.push_back(path);
  }
  return paths;
}

const std::string& FileDisk::contents(const std::string& path) const {
  const FilePtr file = find(path);
  CHECK(file != nullptr, "there is no such file");
  return file->bytes;
}

void FileDisk::set_contents(const std::string& path, std::string bytes) {
  const FilePtr file = find(path);
  CHECK(file != nullptr, "there is no such file");
  used_ = used_ - file->bytes.size() + bytes.size();
  file->bytes = std::move(bytes);
  file->synced = file->bytes.size();
  file->before.reset();
  file->overwritten.clear();
  file->cut.clear();
}

FileDisk::Range FileDisk::last_synced(const std::string& path) const {
  const FilePtr file = find(path);
  CHECK(file != nullptr, "there is no such file");
  return file->last_synced;
}

bool FileDisk::remove(const std::string& path) {
  const FilePtr file = find(path);
  if (file == nullptr || file->directory) return false;
  used_ -= file->bytes.size();
  names_.erase(path);
  durable_.erase(path);
  return true;
}

}  // namespace raftkv::sim
