#include "sim/tally.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <iterator>
#include <utility>

#include "sim/swarm.h"
#include "src/base/check.h"

namespace raftkv::sim {
namespace {

namespace json = boost::json;

constexpr std::uint64_t kVersion = 1;

constexpr std::string_view kDrawn = "drawn";
constexpr std::string_view kMemory = "memory";
constexpr std::string_view kLevelDb = "leveldb";

std::string_view storage_text(std::optional<bool> leveldb) {
  if (!leveldb) return kDrawn;
  return *leveldb ? kLevelDb : kMemory;
}

std::uint64_t nanoseconds(Duration duration) {
  return static_cast<std::uint64_t>(duration.count());
}

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

std::unexpected<Error> not_a_tally(const std::string& what) {
  return failure(ErrorCode::invalid, "no result of raftkv-sim swarm: " + what);
}

// --- reading: every function notes the first thing that is wrong, and goes on with nothing ---

class Reader {
 public:
  explicit Reader(const json::object& object) : object_(object) {}

  const json::value* find(std::string_view name) {
    const json::value* const value = object_.if_contains(name);
    if (value == nullptr) note(fmt::format("'{}' is missing", name));
    return value;
  }
  std::uint64_t number(std::string_view name) {
    const json::value* const value = find(name);
    return value == nullptr ? 0 : number_in(*value, name);
  }
  std::uint64_t number_in(const json::value& value, std::string_view name) {
    boost::system::error_code error;
    const auto number = value.to_number<std::uint64_t>(error);
    if (error) note(fmt::format("'{}' is no number", name));
    return error ? 0 : number;
  }
  Duration time(std::string_view name) {
    return std::chrono::nanoseconds(static_cast<std::int64_t>(number(name)));
  }
  std::string_view text(std::string_view name) {
    const json::value* const value = find(name);
    const json::string* const string = value == nullptr ? nullptr : value->if_string();
    if (string == nullptr) note(fmt::format("'{}' is no text", name));
    return string == nullptr ? std::string_view() : std::string_view(*string);
  }
  // Calls f(Reader&) for each object of an array.
  template <typename F>
  void each(std::string_view name, F f) {
    const json::value* const value = find(name);
    const json::array* const array = value == nullptr ? nullptr : value->if_array();
    if (array == nullptr) return note(fmt::format("'{}' is no list", name));
    for (const json::value& item : *array) {
      const json::object* const object = item.if_object();
      if (object == nullptr) return note(fmt::format("'{}' holds what is no object", name));
      Reader reader(*object);
      f(reader);
      note(reader.wrong_);
    }
  }

  void note(const std::string& what) {
    if (wrong_.empty()) wrong_ = what;
  }
  [[nodiscard]] const std::string& wrong() const { return wrong_; }

