// What each nemesis did to latency and availability: of one run, and of several together.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/chaos/record.h"

namespace raftkv::chaos {

// How many operations took how long, to 1 %: what can be added up over runs.
class Latencies {
 public:
  void add(Nanos took, std::uint64_t count = 1);
  void add(const Latencies& more);
  [[nodiscard]] std::uint64_t count() const { return count_; }
  // The nearest rank: the smallest value that at least this share of all does not exceed; 0 if
  // there are none.
  [[nodiscard]] double percentile_ms(std::uint64_t percent) const;
  // By their number in a geometric series.
  [[nodiscard]] const std::map<int, std::uint64_t>& buckets() const { return buckets_; }
  void add_to_bucket(int bucket, std::uint64_t count);

 private:
  std::map<int, std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
};

inline constexpr std::string_view kCalm = "calm";      // the time without any fault
inline constexpr std::string_view kQuorum = "quorum";  // the time with a quorum, struck or not

struct Figures {
  std::string nemesis;  // or one of the above
  int strikes = 0;
  double seconds = 0;   // struck, in all
  Latencies latencies;  // of acknowledged operations that ended meanwhile
  double longest_without_write_ms = 0;
  std::vector<double> back_after_ms;  // from each healing to the first acknowledged write
  int never_recovered = 0;

  [[nodiscard]] double acknowledged_a_second() const;
};

// `operations` in any order. Calm counts from the first operation to `end`.
[[nodiscard]] std::vector<Figures> figures_of(const std::vector<Operation>& operations,
                                              const std::vector<Band>& bands, Nanos end);

// A time in which no write was acknowledged, within that with a quorum.
struct Gap {
  Nanos from = 0, to = 0;
  // The longest time within it in which no operation ended, in whatever way. Longer than clients
  // wait: they did not run themselves.
  Nanos silence = 0;
  std::vector<Band> faults = {};  // that were on, or healed less than kJustOver before
};
inline constexpr Nanos kJustOver = 5'000'000'000;
// Those longer than `limit`, in their order.
[[nodiscard]] std::vector<Gap> gaps_of(const std::vector<Operation>& operations,
                                       const std::vector<Band>& bands, Nanos end, Nanos limit);

void add(std::vector<Figures>& to, const std::vector<Figures>& more);
[[nodiscard]] std::string table_of(const std::vector<Figures>& figures);
[[nodiscard]] std::string json_of(const std::vector<Figures>& figures);
// What json_of() has written; nothing else.
[[nodiscard]] std::optional<std::vector<Figures>> parse_figures(const std::string& json);

}  // namespace raftkv::chaos
