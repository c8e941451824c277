#include "sim/shrink.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "sim/simplify.h"
#include "sim/simulate.h"
#include "src/base/prng.h"

namespace raftkv::sim {
namespace {

// What a candidate may cost in events, over all seeds that it is tried with: the more it would
// drop, the more seeds it is worth. A run costs as much as some events before its first.
constexpr std::uint64_t kEventsForLittle = 50'000;
constexpr std::uint64_t kEventsForAll = 3'000'000;
constexpr std::uint64_t kEventsToBegin = 2'000;
constexpr std::array<std::uint64_t, 3> kEfforts = {5, 25, 100};  // percent of that, one by one
constexpr std::uint64_t kSeedsMin = 2;
constexpr std::uint64_t kSeedsMax = 200;
// A candidate may fail later than the best did.
constexpr Duration kSlack = 1s;
// What is known of a candidate is kept for this many.
constexpr std::size_t kCacheMax = 1u << 16;

// I13, found by judging the whole history: that costs more than the run, and is not done for
// others.
constexpr std::string_view kOfHistory = "I13 (history)";
constexpr std::uint64_t kNodeWorth = 20;  // percent
constexpr std::size_t kFew = 10;          // faults that a person can follow
constexpr Duration kCompressMin = 100ms;  // shorter gaps between actions read well as they are

using Change = std::function<bool(Options&)>;  // false: there is nothing to change

// --- round numbers ---

std::uint64_t round_number(std::uint64_t value) {
  std::uint64_t unit = 1;
  while (value / unit >= 10) unit *= 10;
  return value / unit * unit;
}

std::size_t text_size(Duration time) {
  return print(time).size();
}

std::size_t text_size(const Schedule& schedule) {
  std::size_t size = 0;
  for (const Action& action : schedule) size += text_size(action.at);
  return size;
}

Duration round_to(Duration time, Duration grid) {
  return (time + grid / 2) / grid * grid;
}

constexpr std::array<Duration, 7> kGrids = {1s, 500ms, 100ms, 50ms, 10ms, 1ms, 100us};

// --- groups of options that are turned back together ---

bool reset(Options& options, const OptionField& field) {
  static const Options kDefaults;
  return std::visit(
      [&](auto member) {
        if (options.*member == kDefaults.*member) return false;
        options.*member = kDefaults.*member;
        return true;
      },
      field.member);
}

// Nodes and time have passes of their own.
bool is_condition(const OptionField& field) {
  constexpr std::array<std::string_view, 6> kOthers = {"seed",   "voters",   "learners",
                                                       "spares", "duration", "liveness"};
  return std::ranges::find(kOthers, field.name) == kOthers.end();
}

class Shrinker {
 public:
  Shrinker(const Options& options, const ShrinkOptions& how) : how_(how), best_(options) {}

  // False: there is nothing to shrink.
  bool begin() {
    const Judged first = run(best_, {});
    if (first.invariant.empty()) return false;
    target_ = first.invariant;
    adopt(best_, first);
    return true;
  }

  // Passes from the coarse to the fine, again and again until a whole round changes nothing: first
  // with few seeds for each candidate, because whatever is dropped makes all later runs cheaper.
  bool run_passes() {
    for (const std::uint64_t effort : kEfforts) {
      effort_ = effort;
      long_moments();
      bool first = true;
      Options before;
      do {
        before = best_;
        recent_only();
        conditions();
        exaggerate();
        kinds();
        nodes();
        few(true);
        small_limits();
        few(false);
        if (std::exchange(first, false)) long_moments();
        drop_actions(false);
        drop_actions(true);
        simplify_actions();
        simplify_names();
        times();
        round_conditions();
      } while (!stopped_ && best_ != before);
    }
    return !stopped_;
  }

  [[nodiscard]] Shrunk result(bool finished) const {
    return {tidy(best_), target_, runs_, finished};
  }

 private:
  // --- candidates ---

  Judged run(const Options& options, std::string_view target) {
    if (runs_ >= how_.runs_max || (how_.keep_going && !how_.keep_going({runs_, best_})))
      stopped_ = true;
    if (stopped_) return {};
    ++runs_;
    return how_.judge(options, target);
  }

