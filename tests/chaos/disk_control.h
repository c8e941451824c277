// A page of memory that this program shares with a node's interposed library: what the node's syncs
// meet. Both map the same file, so that it can change while the node runs.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

namespace raftkv::chaos {

// The environment of the process: the page's path. Without it syncs are as they are.
inline constexpr const char* kControlVariable = "RAFTKV_DISK_CONTROL";

// On the steady clock, in ns.
struct LongSync {
  std::atomic<std::int64_t> began, ended;
};

// In a file that begins as zeros.
struct DiskControl {
  std::atomic<std::uint32_t> sync_ms;   // each sync of a watched file takes so much longer
  std::atomic<std::uint32_t> failing;   // not 0: each fails (EIO), and nothing is synced
  std::atomic<std::uint64_t> failures;  // how many have

  // Syncs that took this long by themselves, without what is added to them: the machine's disk was
  // slow. The last ones, in turns.
  std::atomic<std::uint32_t> noted_from_ms;
  std::atomic<std::uint64_t> noted_syncs;  // how many
  LongSync noted[256];
};
inline constexpr std::uint32_t kLongSyncMs = 250;
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

// Maps the page, and makes it if `make`. Null: it cannot. It stays mapped.
[[nodiscard]] DiskControl* map_disk_control(const std::string& path, bool make);

}  // namespace raftkv::chaos
