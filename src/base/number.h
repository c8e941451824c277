// Number<Tag>: a counter or an id as a type of its own, without implicit conversion. 0 means "none"
// or "before the first" for every type made from it.
#pragma once

#include <compare>
#include <cstdint>

#include "src/base/check.h"

namespace raftkv {

template <typename Tag>
struct Number {
  std::uint64_t value = 0;

  constexpr Number() = default;
  constexpr explicit Number(std::uint64_t v) : value(v) {}

  constexpr auto operator<=>(const Number&) const = default;
  constexpr explicit operator bool() const { return value != 0; }

  [[nodiscard]] constexpr Number next() const { return Number(value + 1); }
  // The number before this one. There must be one: CHECKs that this is not 0.
  [[nodiscard]] constexpr Number prev() const {
    CHECK(value > 0);
    return Number(value - 1);
  }
  constexpr Number& operator++() {
    ++value;
    return *this;
  }
};

// Distances between numbers are plain integers.
template <typename Tag>
[[nodiscard]] constexpr Number<Tag> operator+(Number<Tag> a, std::uint64_t n) {
  return Number<Tag>(a.value + n);
}
template <typename Tag>
[[nodiscard]] constexpr std::uint64_t operator-(Number<Tag> a, Number<Tag> b) {
  CHECK(a.value >= b.value);
  return a.value - b.value;
}

}  // namespace raftkv
