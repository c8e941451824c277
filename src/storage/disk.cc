#include "src/storage/disk.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace raftkv::storage {
namespace {

leveldb::Status error_of(const std::string& path) {
  return leveldb::Status::IOError(path, std::strerror(errno));  // NOLINT(concurrency-mt-unsafe)
}

class PosixFile final : public OverwritableFile {
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
  const std::string path_;
  const int fd_;
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
    const int fd = ::open(name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kMode);
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
