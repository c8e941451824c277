#include "bench/allocations.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {
std::atomic<std::uint64_t> count{0};
}

// Replaces the global allocation functions ([new.delete.single]); in a file of its own, so that no
// caller is inlined.
void* operator new(std::size_t size) {
  count.fetch_add(1, std::memory_order_relaxed);
  if (void* p = std::malloc(size)) return p;
  std::abort();
}
void operator delete(void* p) noexcept {
  std::free(p);
}
void operator delete(void* p, std::size_t) noexcept {
  std::free(p);
}

namespace raftkv::bench {
std::uint64_t allocations() {
  return count.load(std::memory_order_relaxed);
}
}  // namespace raftkv::bench
