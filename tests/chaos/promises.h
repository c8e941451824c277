// What clients were promised beyond linearizability, and what can be judged in one pass over a
// record of any length (docs/chaos.md says each rule in words). Each broken promise is one
// sentence.
#pragma once

#include <string>
#include <vector>

#include "tests/chaos/record.h"

namespace raftkv::chaos {

// `operations` by time of invocation.
[[nodiscard]] std::vector<std::string> broken_promises(const std::vector<Operation>& operations);

}  // namespace raftkv::chaos
