// Staggered: the members of a cluster write the same log at the same speed. What each does after so
// many bytes or so long (a flush of the log's memtable, a sync of the state) all of them would do
// at the same moment, and while they do, no majority is quick. So each has a size of its own.
// (docs/decisions/0013-members-flush-at-different-moments.md)
#pragma once

#include <cstddef>
#include <cstdint>

#include "src/raft/types.h"

namespace raftkv::storage {

// From `size` (bytes, or a Duration) down to three quarters of it, by the member's number: members
// that were added one after the other differ, up to four of them.
template <typename Size>
[[nodiscard]] constexpr Size staggered(Size size, raft::MemberId member) {
  constexpr std::uint64_t kSizes = 4;
  constexpr int kStep = 12;  // three steps are a quarter
  return size - size / kStep * static_cast<int>(member.value % kSizes);
}

}  // namespace raftkv::storage
