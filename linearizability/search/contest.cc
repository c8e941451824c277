#include "linearizability/search/contest.h"

#include <fmt/format.h>

#include <algorithm>

#include "linearizability/search/depth_first.h"
#include "linearizability/search/just_in_time.h"
#include "linearizability/search/version_chains.h"
#include "linearizability/search/zones.h"
#include "src/base/check.h"

namespace raftkv::linearizability {

bool Meter::spend(std::uint64_t steps) {
  progress_.steps += steps;
  progress_.memory_bytes = held_;
  if (!ended_ && options_.keep_going && !options_.keep_going(progress_)) ended_ = true;
  return !ended_;
}

void Meter::hold(std::uint64_t before, std::uint64_t after) {
  held_ = held_ - before + after;
  most_held_ = std::max(most_held_, held_);
}

namespace {

// A slice of a search is short against the milliseconds in which a limit must be kept.
constexpr std::uint64_t kSliceSteps = 1u << 14;
// A round gives every part this many slices, twice as many in each next round.
constexpr std::uint64_t kFirstRoundSlices = 4;
constexpr std::uint64_t kRoundSlicesMax = 1u << 12;

// The searches that race for one part.
class Race {
 public:
  Race(const History& history, const Part& part, const Options& options, bool want_witness)
      : machine_(options.model->machine(history, part, options.initial)),
        timeline_(history, *options.model, part, *machine_) {
    if (options.algorithm != Algorithm::depth_first) {
      just_in_time_ = std::make_unique<JustInTime>(history, timeline_, *machine_, want_witness);
    }
    if (options.algorithm != Algorithm::just_in_time) {
      depth_first_ = std::make_unique<DepthFirst>(history, timeline_, *machine_);
    }
  }

  // Runs one after the other for a slice each.
  Search::State run(std::uint64_t steps) {
    for (Search* search :
         {static_cast<Search*>(just_in_time_.get()), static_cast<Search*>(depth_first_.get())}) {
      if (search == nullptr) continue;
      const Search::State state = search->run(steps);
      if (state == Search::State::running) continue;
      winner_ = search;
      return state;
    }
    return Search::State::running;
  }
  [[nodiscard]] const Search& winner() const { return *winner_; }

  // Gives up the larger of two searches; false if there is but one.
  bool give_one_up() {
    if (just_in_time_ == nullptr || depth_first_ == nullptr) return false;
    if (just_in_time_->memory_bytes() > depth_first_->memory_bytes()) {
      just_in_time_.reset();
    } else {
      depth_first_.reset();
    }
    return true;
  }

  [[nodiscard]] std::uint64_t memory_bytes() const {
    return timeline_.memory_bytes() + (just_in_time_ ? just_in_time_->memory_bytes() : 0) +
           (depth_first_ ? depth_first_->memory_bytes() : 0);
  }

 private:
  std::unique_ptr<Machine> machine_;
  Timeline timeline_;
  std::unique_ptr<JustInTime> just_in_time_;
  std::unique_ptr<DepthFirst> depth_first_;
  const Search* winner_ = nullptr;
};

class Contest {
 public:
  Contest(const History& history, std::span<const Part> parts, const Options& options,
          bool want_witness, Meter& meter)
      : history_(history),
        parts_(parts),
        options_(options),
        want_witness_(want_witness),
        meter_(meter) {
    outcome_.witnesses.resize(parts.size());
    meter_.progress().parts = parts.size();
    meter_.progress().parts_done = 0;
  }

  Outcome run() {
    for (std::size_t p = 0; p < parts_.size() && going(); ++p) {
      if (!rule_at_once(p)) races_.push_back({p, nullptr});
    }
    std::uint64_t slices = kFirstRoundSlices;
    while (!races_.empty() && going()) {
      for (std::size_t r = 0; r < races_.size() && going(); ++r) take_turn(races_[r], slices);
      std::erase_if(races_, [](const Open& open) { return open.over; });
      slices = std::min(slices * 2, kRoundSlicesMax);
    }
    for (Open& open : races_) release(open);
    finish();
    return std::move(outcome_);
  }

 private:
  struct Open {
    std::size_t part;
    std::unique_ptr<Race> race;
    std::uint64_t held = 0;
    bool over = false;
  };

