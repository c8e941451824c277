#include "tests/chaos/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace raftkv::chaos {
namespace {

constexpr double kMs = 1e6;

struct Ended {
  Nanos returned;
  Nanos took;
};

// The nearest rank: the smallest value that at least this share of all does not exceed.
double percentile(std::vector<Nanos>& values, std::size_t percent) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const std::size_t rank = (values.size() * percent + 99) / 100;
  return static_cast<double>(values[std::max<std::size_t>(rank, 1) - 1]) / kMs;
}

using Spans = std::vector<std::pair<Nanos, Nanos>>;

// The times in no band, up to `end`.
Spans calm_of(const std::vector<Band>& bands, Nanos end) {
  std::vector<std::pair<Nanos, Nanos>> struck;
  for (const Band& band : bands) struck.emplace_back(band.from, band.to);
  std::ranges::sort(struck);
  Spans calm;
  Nanos at = 0;
  for (const auto& [from, to] : struck) {
    if (from > at) calm.emplace_back(at, from);
    at = std::max(at, to);
  }
  if (end > at) calm.emplace_back(at, end);
  return calm;
}

class Measure {
 public:
  explicit Measure(const std::vector<Operation>& operations) {
    for (const Operation& op : operations) {
      if (op.end != End::ok) continue;
      ended_.push_back({op.returned, op.returned - op.invoked});
      if (is_write(op)) writes_.push_back(op.returned);
    }
    std::ranges::sort(ended_, {}, &Ended::returned);
    std::ranges::sort(writes_);
  }

  [[nodiscard]] Figures during(const std::string& name, const Spans& spans) const {
    Figures figures;
    figures.nemesis = name;
    figures.strikes = static_cast<int>(spans.size());
    std::vector<Nanos> latencies;
    for (const auto& [from, to] : spans) {
      figures.seconds += static_cast<double>(to - from) / 1e9;
      auto it = std::ranges::lower_bound(ended_, from, {}, &Ended::returned);
      for (; it != ended_.end() && it->returned < to; ++it) latencies.push_back(it->took);
      figures.longest_without_write_ms =
          std::max(figures.longest_without_write_ms, gap(from, to) / kMs);
    }
    if (figures.seconds > 0)
      figures.acknowledged_a_second = static_cast<double>(latencies.size()) / figures.seconds;
    figures.median_ms = percentile(latencies, 50);
    figures.p99_ms = percentile(latencies, 99);
    return figures;
  }

  void recovery(Figures& figures, const Spans& spans) const {
    std::vector<Nanos> times;
    for (const auto& [from, to] : spans) {
      const auto first = std::ranges::lower_bound(writes_, to);
      if (first == writes_.end()) {
        ++figures.never_recovered;
      } else {
        times.push_back(*first - to);
      }
    }
    figures.recovery_median_ms = percentile(times, 50);
    figures.recovery_max_ms = percentile(times, 100);
  }

 private:
  // The longest time without an acknowledged write within the span.
  [[nodiscard]] double gap(Nanos from, Nanos to) const {
    Nanos longest = 0;
    Nanos last = from;
    auto it = std::ranges::lower_bound(writes_, from);
    for (; it != writes_.end() && *it < to; ++it) {
      longest = std::max(longest, *it - last);
      last = *it;
    }
    return static_cast<double>(std::max(longest, to - last));
  }

  std::vector<Ended> ended_;
  std::vector<Nanos> writes_;
};

}  // namespace

std::vector<Figures> figures_of(const std::vector<Operation>& operations,
                                const std::vector<Band>& bands, Nanos end) {
  const Measure measure(operations);
  std::map<std::string, Spans> by_name;
  for (const Band& band : bands) by_name[band.name].emplace_back(band.from, band.to);
  std::vector<Figures> all = {measure.during("calm", calm_of(bands, end))};
  all.front().strikes = 0;
  for (const auto& [name, spans] : by_name) {
    all.push_back(measure.during(name, spans));
    measure.recovery(all.back(), spans);
  }
  return all;
}

std::string table_of(const std::vector<Figures>& figures) {
  std::string table = fmt::format("{:<16} {:>7} {:>7} {:>7} {:>9} {:>8} {:>12} {:>19}\n", "nemesis",
                                  "strikes", "seconds", "acked/s", "median ms", "p99 ms",
                                  "no write ms", "back after ms (max)");
  for (const Figures& f : figures) {
    const std::string back =
        f.nemesis == "calm"
            ? ""
            : fmt::format("{:.0f} ({:.0f})", f.recovery_median_ms, f.recovery_max_ms);
    table += fmt::format("{:<16} {:>7} {:>7.1f} {:>7.0f} {:>9.1f} {:>8.1f} {:>12.0f} {:>19}\n",
                         f.nemesis, f.strikes, f.seconds, f.acknowledged_a_second, f.median_ms,
                         f.p99_ms, f.longest_without_write_ms, back);
  }
  return table;
}

std::string json_of(const std::vector<Figures>& figures) {
  std::string json = "[";
  for (const Figures& f : figures) {
    if (json.size() > 1) json += ",\n ";
    json += fmt::format(
        "{{\"nemesis\":\"{}\",\"strikes\":{},\"seconds\":{:.3f},\"acknowledged_per_second\":{:.1f},"
        "\"median_ms\":{:.3f},\"p99_ms\":{:.3f},\"longest_without_write_ms\":{:.1f},"
        "\"recovery_median_ms\":{:.1f},\"recovery_max_ms\":{:.1f},\"never_recovered\":{}}}",
        f.nemesis, f.strikes, f.seconds, f.acknowledged_a_second, f.median_ms, f.p99_ms,
        f.longest_without_write_ms, f.recovery_median_ms, f.recovery_max_ms, f.never_recovered);
  }
  return json + "]\n";
}

}  // namespace raftkv::chaos
