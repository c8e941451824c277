// Judges one part at a time or many in turns: first the algorithms that rule at once, then the
// searches, in slices that grow, over all parts that are still open, so that one hard part never
// hides an easy violation.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "linearizability/check.h"
#include "linearizability/search/ruling.h"
#include "linearizability/search/search.h"
#include "linearizability/search/timeline.h"

namespace raftkv::linearizability {

// Counts steps and memory against the limits of a check.
class Meter {
 public:
  explicit Meter(const Options& options) : options_(options) {}

  // Steps were done. False, from then on for ever, if the caller of the check wants it to end.
  bool spend(std::uint64_t steps);
  // The memory of one of many holders changed from `before` to `after` bytes.
  void hold(std::uint64_t before, std::uint64_t after);
  [[nodiscard]] bool over_memory() const { return held_ > options_.memory_bytes_max; }
  [[nodiscard]] std::uint64_t memory_left() const {
    return over_memory() ? 0 : options_.memory_bytes_max - held_;
  }
  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] std::uint64_t steps() const { return progress_.steps; }
  [[nodiscard]] std::uint64_t most_held() const { return most_held_; }
  Progress& progress() { return progress_; }

 private:
  const Options& options_;
  Progress progress_;
  std::uint64_t held_ = 0;
  std::uint64_t most_held_ = 0;
  bool ended_ = false;
};

struct Outcome {
  Verdict verdict = Verdict::unknown;
  std::vector<std::vector<OperationId>> witnesses;  // linearizable: one of each part
  // not_linearizable: some operations of one part, all of it or less, that are not linearizable
  // alone, ascending; and Search::contradiction() and fresh_start(), or kOpen.
  std::vector<OperationId> evidence;
  Position contradiction = kOpen;
  Position fresh_start = kOpen;
  std::string reason;  // unknown: which limit struck
  std::vector<Algorithm> deciders;
};

// `want_witness` instead of the options': cores are looked for without.
[[nodiscard]] Outcome judge(const History& history, std::span<const Part> parts,
                            const Options& options, bool want_witness, Meter& meter);

}  // namespace raftkv::linearizability