  // With how many seeds a candidate is tried that drops this share, in percent, of what there is.
  [[nodiscard]] std::uint64_t seeds(const Options& candidate, std::uint64_t percent) const {
    const std::uint64_t budget =
        (kEventsForLittle + (kEventsForAll - kEventsForLittle) / 100 * percent) / 100 * effort_;
    // Shorter runs have fewer events.
    const auto share = static_cast<std::uint64_t>(std::clamp<std::int64_t>(
        candidate.duration.count() / std::max<std::int64_t>(1, best_.duration.count() / 100), 1,
        100));
    return std::clamp(budget / (events_ * share / 100 + kEventsToBegin), kSeedsMin, kSeedsMax);
  }
  [[nodiscard]] std::uint64_t dropped_percent(const Options& candidate) const {
    const std::size_t before = best_.schedule.size();
    const std::size_t after = candidate.schedule.size();
    return after >= before ? 0 : (before - after) * 100 / before;
  }

  // Tries it with the seed that the best has, then with the first few numbers; takes it if it
  // fails.
  bool attempt(Options candidate, std::uint64_t worth_percent = 0) {
    if (stopped_) return false;
    worth_percent = std::max(worth_percent, dropped_percent(candidate));
    candidate.liveness = in_second_phase_ ? 1 : 0;
    const std::uint64_t own = best_.seed;
    candidate.seed = 0;
    const std::string key = print(candidate);
    if (known_.size() > kCacheMax) known_.clear();
    std::uint64_t& tried = known_[key];
    for (const std::uint64_t most = seeds(candidate, worth_percent); tried < most; ++tried) {
      candidate.seed = tried == 0 ? own : tried;
      const Judged judged = run(candidate, target_);
      if (stopped_) return false;
      if (judged.invariant != target_) continue;
      adopt(candidate, judged);
      return true;
    }
    return false;
  }

  bool attempt(const Change& change, std::uint64_t worth_percent = 0) {
    Options candidate = best_;
    return change(candidate) && attempt(std::move(candidate), worth_percent);
  }

  // What comes after the violation has no part in it.
  void adopt(const Options& options, const Judged& judged) {
    best_ = options;
    events_ = judged.events;
    at_ = judged.at;
    in_second_phase_ = judged.at > options.duration;
    std::erase_if(best_.schedule, [&](const Action& action) { return action.at > at_; });
    if (in_second_phase_) {
      // The second phase begins where the first ends; what it needs is a pass's to find out.
      return;
    }
    best_.duration = std::chrono::ceil<std::chrono::milliseconds>(at_) + kSlack;
  }

  // In the text a violation in the first phase needs no word about the second.
  [[nodiscard]] Options tidy(Options options) const {
    if (in_second_phase_) return options;
    options.liveness = 1;
    for (const Duration grid : {Duration(1s), Duration(100ms), Duration(10ms)}) {
      const Duration rounded = (at_ + grid - Duration(1)) / grid * grid;
      if (rounded - at_ > 1s) continue;
      options.duration = rounded;
      break;
    }
    return options;
  }

  // --- passes ---

  // Only what happened in the last moments, at the beginning of a new run.
  void recent_only() {
    const Duration end = in_second_phase_ ? best_.duration : at_;
    if (best_.schedule.empty() || best_.schedule.back().at < 1s) return;
    for (const Duration window : {Duration(500ms), Duration(1s), Duration(2s), Duration(4s),
                                  Duration(6s), Duration(9s), Duration(13s)}) {
      const Duration lead = best_.election_timeout * 3;
      if (window + lead * 2 > end) return;
      const auto changed = attempt([&](Options& options) {
        std::erase_if(options.schedule, [&](const Action& a) { return a.at < end - window; });
        for (Action& action : options.schedule) action.at -= end - window - lead;
        options.duration = window + lead + best_.election_timeout * 4;
        return true;
      });
      if (changed) return;
    }
    if (!in_second_phase_) return;
    for (const Duration shorter : {best_.duration / 8, best_.duration / 4, best_.duration / 2}) {
      const auto changed = attempt([&](Options& options) {
        if (shorter < 1s) return false;
        options.duration = std::chrono::ceil<std::chrono::milliseconds>(shorter);
        std::erase_if(options.schedule, [&](const Action& a) { return a.at >= options.duration; });
        return true;
      });
      if (changed) return;
    }
  }

