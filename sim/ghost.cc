#include "sim/ghost.h"

#include <algorithm>

namespace raftkv::sim {

Version KeyHistory::at(Index index) const {
  const auto behind = std::ranges::upper_bound(versions, index, {}, &Version::index);
  return behind == versions.begin() ? Version{} : *std::prev(behind);
}

const Ghost::Known* Ghost::find_known(Index index, Term term) const {
  if (!index || index.value > known.size()) return nullptr;
  for (const Known& one : known[index.value - 1]) {
    if (one.entry.term() == term) return &one;
  }
  return nullptr;
}

}  // namespace raftkv::sim
