// What a fast algorithm says about a part, all at once.
#pragma once

#include <functional>
#include <vector>

#include "linearizability/check.h"

namespace raftkv::linearizability {

// Asked in every loop over a part: whether the caller still wants an answer. It asks the caller
// itself only now and then.
class Patience {
 public:
  // No `still_wanted`: endless.
  explicit Patience(std::function<bool()> still_wanted = {})
      : still_wanted_(std::move(still_wanted)) {}
  // True from the moment the caller lost it.
  [[nodiscard]] bool lost() {
    if ((++asked_ & kMask) == 0 && !lost_ && still_wanted_) lost_ = !still_wanted_();
    return lost_;
  }

 private:
  static constexpr std::uint32_t kMask = (1u << 16) - 1;
  std::function<bool()> still_wanted_;
  std::uint32_t asked_ = 0;
  bool lost_ = false;
};

struct Ruling {
  enum class Kind : std::uint8_t { undecided, linearizable, not_linearizable };

  Kind kind =
      Kind::undecided;  // undecided: the algorithm does not apply to the part, or patience was lost
  // linearizable: the order of the part's operations, if one was wanted.
  std::vector<OperationId> witness;
  // not_linearizable: some operations that are not linearizable alone; closed under reads-from.
  std::vector<OperationId> evidence;
  std::uint64_t memory_bytes = 0;  // the most that was held at once, about
};

}  // namespace raftkv::linearizability