  // Options back to their defaults: all at once, by halves, each.
  void conditions() {
    ordinary_timeouts();
    std::vector<const OptionField*> fields;
    static const Options kDefaults;
    for (const OptionField& field : option_fields()) {
      Options copy = best_;
      if (is_condition(field) && reset(copy, field)) fields.push_back(&field);
    }
    conditions(fields);
  }
  void conditions(std::span<const OptionField* const> fields) {
    if (fields.empty() || stopped_) return;
    const auto changed = attempt(
        [&](Options& options) {
          for (const OptionField* field : fields) reset(options, *field);
          return true;
        },
        fields.size());
    if (changed || fields.size() == 1) return;
    conditions(fields.first(fields.size() / 2));
    conditions(fields.subspan(fields.size() / 2));
  }

  // All that are needed at once, or each. With every message twice and a log that is cut at every
  // write a few operations do what else takes hundreds.
  void exaggerate() {
    const auto changed = attempt(
        [](Options& options) {
          const Options before = options;
          for (const Strong& strong : strong_conditions()) strengthen(options, strong);
          return options != before;
        },
        kNodeWorth);
    if (changed) return;
    for (const Strong& strong : strong_conditions())
      attempt([&](Options& options) { return strengthen(options, strong); }, kNodeWorth / 2);
  }

  // The default timeouts, and the schedule as much slower or faster as they are.
  void ordinary_timeouts() {
    static const Options kDefaults;
    const Duration before = best_.election_timeout;
    if (before == kDefaults.election_timeout || in_second_phase_) return;
    attempt(
        [&](Options& options) {
          options.election_timeout = kDefaults.election_timeout;
          options.heartbeat_interval = kDefaults.heartbeat_interval;
          options.reset_election_delay_max = kDefaults.reset_election_delay_max;
          const auto scaled = [&](Duration time) {
            // In microseconds: no time here is so long that this overflows.
            const auto us = [](Duration d) {
              return std::chrono::floor<std::chrono::microseconds>(d).count();
            };
            return std::chrono::microseconds(us(time) * us(options.election_timeout) / us(before));
          };
          for (Action& action : options.schedule) action.at = scaled(action.at);
          options.duration = scaled(options.duration);
          return true;
        },
        10);
  }

  // A whole kind of action, a whole client.
  void kinds() {
    const auto drop_if = [&](auto matches) {
      return attempt(
          [&](Options& options) { return std::erase_if(options.schedule, matches) > 0; });
    };
    drop_if([](const Action& a) { return is_operation(a.verb); });
    drop_if([](const Action& a) { return !is_operation(a.verb); });
    std::set<Verb> verbs;
    std::set<int> clients;
    for (const Action& action : best_.schedule) {
      verbs.insert(action.verb);
      if (action.client != 0) clients.insert(action.client);
    }
    for (const Verb verb : verbs) drop_if([&](const Action& a) { return a.verb == verb; });
    for (const int client : clients) drop_if([&](const Action& a) { return a.client == client; });
  }

  // Voters go last: a small cluster of voters is easier to follow than one that others join.
  void nodes() {
    for (std::uint64_t n = best_.voters + best_.learners + best_.spares; n >= 1; --n) {
      if (n <= best_.voters && n < best_.voters + best_.learners + best_.spares &&
          best_.learners + best_.spares > 0)
        continue;
      attempt([&](Options& options) { return drop_node(options, n); }, kNodeWorth);
    }
    if (best_.learners + best_.spares == 0) return;
    attempt(
        [](Options& options) {
          options.voters += options.learners + options.spares;
          options.learners = 0;
          options.spares = 0;
          return true;
        },
        kNodeWorth);
  }

