// CommitHistory: what was committed a second ago, for /readyz (design, section 7).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "src/base/time.h"
#include "src/raft/types.h"

namespace raftkv::replica {

// How far behind in time a node may be with applying and still be ready.
inline constexpr Duration kReadyLagMax = 1s;

class CommitHistory {
 public:
  // All through this is committed. Call it whenever it may have changed; less than before says
  // nothing.
  void note(raft::Index commit_index, Time now);
  // What the commit index was kReadyLagMax ago, to a tenth of that.
  [[nodiscard]] raft::Index before_lag(Time now) const;

 private:
  static constexpr Duration kSlice = kReadyLagMax / 10;
  struct Slice {
    std::int64_t number = 0;   // time / kSlice
    raft::Index commit_index;  // at its end
  };
  // A ring of the latest slices in which something was committed, and what was before them.
  std::array<Slice, 12> slices_{};
  std::size_t newest_ = 0;
  raft::Index before_;
};

}  // namespace raftkv::replica
