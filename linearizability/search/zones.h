// Registers on which every value is written at most once: there, what a read answers names the
// write it read from, and the question is decided in O(n) after sorting (Gibbons and Korach 1997,
// "Testing shared memories", section 4.2).
//
// A cluster is a write with its reads. Let f be the first return in it and s the last invocation.
// If f < s the register must hold the cluster's value all the way from f to s: a forward zone.
// Otherwise all its operations overlap in [s, f], and the whole cluster can stand at one moment of
// it: a backward zone. The history is linearizable if and only if no read returns before its write
// is invoked, no two forward zones overlap, and no backward zone lies inside a forward one.
//
// A write of unknown end that was read returns never; one that was not read may as well not have
// happened. The initial value is a write before all.
#pragma once

#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "linearizability/history.h"
#include "linearizability/search/ruling.h"

namespace raftkv::linearizability {

// Moments: 0 is before all events, event p is p + 1, kOpen never comes.
struct Zone {
  Position first_return = kOpen;
  Position last_invocation = 0;

  [[nodiscard]] bool forward() const { return first_return < last_invocation; }
};

struct Placement {
  std::vector<std::uint32_t> order;  // numbers of zones, first to last
  std::optional<std::pair<std::uint32_t, std::uint32_t>>
      conflict;  // two zones that exclude each other
};
// Orders zones so that every one holds where it must, or finds two that cannot; nothing of worth
// once patience is lost. Moments are at most `moments`, or kOpen.
[[nodiscard]] Placement place_zones(std::span<const Zone> zones, Position moments,
                                    Patience& patience);

// Undecided unless the part has only reads that say a value, and writes of distinct values other
// than the initial one.
[[nodiscard]] Ruling rule_by_zones(const History& history, const Part& part, Value initial,
                                   bool want_witness, Patience& patience);

}  // namespace raftkv::linearizability
