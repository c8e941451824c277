// LogGate: at most a few lines of one kind in a while, however often somebody knocks.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace raftkv::net {

class LogGate {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  LogGate(std::uint64_t lines_max, std::chrono::steady_clock::duration period)
      : lines_max_(lines_max), period_(period) {}

  // nullopt: say nothing. Else say it, and that this many were kept back before.
  [[nodiscard]] std::optional<std::uint64_t> pass(TimePoint now) {
    if (lines_ == 0 || now - began_ >= period_) {
      began_ = now;
      lines_ = 0;
    }
    if (lines_ >= lines_max_) {
      ++kept_back_;
      return std::nullopt;
    }
    ++lines_;
    const std::uint64_t before = kept_back_;
    kept_back_ = 0;
    return before;
  }

 private:
  const std::uint64_t lines_max_;
  const std::chrono::steady_clock::duration period_;
  TimePoint began_;
  std::uint64_t lines_ = 0;
  std::uint64_t kept_back_ = 0;
};

}  // namespace raftkv::net
