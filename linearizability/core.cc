#include "linearizability/core.h"

#include <algorithm>

#include "src/base/check.h"

namespace raftkv::linearizability {

namespace {

// Beyond this size nobody looks whether an answer loses its last source, which takes time quadratic
// in it.
constexpr std::size_t kSourcesLookedForMax = 4096;

// Finds who leaves together with whom.
class Leavers {
 public:
  Leavers(const History& history, const Model& model) : history_(history), model_(model) {
    leaves_.assign(history.size(), false);
    read_until_.assign(history.size(), kOpen);
    // Nobody can read from an operation who is invoked behind the return of something that replaced
    // it.
    for (const Part& part : model.partition(history)) {
      const std::vector<bool> replaces = model.replaces_all(history, part);
      std::vector<std::pair<Position, Position>>
          replaced;  // invoked from here on: replaced by then
      Position first = kOpen;
      for (std::size_t i = part.size(); i-- > 0;) {
        if (!replaces[i] || history[part[i]].returned >= first) continue;
        first = history[part[i]].returned;
        replaced.emplace_back(history[part[i]].invoked, first);
      }
      std::reverse(replaced.begin(), replaced.end());
      for (const OperationId id : part) {
        const auto it = std::upper_bound(replaced.begin(), replaced.end(),
                                         std::pair(history[id].returned, kOpen));
        if (it != replaced.end()) read_until_[id] = it->second;
      }
    }
  }

  std::vector<OperationId> of(std::span<const OperationId> seeds) {
    std::vector<OperationId> out;
    for (const OperationId id : seeds) leave(id, out);
    for (std::size_t i = 0; i < out.size(); ++i) readers_of(out[i], out);
    for (const OperationId id : out) leaves_[id] = false;
    std::sort(out.begin(), out.end());
    return out;
  }

 private:
  void leave(OperationId id, std::vector<OperationId>& out) {
    if (leaves_[id]) return;
    leaves_[id] = true;
    out.push_back(id);
  }

  void readers_of(OperationId writer, std::vector<OperationId>& out) {
    const bool all = history_.size() <= kSourcesLookedForMax;
    for (OperationId id = 0; id < history_.size(); ++id) {
      const Operation& op = history_[id];
      const bool possible =
          op.returned > history_[writer].invoked && op.invoked < read_until_[writer];
      if (!all && op.invoked > read_until_[writer]) break;
      if (leaves_[id] || (!possible && !all)) continue;
      if (!model_.may_read_from(history_, op, history_[writer])) continue;
      if (possible || !other_source(id)) leave(id, out);
    }
  }

  bool other_source(OperationId reader) const {
    for (OperationId id = 0; id < history_.size(); ++id) {
      if (!leaves_[id] && id != reader &&
          model_.may_read_from(history_, history_[reader], history_[id])) {
        return true;
      }
    }
    return false;
  }

  const History& history_;
  const Model& model_;
  std::vector<bool> leaves_;
  std::vector<Position> read_until_;
};

class Shrinker {
 public:
  Shrinker(const History& history, const Options& options, std::span<const OperationId> evidence,
           Meter& meter)
      : options_(options), meter_(meter), current_(history.restricted_to(evidence)) {
    options_.algorithm = Algorithm::automatic;
    ids_.assign(evidence.begin(), evidence.end());
  }

  Core run(const History& history, const Outcome& violation) {
    if (violation.fresh_start != kOpen) cut_before(violation.fresh_start);
    if (violation.contradiction != kOpen) cut_after(violation.contradiction);
    for (std::size_t chunk = current_.size() / 2; chunk > 1 && !meter_.ended(); chunk /= 2) {
      drop_chunks(chunk);
      chunk = std::min(chunk, current_.size());
    }
    bool changed = true;
    while (changed && !meter_.ended()) {
      changed = drop_chunks(1);
      changed = weaken_each() || changed;
    }
    Core core{.operations = ids_, .weakened = {}, .minimal = !meter_.ended() && !gave_up_};
    for (OperationId id = 0; id < current_.size(); ++id) {
      if (current_[id].end == End::info && history[ids_[id]].end == End::ok)
        core.weakened.push_back(ids_[id]);
    }
    return core;
  }

