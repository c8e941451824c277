#include "src/base/prng.h"

namespace raftkv {
namespace {

std::uint64_t split_mix64(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

}  // namespace

Prng::Prng(std::uint64_t seed) : seed_(seed) {
  for (auto& word : state_) word = split_mix64(seed);
}

std::uint64_t Prng::between(std::uint64_t low, std::uint64_t high) {
  CHECK(low <= high);
  if (low == 0 && high == ~std::uint64_t{0}) return next();
  return low + below(high - low + 1);
}

Duration Prng::between(Duration low, Duration high) {
  CHECK(low <= high);
  return low + Duration(static_cast<Duration::rep>(
                   below(static_cast<std::uint64_t>((high - low).count()) + 1)));
}

bool Prng::chance(std::uint64_t numerator, std::uint64_t denominator) {
  CHECK(numerator <= denominator);
  return below(denominator) < numerator;
}

Prng Prng::split(std::uint64_t stream) const {
  std::uint64_t state = seed_ ^ (stream * 0xd1342543de82ef95ULL + 0x2545f4914f6cdd1dULL);
  const std::uint64_t child = split_mix64(state);
  return Prng(child);
}

}  // namespace raftkv