 private:
  const json::object& object_;
  std::string wrong_;
};

std::optional<Mark> mark_named(std::string_view name) {
  for (std::size_t i = 0; i < kMarks; ++i) {
    if (text_of(static_cast<Mark>(i)).name == name) return static_cast<Mark>(i);
  }
  return std::nullopt;
}

}  // namespace

SeedResult result_of(std::uint64_t seed, const Run& run) {
  SeedResult result;
  result.seed = seed;
  result.lively = run.statistics.lively;
  result.undecided = run.statistics.undecided;
  result.events = run.statistics.events;
  result.operations = run.statistics.operations;
  result.simulated = run.statistics.simulated;
  result.marks = run.statistics.marks;
  if (run.failure) set_violated(result, run.failure->violation.invariant);
  return result;
}

void set_violated(SeedResult& result, std::string_view invariant) {
  result.violated = {};
  std::ranges::copy(invariant.substr(0, result.violated.size() - 1), result.violated.begin());
}

std::string command_for(const HuntSettings& settings, std::uint64_t seed) {
  return fmt::format("raftkv-sim run --seed {}{}", seed,
                     fixed_options({settings.nodes, settings.duration, settings.leveldb}));
}

// --- adding ---

void Tally::add_range(SeedRange range) {
  CHECK(range.first <= range.last);
  seeds_ += range.last - range.first + 1;
  const auto behind = ranges_.upper_bound(range.first);
  if (behind != ranges_.end() && behind->first == range.last + 1) {
    range.last = behind->second;
    ranges_.erase(behind);
  }
  const auto after = ranges_.upper_bound(range.first);
  if (after != ranges_.begin() && std::prev(after)->second + 1 == range.first) {
    std::prev(after)->second = range.last;
  } else {
    ranges_[range.first] = range.last;
  }
}

void Tally::add_failed(Failed failed) {
  const auto at = std::ranges::upper_bound(failed_, failed.seed, {}, &Failed::seed);
  failed_.insert(at, std::move(failed));
}

void Tally::add(const SeedResult& result) {
  add_range({result.seed, result.seed});
  lively_ += result.lively;
  undecided_ += result.undecided;
  events_ += result.events;
  operations_ += result.operations;
  simulated_ += result.simulated;
  if (result.violated[0] != '\0') add_failed({result.seed, result.violated.data()});
  result.marks.for_each([&](Mark mark) {
    MarkCount& count = marks_[static_cast<std::size_t>(mark)];
    if (count.seeds == 0 || result.seed < count.first) count.first = result.seed;
    ++count.seeds;
  });
}

void Tally::took(Duration wall, std::uint64_t jobs) {
  wall_ = std::max(wall_, wall);
  processing_ += wall * static_cast<std::int64_t>(jobs);
}

Status Tally::merge(const Tally& other) {
  if (other.settings_ != settings_) {
    return failure(ErrorCode::invalid,
                   "parts of different hunts: --nodes, --duration or --storage is not the same");
  }
  for (const auto& [first, last] : other.ranges_) {
    const auto behind = ranges_.upper_bound(last);
    if (behind != ranges_.begin() && std::prev(behind)->second >= first) {
      return failure(ErrorCode::invalid,
                     fmt::format("seed {} is in two parts: it would count twice",
                                 std::max(first, std::prev(behind)->first)));
    }
  }
  for (const auto& [first, last] : other.ranges_) add_range({first, last});
  lively_ += other.lively_;
  undecided_ += other.undecided_;
  events_ += other.events_;
  operations_ += other.operations_;
  simulated_ += other.simulated_;
  wall_ = std::max(wall_, other.wall_);
  processing_ += other.processing_;
  for (const Failed& failed : other.failed_) add_failed(failed);
  for (std::size_t i = 0; i < kMarks; ++i) {
    const MarkCount& theirs = other.marks_[i];
    if (theirs.seeds == 0) continue;
    if (marks_[i].seeds == 0 || theirs.first < marks_[i].first) marks_[i].first = theirs.first;
    marks_[i].seeds += theirs.seeds;
  }
  return {};
}

// --- what it says ---

std::vector<Mark> Tally::unreached() const {
  std::vector<Mark> marks;
  for (std::size_t i = 0; i < kMarks; ++i) {
    if (marks_[i].seeds == 0) marks.push_back(static_cast<Mark>(i));
  }
  return marks;
}

std::vector<SeedRange> Tally::ranges() const {
  std::vector<SeedRange> ranges;
  for (const auto& [first, last] : ranges_) ranges.push_back({first, last});
  return ranges;
}

std::vector<SeedRange> Tally::gaps() const {
  std::vector<SeedRange> gaps;
  for (auto range = ranges_.begin(); range != ranges_.end(); ++range) {
    const auto next = std::next(range);
    if (next != ranges_.end()) gaps.push_back({range->second + 1, next->first - 1});
  }
  return gaps;
}

std::string Tally::summary() const {
  const double wall = seconds(wall_);
  std::string text = fmt::format(
      "swarm: seeds={} failed={} lively={} undecided={} events={} operations={} marks={}/{} "
      "simulated={:.0f}s wall={:.1f}s ({:.0f} simulated seconds a second)",
      seeds_, failed_.size(), lively_, undecided_, events_, operations_,
      kMarks - unreached().size(), kMarks, seconds(simulated_), wall,
      seconds(simulated_) / std::max(wall, 1e-9));
  if (processing_ > wall_) {
    text += fmt::format(" ({:.0f} of each process)",
                        seconds(simulated_) / std::max(seconds(processing_), 1e-9));
  }
  return text + "\n";
}

std::string Tally::marks_table() const {
  std::string text = fmt::format("{:>8} {:>10}  {:<44} {}\n", "seeds", "first", "mark", "source");
  for (std::size_t i = 0; i < kMarks; ++i) {
    const MarkText& mark = text_of(static_cast<Mark>(i));
    const MarkCount& count = marks_[i];
    const std::string first = count.seeds == 0 ? "-" : std::to_string(count.first);
    text += fmt::format("{:>8} {:>10}  {:<44} {}\n", count.seeds, first, mark.name, mark.source);
  }
  return text;
}

std::string Tally::to_json() const {
  json::array ranges;
  for (const auto& [first, last] : ranges_) ranges.push_back({{"first", first}, {"last", last}});
  json::array failures;
  for (const Failed& failed : failed_) {
    failures.push_back({{"seed", failed.seed},
                        {"invariant", failed.invariant},
                        {"reproduce", command_for(settings_, failed.seed)}});
  }
  json::array marks;
  for (std::size_t i = 0; i < kMarks; ++i) {
    marks.push_back({{"mark", text_of(static_cast<Mark>(i)).name},
                     {"seeds", marks_[i].seeds},
                     {"first", marks_[i].first}});
  }
  const json::object all = {{"program", "raftkv-sim swarm"},
                            {"version", kVersion},
                            {"nodes", settings_.nodes},
                            {"duration_ns", nanoseconds(settings_.duration)},
                            {"storage", storage_text(settings_.leveldb)},
                            {"ranges", std::move(ranges)},
                            {"seeds", seeds_},
                            {"failed", failed_.size()},
                            {"lively", lively_},
                            {"undecided", undecided_},
                            {"events", events_},
                            {"operations", operations_},
                            {"simulated_ns", nanoseconds(simulated_)},
                            {"wall_ns", nanoseconds(wall_)},
                            {"processing_ns", nanoseconds(processing_)},
                            {"failures", std::move(failures)},
                            {"marks", std::move(marks)}};
  return json::serialize(all) + "\n";
}

Result<Tally> Tally::from_json(std::string_view text) {
  boost::system::error_code error;
  const json::value value = json::parse(text, error);
  if (error) return not_a_tally("no JSON: " + error.message());
  const json::object* const object = value.if_object();
  if (object == nullptr) return not_a_tally("no object");
  Reader in(*object);
  if (in.number("version") != kVersion || !in.wrong().empty())
    return not_a_tally("another version of the format");
  const std::string_view storage = in.text("storage");
  Tally tally({in.number("nodes"), in.time("duration_ns"),
               storage == kDrawn ? std::nullopt : std::optional(storage == kLevelDb)});
  in.each("ranges", [&](Reader& range) {
    const SeedRange seeds{range.number("first"), range.number("last")};
    const auto behind = tally.ranges_.upper_bound(seeds.last);
    const bool apart = behind == tally.ranges_.begin() || std::prev(behind)->second < seeds.first;
    if (!apart || seeds.first > seeds.last) return range.note("'ranges' cross");
    tally.add_range(seeds);
  });
  tally.lively_ = in.number("lively");
  tally.undecided_ = in.number("undecided");
  tally.events_ = in.number("events");
  tally.operations_ = in.number("operations");
  tally.simulated_ = in.time("simulated_ns");
  tally.wall_ = in.time("wall_ns");
  tally.processing_ = in.time("processing_ns");
  in.each("failures", [&](Reader& failed) {
    tally.add_failed({failed.number("seed"), std::string(failed.text("invariant"))});
  });
  in.each("marks", [&](Reader& counted) {
    const auto mark = mark_named(counted.text("mark"));
    if (!mark) return counted.note(fmt::format("no mark '{}'", counted.text("mark")));
    tally.marks_[static_cast<std::size_t>(*mark)] = {counted.number("seeds"),
                                                     counted.number("first")};
  });
  if (!in.wrong().empty()) return not_a_tally(in.wrong());
  return tally;
}

}  // namespace raftkv::sim