  // Delta debugging (Zeller and Hildebrandt 2002), complements only: pieces of the faults or of the
  // operations are left out, ever smaller ones.
  void drop_actions(bool operations) {
    const auto members = [&] {
      std::vector<std::size_t> at;
      for (std::size_t i = 0; i < best_.schedule.size(); ++i) {
        if (is_operation(best_.schedule[i].verb) == operations) at.push_back(i);
      }
      return at;
    };
    std::size_t piece = std::max<std::size_t>(1, (members().size() + 1) / 2);
    for (;;) {
      bool changed = false;
      // From the end: what stands behind depends on what stands before.
      for (std::size_t end = members().size(); end > 0 && !stopped_;) {
        const std::vector<std::size_t> all = members();
        end = std::min(end, all.size());
        if (end == 0) break;
        const std::size_t begin = end > piece ? end - piece : 0;
        Options candidate = best_;
        for (std::size_t i = end; i > begin; --i) {
          candidate.schedule.erase(candidate.schedule.begin() +
                                   static_cast<std::ptrdiff_t>(all[i - 1]));
        }
        if (attempt(std::move(candidate))) changed = true;
        end = begin;
      }
      if (stopped_ || (piece == 1 && !changed)) return;
      if (piece > 1) piece = (piece + 1) / 2;
    }
  }

  // A few operations, or faults, drawn: where none can be left out alone, nearly all can at once.
  void few(bool operations) {
    Prng prng(1);
    for (const std::size_t wanted : {3, 6, 12, 25, 50}) {
      if (count(operations) <= wanted * 2) return;
      for (int draw = 0; draw < 3; ++draw) {
        if (attempt(with_a_few(operations, wanted, prng))) return;
      }
    }
  }

  // Where operations had to fill a limit, a few fill a smaller one.
  void small_limits() {
    Prng prng(1);
    for (const std::size_t wanted : {3, 6, 12}) {
      if (count(true) <= wanted * 2) return;
      for (const Strong& limit : smallest_limits()) {
        Options candidate = with_a_few(true, wanted, prng);
        if (set(candidate, limit) && attempt(std::move(candidate))) return;
      }
    }
  }

  // Where much was done to hit one moment, a little hits a longer one: what follows drops the rest.
  void long_moments() {
    if (count(false) <= kFew) return;
    for (const Slow& slow : slow_times()) {
      attempt([&](Options& options) { return slow_down(options, slow); }, kNodeWorth);
    }
  }

  [[nodiscard]] std::size_t count(bool operations) const {
    const ScheduleSize size = size_of(best_.schedule);
    return operations ? size.operations : size.faults;
  }

  [[nodiscard]] Options with_a_few(bool operations, std::size_t wanted, Prng& prng) const {
    const std::size_t all = count(operations);
    Options candidate = best_;
    std::erase_if(candidate.schedule, [&](const Action& action) {
      return is_operation(action.verb) == operations && !prng.chance(wanted, all);
    });
    return candidate;
  }

  void simplify_actions() {
    for (std::size_t i = 0; i < best_.schedule.size() && !stopped_; ++i) {
      bool changed = true;
      while (changed && i < best_.schedule.size()) {
        changed = false;
        for (Action& action : simpler(best_.schedule[i])) {
          changed = attempt([&](Options& options) {
            options.schedule[i] = std::move(action);
            return true;
          });
          if (changed) break;
        }
      }
    }
  }

  // Keys, values, clients and labels by number, in the order in which they come.
  void simplify_names() {
    attempt([](Options& options) {
      std::map<std::string, std::string> keys;
      std::uint64_t values = 0;
      const Schedule before = options.schedule;
      for (Action& action : options.schedule) {
        for (auto& [key, value] : action.pairs) {
          key = keys.try_emplace(key, "k" + std::to_string(keys.size() + 1)).first->second;
          if (!value.empty()) value = "v" + std::to_string(++values);
        }
      }
      return options.schedule != before;
    });
    attempt([](Options& options) {
      const Schedule before = options.schedule;
      std::map<int, int> clients;
      for (Action& action : options.schedule) {
        if (action.client == 0) continue;
        action.client =
            clients.try_emplace(action.client, static_cast<int>(clients.size()) + 1).first->second;
      }
      return options.schedule != before;
    });
    attempt([](Options& options) {
      const Schedule before = options.schedule;
      for (Action& action : options.schedule) action.label = 0;
      return options.schedule != before;
    });
    attempt([](Options& options) {
      const Schedule before = options.schedule;
      std::map<std::uint32_t, std::uint32_t> labels;
      for (Action& action : options.schedule) {
        if (action.label == 0) continue;
        const auto next = static_cast<std::uint32_t>(labels.size() + 1);
        action.label = labels.try_emplace(action.label, next).first->second;
      }
      return options.schedule != before;
    });
  }

