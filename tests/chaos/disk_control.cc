#include "tests/chaos/disk_control.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace raftkv::chaos {

DiskControl* map_disk_control(const std::string& path, bool make) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | (make ? O_CREAT : 0), 0600);
  if (fd < 0) return nullptr;
  const bool sized = !make || ::ftruncate(fd, sizeof(DiskControl)) == 0;
  void* const page =
      sized ? ::mmap(nullptr, sizeof(DiskControl), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
            : MAP_FAILED;
  ::close(fd);
  return page == MAP_FAILED ? nullptr : static_cast<DiskControl*>(page);
}

}  // namespace raftkv::chaos
