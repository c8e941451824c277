// Staggered: the members of a cluster write the same log at the same speed. What each does after so
// many bytes (a flush of the log's memtable, a sync of the state) all of them would do at the same
// moment, and while they do, no majority is quick. So each has a size of its own.
// (docs/decisions/0013-members-flush-at-different-moments.md)
#pragma once

#include <cstddef>
#include <cstdint>

#include "src/raft/types.h"

namespace raftkv::storage {

// From `bytes` down to three quarters of it, by the member's number: members that were added one
// after the other differ, up to four of them.
[[nodiscard]] constexpr std::size_t staggered(std::size_t bytes, raft::MemberId member) {
  constexpr std::uint64_t kSizes = 4;
  constexpr std::size_t kStep = 12;  // three steps are a quarter
  return bytes - bytes / kStep * static_cast<std::size_t>(member.value % kSizes);
}

}  // namespace raftkv::storage
