// The library that raftkv-chaos preloads into nodes. It writes a journal (unsynced.h) and lets
// every call do what it always does; but for syncs, which can be slow or fail (disk_control.h).
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>

#include "tests/chaos/disk_control.h"
#include "tests/chaos/unsynced.h"

namespace {

using raftkv::chaos::JournalRecord;
using What = JournalRecord::What;

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

ssize_t real_write(int fd, const void* bytes, std::size_t size) {
  static const auto kWrite = next<ssize_t (*)(int, const void*, std::size_t)>("write");
  return kWrite(fd, bytes, size);
}
int real_open(const char* path, int flags, mode_t mode) {
  static const auto kOpen = next<int (*)(const char*, int, ...)>("open");
  return kOpen(path, flags, mode);
}

constexpr std::size_t kDescriptorsMost = 65536;

// Never destroyed: threads may still write when the process ends.
struct Journal {
  std::recursive_mutex mutex;  // a journalled write and the write itself are one step
  int fd = -1;
  std::string below;
  std::uint64_t records = 0;
  std::array<std::atomic<std::uint64_t>, kDescriptorsMost> inodes{};  // of watched descriptors

  Journal() {
    const char* const path = std::getenv(raftkv::chaos::kJournalVariable);
    const char* const directory = std::getenv(raftkv::chaos::kBelowVariable);
    if (path == nullptr || directory == nullptr) return;
    below = std::string(directory) + "/";
    fd = real_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  }

  [[nodiscard]] bool counts(const char* path) const {
    return fd >= 0 && std::strncmp(path, below.c_str(), below.size()) == 0;
  }
  [[nodiscard]] std::uint64_t inode_of(int descriptor) const {
    return descriptor >= 0 && static_cast<std::size_t>(descriptor) < kDescriptorsMost
               ? inodes[static_cast<std::size_t>(descriptor)].load()
               : 0;
  }

