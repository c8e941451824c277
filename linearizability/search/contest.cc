#include "linearizability/search/contest.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

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
// Relaxing a part takes time of its own.
constexpr std::uint64_t kStepsBeforeRelaxed = 1u << 16;
// What a part's timeline takes, and what an algorithm that rules at once may take.
constexpr std::uint64_t kBytesAnOperation = 56;
constexpr std::uint64_t kBytesToRule = 48;

// What the searches for one part share.
class Ground {
 public:
  Ground(const History& history, const Part& part, const Options& options, Patience& patience)
      : machine_(options.model->machine(history, part, options.initial)),
        needs_(machine_->needs(part)),
        timeline_(history, *options.model, part, *machine_, needs_, patience),
        foresight_(timeline_, needs_, patience) {
    needs_ = {};
  }

  std::unique_ptr<Search> just_in_time(bool want_witness, bool hopeful) {
    return std::make_unique<JustInTime>(timeline_, *machine_, want_witness, &foresight_, hopeful);
  }
  std::unique_ptr<Search> depth_first() {
    return std::make_unique<DepthFirst>(timeline_, *machine_, &foresight_);
  }
  [[nodiscard]] const Timeline& timeline() const { return timeline_; }
  [[nodiscard]] std::uint64_t memory_bytes() const {
    return timeline_.memory_bytes() + foresight_.memory_bytes();
  }

 private:
  std::unique_ptr<Machine> machine_;
  std::vector<Need> needs_;  // until the next two have seen them
  Timeline timeline_;
  Foresight foresight_;
};

// The part in a history in which more can happen: transactions of unknown end that nothing shows to
// have taken effect may do so in pieces. What is not possible there is not possible.
class Relaxed {
 public:
  Relaxed(const History& history, const Part& part, const Options& options,
          const Timeline& timeline, Patience& patience)
      : history_(history.split(part, forced(timeline))),
        part_(all(history_)),
        ground_(history_, part_, options, patience) {}

  Ground& ground() { return ground_; }
  [[nodiscard]] std::uint64_t memory_bytes() const {
    return history_.memory_bytes() - history_.values().memory_bytes() +
           part_.capacity() * sizeof(OperationId) + ground_.memory_bytes();
  }

 private:
  static std::vector<OperationId> forced(const Timeline& timeline) {
    std::vector<OperationId> out;
    for (std::uint32_t i = 0; i < timeline.operations(); ++i) {
      if (timeline.operation(i).is_forced) out.push_back(timeline.operation(i).id);
    }
    return out;
  }
  static Part all(const History& history) {
    Part part(history.size());
    std::iota(part.begin(), part.end(), OperationId{0});
    return part;
  }

  History history_;
  Part part_;
  Ground ground_;
};

// The searches that race for one part.
class Race {
 public:
  Race(const History& history, const Part& part, const Options& options, bool want_witness,
       Patience& patience)
      : history_(history),
        part_(part),
        options_(options),
        patience_(patience),
        ground_(history, part, options, patience) {
    const bool all_wait = ground_.timeline().all_wait();
    if (options.algorithm == Algorithm::automatic && !all_wait) {
      searches_[kHopeful] = ground_.just_in_time(want_witness, true);
      relaxes_ = options.model->transactions_split();
    }
    if (options.algorithm != Algorithm::depth_first) {
      searches_[kJustInTime] = ground_.just_in_time(want_witness, false);
    }
    if (options.algorithm != Algorithm::just_in_time) {
      searches_[kDepthFirst] = ground_.depth_first();
    }
  }

  // Runs one after the other for a slice each, with so many bytes more than are held now. One that
  // runs out of memory leaves what it held to the other; out_of_memory: nobody is left.
  Search::State run(std::uint64_t steps, std::uint64_t memory_left) {
    const std::uint64_t memory_bytes_max = memory_bytes() + memory_left;
    steps_ += steps;
    if (relaxes_ && steps_ >= kStepsBeforeRelaxed) relax(memory_left);
    for (std::size_t s = 0; s < searches_.size(); ++s) {
      std::unique_ptr<Search>& search = searches_[s];
      if (search == nullptr) continue;
      const std::uint64_t others = memory_bytes() - search->memory_bytes();
      const Search::State state =
          search->run(steps, memory_bytes_max - std::min(memory_bytes_max, others));
      if (state == Search::State::running) continue;
      const bool says_nothing = s == (state == Search::State::linearizable ? kRelaxed : kHopeful);
      if (state == Search::State::out_of_memory || says_nothing) {
        search.reset();
        continue;
      }
      winner_ = search.get();
      return state;
    }
    const bool over =
        std::ranges::all_of(searches_, [](const auto& search) { return search == nullptr; });
    return over ? Search::State::out_of_memory : Search::State::running;
  }
  [[nodiscard]] const Search& winner() const { return *winner_; }

