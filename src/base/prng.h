// Prng: the only source of randomness on the deterministic floors. The same seed gives the same
// draws with every compiler. Never draw twice in one expression: the order of evaluation differs
// between compilers.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <utility>

#include "src/base/check.h"
#include "src/base/time.h"

namespace raftkv {

// xoshiro256** 1.0 (Blackman and Vigna, https://prng.di.unimi.it), seeded through SplitMix64.
class Prng {
 public:
  explicit Prng(std::uint64_t seed);

  // Uniform over all 64-bit numbers.
  std::uint64_t next() {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }
  // Uniform in [0, bound); bound must be positive. Unbiased (Lemire 2019).
  std::uint64_t below(std::uint64_t bound) {
    CHECK(bound > 0);
    __extension__ using Wide = unsigned __int128;
    Wide product = static_cast<Wide>(next()) * bound;
    if (static_cast<std::uint64_t>(product) < bound) [[unlikely]] {
      const std::uint64_t threshold = (0 - bound) % bound;
      while (static_cast<std::uint64_t>(product) < threshold)
        product = static_cast<Wide>(next()) * bound;
    }
    return static_cast<std::uint64_t>(product >> 64);
  }
  // Uniform in [low, high], both inclusive.
  std::uint64_t between(std::uint64_t low, std::uint64_t high);
  Duration between(Duration low, Duration high);
  // True with probability numerator / denominator.
  bool chance(std::uint64_t numerator, std::uint64_t denominator);
  // An independent stream: the same parent seed and stream number give the same child, whatever
  // else was drawn.
  [[nodiscard]] Prng split(std::uint64_t stream) const;

  // Fisher-Yates; standard shuffles differ between libraries.
  template <typename Range>
  void shuffle(Range& range) {
    for (std::size_t i = range.size(); i > 1; --i) std::swap(range[i - 1], range[below(i)]);
  }

 private:
  std::uint64_t seed_;
  std::array<std::uint64_t, 4> state_;
};

}  // namespace raftkv
