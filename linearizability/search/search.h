// What the algorithms have in common: each judges one part of a history, in slices, so that many
// can take turns.
#pragma once

#include <cstdint>
#include <vector>

#include "linearizability/check.h"

namespace raftkv::linearizability {

// The bytes of a vector of which `used` of `room` are taken: while it doubles, the old and the new
// are held at once, so it counts threefold shortly before.
template <typename T>
[[nodiscard]] std::uint64_t bytes_with_growth(const std::vector<T>& v, std::size_t used,
                                              std::size_t room) {
  return v.capacity() * sizeof(T) * (used >= room - room / 16 ? 3 : 1);
}
template <typename T>
[[nodiscard]] std::uint64_t bytes_with_growth(const std::vector<T>& v) {
  return bytes_with_growth(v, v.size(), v.capacity());
}

class Search {
 public:
  enum class State : std::uint8_t { running, linearizable, not_linearizable };

  virtual ~Search() = default;
  // Goes on for about that many steps (a step costs some ten to hundred nanoseconds). Not called
  // again once it is not running.
  virtual State run(std::uint64_t steps) = 0;
  // linearizable: appends the order of the part's operations.
  virtual void append_witness(std::vector<OperationId>& out) const = 0;
  // not_linearizable: the return, of an operation of the part, that no order gets past.
  [[nodiscard]] virtual Position contradiction() const = 0;
  // What is held, and what it takes to grow where that is near: a limit must not be passed
  // meanwhile.
  [[nodiscard]] virtual std::uint64_t memory_bytes() const = 0;
  [[nodiscard]] virtual Algorithm algorithm() const = 0;
};

}  // namespace raftkv::linearizability
