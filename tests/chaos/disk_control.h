// A page of memory that this program shares with a node's interposed library: what the node's syncs
// meet. Both map the same file, so that it can change while the node runs.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

namespace raftkv::chaos {

// The environment of the process: the page's path. Without it syncs are as they are.
inline constexpr const char* kControlVariable = "RAFTKV_DISK_CONTROL";

// In a file that begins as zeros.
struct DiskControl {
  std::atomic<std::uint32_t> sync_ms;   // each sync of a watched file takes so much longer
  std::atomic<std::uint32_t> failing;   // not 0: each fails (EIO), and nothing is synced
  std::atomic<std::uint64_t> failures;  // how many have
};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

// Maps the page, and makes it if `make`. Null: it cannot. It stays mapped.
[[nodiscard]] DiskControl* map_disk_control(const std::string& path, bool make);

}  // namespace raftkv::chaos
