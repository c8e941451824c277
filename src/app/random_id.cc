#include "src/app/random_id.h"

#include <sys/random.h>

#include "src/base/check.h"

namespace raftkv::app {

std::uint64_t random_id() {
  std::uint64_t id = 0;
  while (id == 0) {
    // Up to 256 bytes come whole, once the system has seeded its generator (getrandom(2)).
    CHECK(::getrandom(&id, sizeof(id), 0) == sizeof(id));
  }
  return id;
}

}  // namespace raftkv::app
