#include "tests/chaos/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <sstream>

namespace raftkv::chaos {
namespace {

constexpr double kMs = 1e6;
constexpr double kStep = 1.01;

// The nearest rank, as above.
double percentile(std::vector<double> values, std::size_t percent) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const std::size_t rank = (values.size() * percent + 99) / 100;
  return values[std::max<std::size_t>(rank, 1) - 1];
}

using Spans = std::vector<std::pair<Nanos, Nanos>>;

// The times in none of the bands that count, up to `end`.
template <typename Counts>
Spans outside(const std::vector<Band>& bands, Nanos end, Counts counts) {
  Spans struck;
  for (const Band& band : bands) {
    if (counts(band)) struck.emplace_back(band.from, band.to);
  }
  std::ranges::sort(struck);
  Spans rest;
  Nanos at = 0;
  for (const auto& [from, to] : struck) {
    if (from > at) rest.emplace_back(at, from);
    at = std::max(at, to);
  }
  if (end > at) rest.emplace_back(at, end);
  return rest;
}

struct Ended {
  Nanos returned;
  Nanos took;
};

class Measure {
 public:
  explicit Measure(const std::vector<Operation>& operations) {
    for (const Operation& op : operations) {
      returned_.push_back(op.returned);
      if (op.end != End::ok) continue;
      ended_.push_back({op.returned, op.returned - op.invoked});
      if (is_write(op)) writes_.push_back(op.returned);
    }
    std::ranges::sort(ended_, {}, &Ended::returned);
    std::ranges::sort(writes_);
    std::ranges::sort(returned_);
  }

  [[nodiscard]] Figures during(std::string_view name, const Spans& spans) const {
    Figures figures;
    figures.nemesis = name;
    figures.strikes = static_cast<int>(spans.size());
    for (const auto& [from, to] : spans) {
      figures.seconds += static_cast<double>(to - from) / 1e9;
      auto it = std::ranges::lower_bound(ended_, from, {}, &Ended::returned);
      for (; it != ended_.end() && it->returned < to; ++it) figures.latencies.add(it->took);
      figures.longest_without_write_ms = std::max(
          figures.longest_without_write_ms, static_cast<double>(longest(writes_, from, to)) / kMs);
    }
    return figures;
  }

  void recovery(Figures& figures, const Spans& spans) const {
    for (const auto& [from, to] : spans) {
      const auto first = std::ranges::lower_bound(writes_, to);
      if (first == writes_.end()) {
        ++figures.never_recovered;
      } else {
        figures.back_after_ms.push_back(static_cast<double>(*first - to) / kMs);
      }
    }
  }

  // The times without an acknowledged write within the span that are longer than `limit`.
  [[nodiscard]] std::vector<Gap> gaps(Nanos from, Nanos to, Nanos limit) const {
    std::vector<Gap> found;
    between(writes_, from, to, [&](Nanos begin, Nanos end) {
      if (end - begin <= limit) return;
      found.push_back({.from = begin, .to = end, .silence = longest(returned_, begin, end)});
    });
    return found;
  }

 private:
  // Calls for each time between two of the moments within the span, and from and to its ends.
  template <typename Call>
  static void between(const std::vector<Nanos>& moments, Nanos from, Nanos to, Call call) {
    Nanos last = from;
    auto it = std::ranges::lower_bound(moments, from);
    for (; it != moments.end() && *it < to; ++it) {
      call(last, *it);
      last = *it;
    }
    call(last, to);
  }
  static Nanos longest(const std::vector<Nanos>& moments, Nanos from, Nanos to) {
    Nanos longest = 0;
    between(moments, from, to,
            [&](Nanos begin, Nanos end) { longest = std::max(longest, end - begin); });
    return longest;
  }

