// Long histories for measurements and for planted violations: clients call an object whose
// operations take effect one at a time, somewhere between invocation and return.
#pragma once

#include <cstdint>

#include "linearizability/history.h"

namespace raftkv::linearizability {

enum class Workload : std::uint8_t {
  unique_writes,  // half reads, half writes of values never used again
  cas,            // a third each: reads, writes and compare-and-sets over five values
  unique_cas,     // the same over values never used again
  appends,  // half reads, half appends of texts never used again; long texts are left for new keys
  store,    // this project's: half reads; writes of one key, of up to three at once, and deletes
  indexed_store,  // the same with log indexes in the answers
};

enum class Plant : std::uint8_t {
  nothing,
  stale_read,
  lost_write,
  duplicated_effect,
  reordered_pair
};

struct LargeHistory {
  std::size_t operations = 0;
  std::uint32_t clients = 10;
  std::uint32_t keys = 1;
  Workload workload = Workload::unique_writes;
  std::uint32_t unknown_per_mille =
      0;  // these end with info, half of them without effect; a new client takes over
  std::uint64_t seed = 1;
  Plant plant = Plant::nothing;
  std::size_t planted_at = 0;  // after so many invocations
};
[[nodiscard]] History make_history(const LargeHistory& what);

}  // namespace raftkv::linearizability