  // A journal with holes would say that unsynced bytes were synced: rather no process at all.
  void add(JournalRecord record, const std::string& old) {
    record.size_old = old.size();
    std::string bytes(reinterpret_cast<const char*>(&record), sizeof(record));
    bytes += old;
    if (real_write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) ::abort();
    ++records;
  }
};

Journal& journal() {
  static Journal* const kJournal = new Journal;
  return *kJournal;
}

// What stands in the file from `offset` on, at most `size` bytes. The descriptor may not be
// readable, so another is opened.
std::string old_bytes(int fd, std::uint64_t offset, std::uint64_t size) {
  std::string bytes(size, '\0');
  const std::string self = "/proc/self/fd/" + std::to_string(fd);
  const int reader = real_open(self.c_str(), O_RDONLY | O_CLOEXEC, 0);
  const ssize_t got = ::pread(reader, bytes.data(), size, static_cast<off_t>(offset));
  ::close(reader);
  bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return bytes;
}

std::uint64_t size_of(int fd) {
  struct stat status{};
  return ::fstat(fd, &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

void before_write(int fd, std::uint64_t inode, std::uint64_t offset, std::uint64_t size) {
  const std::uint64_t file = size_of(fd);
  std::string old;
  if (offset < file) old = old_bytes(fd, offset, std::min(size, file - offset));
  journal().add({What::write, inode, offset, size, file, 0}, old);
}

void before_truncate(int fd, std::uint64_t inode, std::uint64_t size) {
  const std::uint64_t file = size_of(fd);
  std::string old;
  if (size < file) old = old_bytes(fd, size, file - size);
  journal().add({What::truncate, inode, size, 0, file, 0}, old);
}

// Opens without O_TRUNC, which is then done as a truncation of its own.
int open_watched(const char* path, int flags, mode_t mode) {
  Journal& all = journal();
  const std::lock_guard lock(all.mutex);
  const bool created = (flags & O_CREAT) != 0 && ::access(path, F_OK) != 0;
  const int fd = real_open(path, flags & ~O_TRUNC, mode);
  if (fd < 0) return fd;
  struct stat status{};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return fd;
  const std::uint64_t inode = status.st_ino;
  if (static_cast<std::size_t>(fd) < kDescriptorsMost)
    all.inodes[static_cast<std::size_t>(fd)] = inode;
  if (created) all.add({What::created, inode, 0, 0, 0, 0}, "");
  if (!created && (flags & O_TRUNC) != 0) {
    before_truncate(fd, inode, 0);
    static const auto kTruncate = next<int (*)(int, off_t)>("ftruncate");
    if (kTruncate(fd, 0) != 0) ::abort();
  }
  return fd;
}

int open_any(const char* path, int flags, mode_t mode) {
  const bool writes = (flags & O_ACCMODE) != O_RDONLY;
  return writes && journal().counts(path) ? open_watched(path, flags, mode)
                                          : real_open(path, flags, mode);
}

// Null without one. Not the journal's: mapping it calls the functions below.
raftkv::chaos::DiskControl* control() {
  static raftkv::chaos::DiskControl* const kControl = [] {
    const char* const path = std::getenv(raftkv::chaos::kControlVariable);
    auto* const page = path == nullptr ? nullptr : raftkv::chaos::map_disk_control(path, false);
    if (path != nullptr && page == nullptr) ::abort();
    return page;
  }();
  return kControl;
}

// What the control says: the time passes here, in short steps, so that healing ends it at once.
// False: the sync fails.
bool sync_may_go_on(raftkv::chaos::DiskControl& control) {
  constexpr std::uint32_t kStepMs = 5;
  for (std::uint32_t waited = 0; waited < control.sync_ms; waited += kStepMs) {
    const timespec step{0, kStepMs * 1'000'000L};
    ::nanosleep(&step, nullptr);
  }
  if (control.failing == 0) return true;
  ++control.failures;
  return false;
}

std::int64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000L + now.tv_nsec;
}

template <typename Sync>
int timed(raftkv::chaos::DiskControl& control, int fd, Sync sync) {
  const std::int64_t began = now_ns();
  const int result = sync(fd);
  const std::int64_t ended = now_ns();
  if (ended - began >= control.noted_from_ms * 1'000'000L) {
    auto& noted = control.noted[control.noted_syncs++ % std::size(control.noted)];
    noted.began = began;
    noted.ended = ended;
  }
  return result;
}

template <typename Sync>
int sync_any(int fd, Sync sync) {
  Journal& all = journal();
  const std::uint64_t inode = all.inode_of(fd);
  if (inode == 0) return sync(fd);
  std::uint64_t before = 0;
  {
    const std::lock_guard lock(all.mutex);
    before = all.records;
  }
  if (control() != nullptr && !sync_may_go_on(*control())) {
    errno = EIO;
    return -1;
  }
  const int result = control() == nullptr ? sync(fd) : timed(*control(), fd, sync);
  if (result == 0) {
    const int error = errno;
    const std::lock_guard lock(all.mutex);
    all.add({What::sync, inode, before, 0, 0, 0}, "");
    errno = error;
  }
  return result;
}

mode_t mode_of(int flags, std::va_list arguments) {
  return (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  std::va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_any(path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  std::va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_any(path, flags, mode);
}

int close(int fd) {
  static const auto kClose = next<int (*)(int)>("close");
  if (fd >= 0 && static_cast<std::size_t>(fd) < kDescriptorsMost)
    journal().inodes[static_cast<std::size_t>(fd)] = 0;
  return kClose(fd);
}

ssize_t write(int fd, const void* bytes, std::size_t size) {
  Journal& all = journal();
  const std::uint64_t inode = all.inode_of(fd);
  if (inode == 0) return real_write(fd, bytes, size);
  const std::lock_guard lock(all.mutex);
  const bool appends = (::fcntl(fd, F_GETFL) & O_APPEND) != 0;
  const auto offset = appends ? size_of(fd) : static_cast<std::uint64_t>(::lseek(fd, 0, SEEK_CUR));
  before_write(fd, inode, offset, size);
  return real_write(fd, bytes, size);
}

ssize_t pwrite(int fd, const void* bytes, std::size_t size, off_t offset) {
  static const auto kWrite = next<ssize_t (*)(int, const void*, std::size_t, off_t)>("pwrite");
  Journal& all = journal();
  const std::uint64_t inode = all.inode_of(fd);
  if (inode == 0) return kWrite(fd, bytes, size, offset);
  const std::lock_guard lock(all.mutex);
  before_write(fd, inode, static_cast<std::uint64_t>(offset), size);
  return kWrite(fd, bytes, size, offset);
}
ssize_t pwrite64(int fd, const void* bytes, std::size_t size, off_t offset) {
  return pwrite(fd, bytes, size, offset);
}

int ftruncate(int fd, off_t size) noexcept {
  static const auto kTruncate = next<int (*)(int, off_t)>("ftruncate");
  Journal& all = journal();
  const std::uint64_t inode = all.inode_of(fd);
  if (inode == 0) return kTruncate(fd, size);
  const std::lock_guard lock(all.mutex);
  before_truncate(fd, inode, static_cast<std::uint64_t>(size));
  return kTruncate(fd, size);
}
int ftruncate64(int fd, off_t size) noexcept {
  return ftruncate(fd, size);
}

int fsync(int fd) {
  static const auto kSync = next<int (*)(int)>("fsync");
  return sync_any(fd, kSync);
}
int fdatasync(int fd) {
  static const auto kSync = next<int (*)(int)>("fdatasync");
  return sync_any(fd, kSync);
}

}  // extern "C"