  bool going() const { return outcome_.verdict != Verdict::not_linearizable && !meter_.ended(); }

  void decided_by(Algorithm algorithm) {
    auto& deciders = outcome_.deciders;
    if (std::ranges::find(deciders, algorithm) == deciders.end()) deciders.push_back(algorithm);
    ++meter_.progress().parts_done;
  }

  // True if a fast algorithm decided the part.
  bool rule_at_once(std::size_t p) {
    using Rule = Ruling (*)(const History&, const Model&, const Part&, Value, bool);
    static constexpr std::pair<Algorithm, Rule> kRules[] = {
        {Algorithm::zones,
         [](const History& history, const Model& model, const Part& part, Value initial,
            bool witness) {
           return model.family() == Family::registers &&
                          !(model.name() == "kv" && history.has_indexes())
                      ? rule_by_zones(history, part, initial, witness)
                      : Ruling{};
         }},
        {Algorithm::version_chains, rule_by_version_chains},
    };
    for (const auto& [algorithm, rule] : kRules) {
      if (options_.algorithm != Algorithm::automatic && options_.algorithm != algorithm) continue;
      Ruling ruling = rule(history_, *options_.model, parts_[p], options_.initial, want_witness_);
      meter_.hold(0, ruling.memory_bytes);
      const bool fits = !meter_.over_memory();
      meter_.hold(ruling.memory_bytes, 0);
      meter_.spend(parts_[p].size());
      if (!fits || ruling.kind == Ruling::Kind::undecided) continue;
      decided_by(algorithm);
      if (ruling.kind == Ruling::Kind::not_linearizable) {
        std::sort(ruling.evidence.begin(), ruling.evidence.end());
        violated(std::move(ruling.evidence), kOpen);
      } else {
        outcome_.witnesses[p] = std::move(ruling.witness);
      }
      return true;
    }
    if (options_.algorithm == Algorithm::zones || options_.algorithm == Algorithm::version_chains) {
      outcome_.reason = fmt::format("{} does not apply", to_string(options_.algorithm));
      return true;
    }
    return false;
  }

  void violated(std::vector<OperationId> evidence, Position contradiction) {
    outcome_.verdict = Verdict::not_linearizable;
    outcome_.evidence = std::move(evidence);
    outcome_.contradiction = contradiction;
  }

  void take_turn(Open& open, std::uint64_t slices) {
    if (open.race == nullptr) {
      open.race = std::make_unique<Race>(history_, parts_[open.part], options_, want_witness_);
    }
    for (; slices > 0 && !meter_.ended(); --slices) {
      const Search::State state = open.race->run(kSliceSteps);
      account(open);
      if (state != Search::State::running) {
        settle(open, state);
        return;
      }
      while (meter_.over_memory()) {
        if (!open.race->give_one_up()) {
          outcome_.reason = "memory";
          release(open);
          return;
        }
        account(open);
      }
      meter_.spend(kSliceSteps);
    }
  }

  void settle(Open& open, Search::State state) {
    const Search& winner = open.race->winner();
    decided_by(winner.algorithm());
    if (state == Search::State::linearizable) {
      if (want_witness_) winner.append_witness(outcome_.witnesses[open.part]);
    } else {
      violated(parts_[open.part], winner.contradiction());
    }
    meter_.spend(kSliceSteps);
    release(open);
  }

  void account(Open& open) {
    const std::uint64_t bytes = open.race->memory_bytes();
    meter_.hold(open.held, bytes);
    open.held = bytes;
  }
  void release(Open& open) {
    meter_.hold(open.held, 0);
    open.held = 0;
    open.over = true;
    open.race.reset();
  }

  void finish() {
    if (outcome_.verdict == Verdict::not_linearizable) return;
    if (meter_.ended()) outcome_.reason = "time";
    if (outcome_.reason.empty()) outcome_.verdict = Verdict::linearizable;
  }

  const History& history_;
  const std::span<const Part> parts_;
  const Options& options_;
  const bool want_witness_;
  Meter& meter_;
  Outcome outcome_;
  std::vector<Open> races_;
};

}  // namespace

Outcome judge(const History& history, std::span<const Part> parts, const Options& options,
              bool want_witness, Meter& meter) {
  return Contest(history, parts, options, want_witness, meter).run();
}

}  // namespace raftkv::linearizability
