#include "src/storage/disk.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace raftkv::storage {
namespace {

class PosixDisk final : public Disk {
 public:
  PosixDisk() : Disk(leveldb::Env::Default()) {}

  leveldb::Status sync_directory(const std::string& path) override {
    const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return error(path);
    leveldb::Status status;
    // EINVAL: a file system that has nothing to sync here, a read-only one above our own, say.
    if (::fsync(fd) != 0 && errno != EINVAL) status = error(path);
    ::close(fd);
    return status;
  }

 private:
  static leveldb::Status error(const std::string& path) {
    return leveldb::Status::IOError(path, std::strerror(errno));  // NOLINT(concurrency-mt-unsafe)
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