  std::vector<Ended> ended_;
  std::vector<Nanos> writes_;
  std::vector<Nanos> returned_;  // of all operations, whatever their end
};

// "name":VALUE of a line that json_of() has written; empty if it is not there.
std::string value_of(const std::string& line, const std::string& name) {
  const std::string before = "\"" + name + "\":";
  const std::size_t at = line.find(before);
  if (at == std::string::npos) return "";
  const std::size_t begin = at + before.size();
  const bool list = line[begin] == '[';
  const std::size_t end = list ? line.find(']', begin) : line.find_first_of(",}", begin);
  return end == std::string::npos ? "" : line.substr(begin + (list ? 1 : 0), end - begin - list);
}

// The numbers of a list without its brackets; nothing if one of the words is none.
std::optional<std::vector<double>> numbers_of(const std::string& list) {
  std::vector<double> numbers;
  std::istringstream words(list);
  for (std::string word; std::getline(words, word, ',');) {
    char* end = nullptr;
    numbers.push_back(std::strtod(word.c_str(), &end));
    if (word.empty() || *end != '\0') return {};
  }
  return numbers;
}

std::optional<Figures> parse_line(const std::string& line) {
  const std::string name = value_of(line, "nemesis");
  const auto strikes = numbers_of(value_of(line, "strikes"));
  const auto seconds = numbers_of(value_of(line, "seconds"));
  const auto longest = numbers_of(value_of(line, "longest_without_write_ms"));
  const auto never = numbers_of(value_of(line, "never_recovered"));
  const auto back = numbers_of(value_of(line, "back_after_ms"));
  const auto latencies = numbers_of(value_of(line, "latencies"));
  for (const auto* one : {&strikes, &seconds, &longest, &never}) {
    if (!*one || (*one)->size() != 1) return {};
  }
  if (name.size() < 3 || !back || !latencies || latencies->size() % 2 != 0) return {};
  Figures figures;
  figures.nemesis = name.substr(1, name.size() - 2);
  figures.strikes = static_cast<int>(strikes->front());
  figures.seconds = seconds->front();
  figures.longest_without_write_ms = longest->front();
  figures.never_recovered = static_cast<int>(never->front());
  figures.back_after_ms = *back;
  for (std::size_t i = 0; i < latencies->size(); i += 2) {
    figures.latencies.add_to_bucket(static_cast<int>((*latencies)[i]),
                                    static_cast<std::uint64_t>((*latencies)[i + 1]));
  }
  return figures;
}

}  // namespace

void Latencies::add(Nanos took, std::uint64_t count) {
  const double us = static_cast<double>(std::max<Nanos>(took, 1000)) / 1e3;
  add_to_bucket(static_cast<int>(std::lround(std::log(us) / std::log(kStep))), count);
}

void Latencies::add(const Latencies& more) {
  for (const auto& [bucket, count] : more.buckets_) add_to_bucket(bucket, count);
}

void Latencies::add_to_bucket(int bucket, std::uint64_t count) {
  buckets_[bucket] += count;
  count_ += count;
}

double Latencies::percentile_ms(std::uint64_t percent) const {
  const std::uint64_t rank = std::max<std::uint64_t>((count_ * percent + 99) / 100, 1);
  std::uint64_t seen = 0;
  for (const auto& [bucket, count] : buckets_) {
    seen += count;
    if (seen >= rank) return std::pow(kStep, bucket) / 1e3;
  }
  return 0;
}

double Figures::acknowledged_a_second() const {
  return seconds > 0 ? static_cast<double>(latencies.count()) / seconds : 0;
}

std::vector<Gap> gaps_of(const std::vector<Operation>& operations, const std::vector<Band>& bands,
                         Nanos end, Nanos limit) {
  const Measure measure(operations);
  std::vector<Gap> gaps;
  for (const auto& [from, to] : outside(bands, end, [](const Band& band) { return !band.quorum; }))
    std::ranges::move(measure.gaps(from, to, limit), std::back_inserter(gaps));
  for (Gap& gap : gaps) {
    for (const Band& band : bands) {
      if (band.from < gap.to && band.to + kJustOver > gap.from) gap.faults.push_back(band);
    }
  }
  return gaps;
}

