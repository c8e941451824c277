// The trace of a run: a hash over every event, and, if somebody listens, a line for each.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "sim/event_queue.h"

namespace raftkv::sim {

class Trace {
 public:
  using Sink = std::function<void(std::string_view line)>;

  Trace() = default;
  explicit Trace(Sink sink) : sink_(std::move(sink)) {}

  // Every number that a run depends on goes in here: equal runs have equal hashes, unequal ones
  // hardly ever.
  void mix(std::uint64_t number) {
    hash_ = (hash_ ^ number) * 0x9e3779b97f4a7c15ULL;
    hash_ ^= hash_ >> 29;
  }
  [[nodiscard]] std::uint64_t hash() const { return hash_; }

  // Somebody listens: only then is it worth making lines.
  [[nodiscard]] bool on() const { return static_cast<bool>(sink_); }
  template <typename... Args>
  void line(Instant now, fmt::format_string<Args...> format, Args&&... args) {
    if (!on()) return;
    const auto ns = now.count();
    std::string text = fmt::format("{:4}.{:06} ", ns / 1'000'000'000, ns / 1'000 % 1'000'000);
    text += fmt::format(format, std::forward<Args>(args)...);
    sink_(text);
  }

 private:
  std::uint64_t hash_ = 0x243f6a8885a308d3ULL;
  Sink sink_;
};

}  // namespace raftkv::sim