  [[nodiscard]] std::uint64_t memory_bytes() const {
    std::uint64_t bytes = ground_.memory_bytes();
    if (relaxed_ != nullptr) bytes += relaxed_->memory_bytes();
    for (const auto& search : searches_) bytes += search == nullptr ? 0 : search->memory_bytes();
    return bytes;
  }

 private:
  void relax(std::uint64_t memory_left) {
    relaxes_ = false;
    if (part_.size() * (sizeof(Operation) + kBytesAnOperation) > memory_left) return;
    relaxed_ = std::make_unique<Relaxed>(history_, part_, options_, ground_.timeline(), patience_);
    searches_[kRelaxed] = relaxed_->ground().just_in_time(false, false);
  }

  const History& history_;
  const Part& part_;
  const Options& options_;
  Patience& patience_;
  Ground ground_;
  std::unique_ptr<Relaxed> relaxed_;
  // One whose "not linearizable" means nothing, two exact ones, and one whose "linearizable" means
  // nothing. The first and the last are there if they could be of use.
  enum : std::size_t { kHopeful, kJustInTime, kDepthFirst, kRelaxed, kSearches };
  std::array<std::unique_ptr<Search>, kSearches> searches_;
  bool relaxes_ = false;
  std::uint64_t steps_ = 0;
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
    using Rule = Ruling (*)(const History&, const Model&, const Part&, Value, bool, Patience&);
    static constexpr std::pair<Algorithm, Rule> kRules[] = {
        {Algorithm::zones,
         [](const History& history, const Model& model, const Part& part, Value initial,
            bool witness, Patience& patience) {
           return model.family(history) == Family::registers
                      ? rule_by_zones(history, part, initial, witness, patience)
                      : Ruling{};
         }},
        {Algorithm::version_chains, rule_by_version_chains},
    };
    for (const auto& [algorithm, rule] : kRules) {
      if (options_.algorithm != Algorithm::automatic && options_.algorithm != algorithm) continue;
      if (parts_[p].size() * kBytesToRule > meter_.memory_left()) continue;
      Ruling ruling =
          rule(history_, *options_.model, parts_[p], options_.initial, want_witness_, patience_);
      meter_.hold(0, ruling.memory_bytes);
      meter_.hold(ruling.memory_bytes, 0);
      meter_.spend(parts_[p].size());
      if (ruling.kind == Ruling::Kind::undecided) continue;
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
      if (parts_[open.part].size() * kBytesAnOperation > meter_.memory_left()) {
        give_up(open);
        return;
      }
      open.race =
          std::make_unique<Race>(history_, parts_[open.part], options_, want_witness_, patience_);
    }
    for (; slices > 0 && !meter_.ended(); --slices) {
      account(open);
      const Search::State state = open.race->run(kSliceSteps, meter_.memory_left());
      account(open);
      if (state == Search::State::out_of_memory) {
        give_up(open);
        return;
      }
      if (state != Search::State::running) {
        settle(open, state);
        return;
      }
      meter_.spend(kSliceSteps);
    }
  }

  void give_up(Open& open) {
    outcome_.reason = "memory";
    release(open);
  }

  void settle(Open& open, Search::State state) {
    const Search& winner = open.race->winner();
    decided_by(winner.algorithm());
    if (state == Search::State::linearizable) {
      if (want_witness_) winner.append_witness(outcome_.witnesses[open.part]);
    } else {
      violated(parts_[open.part], winner.contradiction());
      outcome_.fresh_start = winner.fresh_start();
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
  Patience patience_{[this] { return meter_.spend(0); }};
  Outcome outcome_;
  std::vector<Open> races_;
};

}  // namespace

Outcome judge(const History& history, std::span<const Part> parts, const Options& options,
              bool want_witness, Meter& meter) {
  return Contest(history, parts, options, want_witness, meter).run();
}

}  // namespace raftkv::linearizability