std::vector<Figures> figures_of(const std::vector<Operation>& operations,
                                const std::vector<Band>& bands, Nanos end) {
  const Measure measure(operations);
  std::map<std::string, Spans> by_name;
  for (const Band& band : bands) by_name[band.name].emplace_back(band.from, band.to);
  std::vector<Figures> all = {
      measure.during(kQuorum, outside(bands, end, [](const Band& band) { return !band.quorum; })),
      measure.during(kCalm, outside(bands, end, [](const Band&) { return true; }))};
  for (Figures& time : all) time.strikes = 0;
  for (const auto& [name, spans] : by_name) {
    all.push_back(measure.during(name, spans));
    measure.recovery(all.back(), spans);
  }
  return all;
}

void add(std::vector<Figures>& to, const std::vector<Figures>& more) {
  for (const Figures& from : more) {
    auto it = std::ranges::find(to, from.nemesis, &Figures::nemesis);
    if (it == to.end()) {
      to.push_back(from);
      continue;
    }
    it->strikes += from.strikes;
    it->seconds += from.seconds;
    it->latencies.add(from.latencies);
    it->longest_without_write_ms =
        std::max(it->longest_without_write_ms, from.longest_without_write_ms);
    it->back_after_ms.insert(it->back_after_ms.end(), from.back_after_ms.begin(),
                             from.back_after_ms.end());
    it->never_recovered += from.never_recovered;
  }
}

std::string table_of(const std::vector<Figures>& figures) {
  std::string table = fmt::format("{:<16} {:>7} {:>7} {:>7} {:>9} {:>8} {:>12} {:>19}\n", "nemesis",
                                  "strikes", "seconds", "acked/s", "median ms", "p99 ms",
                                  "no write ms", "back after ms (max)");
  for (const Figures& f : figures) {
    const std::string back = f.strikes == 0
                                 ? ""
                                 : fmt::format("{:.0f} ({:.0f})", percentile(f.back_after_ms, 50),
                                               percentile(f.back_after_ms, 100));
    table += fmt::format("{:<16} {:>7} {:>7.1f} {:>7.0f} {:>9.1f} {:>8.1f} {:>12.0f} {:>19}\n",
                         f.nemesis, f.strikes, f.seconds, f.acknowledged_a_second(),
                         f.latencies.percentile_ms(50), f.latencies.percentile_ms(99),
                         f.longest_without_write_ms, back);
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
        "\"recovery_median_ms\":{:.1f},\"recovery_max_ms\":{:.1f},\"never_recovered\":{}",
        f.nemesis, f.strikes, f.seconds, f.acknowledged_a_second(), f.latencies.percentile_ms(50),
        f.latencies.percentile_ms(99), f.longest_without_write_ms, percentile(f.back_after_ms, 50),
        percentile(f.back_after_ms, 100), f.never_recovered);
    json += ",\"back_after_ms\":[";
    for (std::size_t i = 0; i < f.back_after_ms.size(); ++i)
      json += fmt::format("{}{:.3f}", i == 0 ? "" : ",", f.back_after_ms[i]);
    json += "],\"latencies\":[";  // number in the series of 1.01^n us, operations
    bool first = true;
    for (const auto& [bucket, count] : f.latencies.buckets()) {
      json += fmt::format("{}{},{}", first ? "" : ",", bucket, count);
      first = false;
    }
    json += "]}";
  }
  return json + "]\n";
}

std::optional<std::vector<Figures>> parse_figures(const std::string& json) {
  if (!json.starts_with("[")) return {};
  std::vector<Figures> all;
  std::istringstream lines(json);
  for (std::string line; std::getline(lines, line);) {
    auto figures = parse_line(line);
    if (!figures) return {};
    all.push_back(std::move(*figures));
  }
  return all;
}

}  // namespace raftkv::chaos
