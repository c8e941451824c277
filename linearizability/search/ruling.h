// What a fast algorithm says about a part, all at once.
#pragma once

#include <vector>

#include "linearizability/check.h"

namespace raftkv::linearizability {

struct Ruling {
  enum class Kind : std::uint8_t { undecided, linearizable, not_linearizable };

  Kind kind = Kind::undecided;  // undecided: the algorithm does not apply to the part
  // linearizable: the order of the part's operations, if one was wanted.
  std::vector<OperationId> witness;
  // not_linearizable: some operations that are not linearizable alone; closed under reads-from.
  std::vector<OperationId> evidence;
  std::uint64_t memory_bytes = 0;  // the most that was held at once, about
};

}  // namespace raftkv::linearizability
