// What each nemesis did to latency and availability.
#pragma once

#include <string>
#include <vector>

#include "tests/chaos/record.h"

namespace raftkv::chaos {

struct Figures {
  std::string nemesis;  // "calm": the time without any
  int strikes = 0;
  double seconds = 0;                // struck, in all
  double acknowledged_a_second = 0;  // operations
  double median_ms = 0, p99_ms = 0;  // of acknowledged operations that ended meanwhile
  double longest_without_write_ms = 0;
  double recovery_median_ms = 0,
         recovery_max_ms = 0;  // from healing to the first acknowledged write
  int never_recovered = 0;
};

// `operations` in any order. Calm counts from the first operation to `end`.
[[nodiscard]] std::vector<Figures> figures_of(const std::vector<Operation>& operations,
                                              const std::vector<Band>& bands, Nanos end);
[[nodiscard]] std::string table_of(const std::vector<Figures>& figures);
[[nodiscard]] std::string json_of(const std::vector<Figures>& figures);

}  // namespace raftkv::chaos
