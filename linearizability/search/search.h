// What the algorithms have in common: each judges one part of a history, in slices, so that many
// can take turns.
#pragma once

#include <cstdint>
#include <vector>

#include "linearizability/check.h"

namespace raftkv::linearizability {

class Search {
 public:
  enum class State : std::uint8_t { running, linearizable, not_linearizable, out_of_memory };

  virtual ~Search() = default;
  // Goes on for about that many steps (a step costs some ten to hundred nanoseconds), holding at
  // most that many bytes while it does. Not called again once it is neither running nor out of
  // memory.
  virtual State run(std::uint64_t steps, std::uint64_t memory_bytes_max) = 0;
  // linearizable: appends the order of the part's operations.
  virtual void append_witness(std::vector<OperationId>& out) const = 0;
  // not_linearizable: the return, of an operation of the part, that no order gets past.
  [[nodiscard]] virtual Position contradiction() const = 0;
  // not_linearizable: the last event before that behind which, in every order, the state is the
  // initial one and nothing that is under way, or of unknown end, has taken effect; kOpen if there
  // is none, or if this search does not know.
  [[nodiscard]] virtual Position fresh_start() const { return kOpen; }
  [[nodiscard]] virtual std::uint64_t memory_bytes() const = 0;
  [[nodiscard]] virtual Algorithm algorithm() const = 0;
};

// Sees to it that `more` elements fit behind those of `v`, while `held` bytes are held altogether
// and at most `held_max` may be, also during the move. False if that cannot be.
template <typename T>
[[nodiscard]] bool make_room(std::vector<T>& v, std::size_t more, std::uint64_t held,
                             std::uint64_t held_max) {
  const std::size_t needed = v.size() + more;
  if (needed <= v.capacity()) return true;
  for (const std::size_t spare : {v.size(), v.size() / 4, v.size() / 16}) {
    if (held + (needed + spare) * sizeof(T) > held_max) continue;
    v.reserve(needed + spare);
    return true;
  }
  return false;
}

}  // namespace raftkv::linearizability