 private:
  void cut_before(Position position) {
    std::vector<OperationId> kept;
    for (OperationId id = 0; id < current_.size(); ++id) {
      if (current_[id].returned > position) kept.push_back(id);
    }
    adopt_if_violated(kept, {});
  }

  // A history that is linearizable is so up to every moment: what is under way then counts as of
  // unknown end. If the operation that contradicts seems to read from the future, one that it may
  // read from stays beside it. (This may fail: a search knows what operations that are under way
  // are going to answer.)
  void cut_after(Position position) {
    const Model& model = *options_.model;
    std::vector<OperationId> kept, weakened;
    OperationId failing = kOpen;
    for (OperationId id = 0; id < current_.size() && current_[id].invoked <= position; ++id) {
      kept.push_back(id);
      if (current_[id].returned == position) failing = id;
      if (current_[id].end == End::ok && current_[id].returned > position) weakened.push_back(id);
    }
    if (failing == kOpen) return;  // the core is being looked for elsewhere
    const auto feeds = [&](OperationId id) {
      return id != failing && model.may_read_from(current_, current_[failing], current_[id]);
    };
    if (std::ranges::none_of(kept, feeds)) {
      for (auto id = static_cast<OperationId>(kept.size()); id < current_.size(); ++id) {
        if (!feeds(id)) continue;
        kept.push_back(id);
        break;
      }
    }
    adopt_if_violated(kept, weakened);
  }

  // Latest first: what contradicts is at the end, and what stands before it mostly does not matter.
  bool drop_chunks(std::size_t chunk) {
    bool any = false;
    std::size_t end = current_.size();
    while (end > 0 && !meter_.ended()) {
      const std::size_t begin = end > chunk ? end - chunk : 0;
      std::vector<OperationId> seeds;
      for (std::size_t i = begin; i < end; ++i) seeds.push_back(static_cast<OperationId>(i));
      const std::vector<OperationId> gone = with_readers(current_, *options_.model, seeds);
      if (gone.size() < current_.size() && adopt_if_violated(without(gone), {})) {
        any = true;
        end = std::min(begin, current_.size());
      } else {
        end = begin;
      }
    }
    return any;
  }

  bool weaken_each() {
    bool any = false;
    for (std::size_t i = current_.size(); i-- > 0 && !meter_.ended();) {
      if (i >= current_.size()) continue;
      if (current_[static_cast<OperationId>(i)].end != End::ok) continue;
      const OperationId id[] = {static_cast<OperationId>(i)};
      any = adopt_if_violated(without({}), id) || any;
    }
    return any;
  }

  std::vector<OperationId> without(std::span<const OperationId> gone) const {
    std::vector<OperationId> out;
    for (OperationId id = 0; id < current_.size(); ++id) {
      if (!std::binary_search(gone.begin(), gone.end(), id)) out.push_back(id);
    }
    return out;
  }

  // Takes over the sub-history of these, or the part of it that a checker says is enough.
  bool adopt_if_violated(const std::vector<OperationId>& kept,
                         std::span<const OperationId> weakened) {
    History candidate = current_.restricted_to(kept, weakened);
    const std::vector<Part> parts = options_.model->partition(candidate);
    const Outcome outcome = judge(candidate, parts, options_, false, meter_);
    gave_up_ = gave_up_ || outcome.verdict == Verdict::unknown;
    if (outcome.verdict != Verdict::not_linearizable) return false;
    std::vector<OperationId> ids;
    for (const OperationId id : outcome.evidence) ids.push_back(ids_[kept[id]]);
    ids_ = std::move(ids);
    current_ = candidate.restricted_to(outcome.evidence);
    return true;
  }

  Options options_;
  Meter& meter_;
  History current_;
  std::vector<OperationId> ids_;  // of current_'s operations in the whole history
  bool gave_up_ = false;
};

}  // namespace

std::vector<OperationId> with_readers(const History& history, const Model& model,
                                      std::span<const OperationId> seeds) {
  return Leavers(history, model).of(seeds);
}

Core minimal_core(const History& history, const Options& options, const Outcome& violation,
                  Meter& meter) {
  return Shrinker(history, options, violation.evidence, meter).run(history, violation);
}

}  // namespace raftkv::linearizability