  // Gaps become shorter, then times round.
  void times() {
    for (std::size_t i = 0; i < best_.schedule.size() && !stopped_; ++i) {
      for (const int parts : {0, 4, 2}) {
        const auto changed = attempt([&](Options& options) {
          const Duration before = i == 0 ? Duration(0) : options.schedule[i - 1].at;
          const Duration gap = options.schedule[i].at - before;
          if (gap < kCompressMin) return false;
          const Duration shorter = parts == 0 ? Duration(0) : gap / parts;
          for (std::size_t k = i; k < options.schedule.size(); ++k)
            options.schedule[k].at -= gap - shorter;
          return true;
        });
        if (changed || i >= best_.schedule.size()) break;
      }
    }
    for (const Duration grid : kGrids) {
      attempt([&](Options& options) {
        const std::size_t before = text_size(options.schedule);
        for (Action& action : options.schedule) action.at = round_to(action.at, grid);
        return text_size(options.schedule) < before;
      });
    }
    for (std::size_t i = 0; i < best_.schedule.size() && !stopped_; ++i) {
      for (const Duration grid : kGrids) {
        if (i >= best_.schedule.size()) break;
        const auto changed = attempt([&](Options& options) {
          Schedule& schedule = options.schedule;
          const Duration rounded = round_to(schedule[i].at, grid);
          const bool shorter = text_size(rounded) < text_size(schedule[i].at);
          const bool in_order = (i == 0 || schedule[i - 1].at <= rounded) &&
                                (i + 1 == schedule.size() || rounded <= schedule[i + 1].at);
          schedule[i].at = rounded;
          return shorter && in_order;
        });
        if (changed) break;
      }
    }
  }

  void round_conditions() {
    for (const OptionField& field : option_fields()) {
      if (!is_condition(field)) continue;
      Options untouched = best_;
      if (!reset(untouched, field)) continue;  // it is the default
      attempt([&](Options& options) {
        return std::visit(
            [&](auto member) {
              auto& value = options.*member;
              const auto before = value;
              if constexpr (std::is_same_v<decltype(before), const Duration>) {
                value = Duration(static_cast<std::int64_t>(
                    round_number(static_cast<std::uint64_t>(value.count()))));
              } else {
                value = round_number(value);
              }
              return value != before;
            },
            field.member);
      });
    }
  }

  const ShrinkOptions& how_;
  Options best_;
  std::string target_;
  Instant at_{};
  bool in_second_phase_ = false;
  std::uint64_t events_ = 0;
  std::uint64_t runs_ = 0;
  std::uint64_t effort_ = 100;  // percent
  bool stopped_ = false;
  std::map<std::string, std::uint64_t> known_;  // with how many seeds it did not fail
};

}  // namespace

Judged judge(const Options& options, std::string_view target, Watcher* watcher) {
  SimulateOptions how;
  how.watcher = watcher;
  how.check_history = target.empty() || target == kOfHistory || target == kUndecided;
  // A history that is hard to judge shows no violation that a person could see.
  if (target == kOfHistory) how.history_steps_max = 1'000'000;
  how.retell = false;
  const Run run = simulate(options, how);
  Judged judged;
  judged.events = run.statistics.events;
  judged.at = run.statistics.simulated;
  if (run.failure) judged.invariant = run.failure->violation.invariant;
  const bool as_a_whole =
      run.failure && run.failure->violation.what.starts_with("the history is not linearizable");
  if (as_a_whole) judged.invariant = kOfHistory;
  return judged;
}

std::optional<Shrunk> shrink(const Options& options, const ShrinkOptions& how) {
  Shrinker shrinker(options, how);
  if (!shrinker.begin()) return std::nullopt;
  return shrinker.result(shrinker.run_passes());
}

ScheduleSize size_of(const Schedule& schedule) {
  ScheduleSize size;
  for (const Action& action : schedule)
    ++(is_operation(action.verb) ? size.operations : size.faults);
  return size;
}

}  // namespace raftkv::sim
