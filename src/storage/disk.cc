#include "src/storage/disk.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace raftkv::storage {
namespace {

leveldb::Status error_of(const std::string& path) {
  return leveldb::Status::IOError(path, std::strerror(errno));  // NOLINT(concurrency-mt-unsafe)
}

// What a device writes at once, and the pages of memory that it takes it from.
constexpr std::size_t kBlock = 4096;

// The file system, or the device with its blocks, does not take O_DIRECT: some say so at the open,
// some at the first write.
bool not_past_the_cache(int error) {
  return error == EINVAL || error == EOPNOTSUPP;
}

class PosixFile : public OverwritableFile {
 public:
  PosixFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  ~PosixFile() override { ::close(fd_); }
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;

  leveldb::Status write_at(std::uint64_t offset, const leveldb::Slice& data) override {
    for (std::size_t done = 0; done < data.size();) {
      const auto written =
          ::pwrite(fd_, data.data() + done, data.size() - done, static_cast<off_t>(offset + done));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0 && not_past_the_cache(errno) && enter_cache()) continue;
      if (written < 0) return error_of(path_);
      done += static_cast<std::size_t>(written);
    }
    return leveldb::Status::OK();
  }
  leveldb::Status truncate(std::uint64_t size) override {
    return ::ftruncate(fd_, static_cast<off_t>(size)) == 0 ? leveldb::Status::OK()
                                                           : error_of(path_);
  }
  leveldb::Status sync() override {
    return ::fdatasync(fd_) == 0 ? leveldb::Status::OK() : error_of(path_);
  }

 private:
  // False: it is written through the cache already. Leaves errno alone then.
  [[nodiscard]] bool enter_cache() const {
    const int flags = ::fcntl(fd_, F_GETFL);
    return (flags & O_DIRECT) != 0 && ::fcntl(fd_, F_SETFL, flags & ~O_DIRECT) == 0;
  }

  const std::string path_;
  const int fd_;
};

// Past the system's cache (O_DIRECT): its pages cost a sync more than the device's own part does.
class DirectFile final : public PosixFile {
 public:
  using PosixFile::PosixFile;

  [[nodiscard]] std::size_t block() const override { return kBlock; }
  leveldb::Status write_at(std::uint64_t offset, const leveldb::Slice& data) override {
    for (std::size_t done = 0; done < data.size();) {
      const std::size_t size = std::min(data.size() - done, kAtOnce);
      reserve(size);
      std::memcpy(aligned_.get(), data.data() + done, size);
      leveldb::Status status = PosixFile::write_at(offset + done, {aligned_.get(), size});
      if (!status.ok()) return status;
      done += size;
    }
    return leveldb::Status::OK();
  }

 private:
  static constexpr std::size_t kAtOnce = 1 << 20;  // bytes
  struct Free {
    void operator()(char* memory) const { std::free(memory); }  // NOLINT(*-no-malloc)
  };

  void reserve(std::size_t size) {
    if (size <= room_) return;
    room_ = std::bit_ceil(size);
    aligned_.reset(static_cast<char*>(std::aligned_alloc(kBlock, room_)));
    if (aligned_ == nullptr) throw std::bad_alloc();
  }

  std::unique_ptr<char, Free> aligned_;
  std::size_t room_ = 0;
};

class PosixDisk final : public Disk {
 public:
  PosixDisk() : Disk(leveldb::Env::Default()) {}

  leveldb::Status sync_directory(const std::string& path) override {
    const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return error_of(path);
    leveldb::Status status;
    // EINVAL: a file system that has nothing to sync here, a read-only one above our own, say.
    if (::fsync(fd) != 0 && errno != EINVAL) status = error_of(path);
    ::close(fd);
    return status;
  }
  leveldb::Status new_overwritable_file(const std::string& name,
                                        std::unique_ptr<OverwritableFile>& file) override {
    constexpr mode_t kMode = 0644;
    constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
    // It stays empty until its first write, however soon the process dies: that a WAL holds
    // anything shows that the one before was closed (WalBreak::passed). So nothing is tried out on
    // it.
    if (const int fd = ::open(name.c_str(), kFlags | O_DIRECT, kMode); fd >= 0) {
      file = std::make_unique<DirectFile>(name, fd);
      return leveldb::Status::OK();
    }
    if (!not_past_the_cache(errno)) return error_of(name);
    const int fd = ::open(name.c_str(), kFlags, kMode);
    if (fd < 0) return error_of(name);
    file = std::make_unique<PosixFile>(name, fd);
    return leveldb::Status::OK();
  }
};

}  // namespace

Disk& posix_disk() {
  static PosixDisk disk;
  return disk;
}

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace raftkv::storage
