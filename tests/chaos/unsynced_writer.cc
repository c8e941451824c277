// Writes, syncs, writes more, and dies by SIGKILL: for unsynced_test.cc. Ends with 3 if the sync
// fails as a disk's does.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

namespace {

bool put(int fd, std::string_view bytes) {
  return ::write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
}

}  // namespace

int main(int, char** argv) {
  const int fd = ::open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd < 0 || !put(fd, "synced\n")) return 1;
  if (::fdatasync(fd) != 0) return errno == EIO ? 3 : 1;
  if (!put(fd, "appended\n") || ::pwrite(fd, "SY", 2, 0) != 2) return 1;
  const int never = ::open(argv[2], O_WRONLY | O_CREAT, 0600);
  if (never < 0 || !put(never, "never synced\n")) return 1;
  ::raise(SIGKILL);
}
