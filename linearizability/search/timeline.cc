#include "linearizability/search/timeline.h"

#include <algorithm>
#include <queue>
#include <tuple>

#include "src/base/check.h"

namespace raftkv::linearizability {

namespace {

// Beyond this many pairs of class and operation nobody looks for the last reader: classes then live
// for ever.
constexpr std::uint64_t kPairsMax = 1u << 26;

// Orders operations by what they call, so that equal calls stand together.
std::strong_ordering compare_calls(const History& history, OperationId a, OperationId b) {
  const Operation& x = history[a];
  const Operation& y = history[b];
  if (const auto c = x.function <=> y.function; c != 0) return c;
  if (!x.has_steps()) {
    if (const auto c = x.key <=> y.key; c != 0) return c;
    if (const auto c = x.argument <=> y.argument; c != 0) return c;
    return x.expected <=> y.expected;
  }
  const auto s = history.steps(x);
  const auto t = history.steps(y);
  return std::lexicographical_compare_three_way(
      s.begin(), s.end(), t.begin(), t.end(), [](const Step& p, const Step& q) {
        if (const auto c = p.function <=> q.function; c != 0) return c;
        if (const auto c = p.key <=> q.key; c != 0) return c;
        return p.value <=> q.value;
      });
}

// An operation of unknown end has to take effect by then.
struct Deadline {
  OperationId of;
  Position at;
};

// By operation.
std::vector<Deadline> deadlines_of(const History& history, std::span<const Need> needs) {
  std::vector<Deadline> all, out;
  for (const Need& need : needs) {
    if (need.source == kOpen || history[need.source].end != End::info) continue;
    all.push_back({need.source, history[need.operation].returned});
  }
  std::ranges::sort(all, [](const Deadline& a, const Deadline& b) {
    return a.of != b.of ? a.of < b.of : a.at < b.at;
  });
  for (const Deadline& deadline : all) {
    if (!out.empty() && out.back().of == deadline.of) continue;
    out.push_back(deadline);
  }
  // An answer before the call contradicts by itself.
  std::erase_if(out, [&](const Deadline& d) { return d.at < history[d.of].invoked; });
  return out;
}

// Hands out the smallest free number.
class Places {
 public:
  std::uint32_t take() {
    if (free_.empty()) return count_++;
    const std::uint32_t place = free_.top();
    free_.pop();
    return place;
  }
  void give_back(std::uint32_t place) { free_.push(place); }
  [[nodiscard]] std::uint32_t count() const { return count_; }

 private:
  std::priority_queue<std::uint32_t, std::vector<std::uint32_t>, std::greater<>> free_;
  std::uint32_t count_ = 0;
};

}  // namespace

struct Timeline::Unknown {
  Class of_class;
  Position dies = 0;  // kOpen: never; 0: it was never of use
};

Timeline::Timeline(const History& history, const Model& model, const Part& part,
                   const Machine& machine, std::span<const Need> needs, Patience& patience)
    : history_(history), model_(model) {
  add_events(history, live_classes(history, model, part, machine, needs, patience), patience);
}

std::vector<Timeline::Unknown> Timeline::live_classes(const History& history, const Model& model,
                                                      const Part& part, const Machine& machine,
                                                      std::span<const Need> needs,
                                                      Patience& patience) {
  const std::vector<Deadline> deadlines = deadlines_of(history, needs);
  std::vector<OperationId> ids;
  operations_.reserve(part.size());
  for (const OperationId id : part) {
    if (patience.lost()) return {};
    const bool observes_only = machine.observes_only(id);
    if (history[id].end == End::ok) {
      operations_.push_back({id, 0, history[id].returned, observes_only, false});
    } else if (!observes_only) {
      const auto deadline = std::ranges::lower_bound(deadlines, id, {}, &Deadline::of);
      const bool needed = deadline != deadlines.end() && deadline->of == id;
      if (needed && !machine.waits_for_reader(id)) {
        operations_.push_back({id, 0, deadline->at, false, true});
      } else {
        ids.push_back(id);
      }
    }
  }
  const auto compare = [&](OperationId a, OperationId b) {
    if (const auto c = machine.effect(a) <=> machine.effect(b); c != 0) return c;
    return machine.effect(a) != 0 ? std::strong_ordering::equal : compare_calls(history, a, b);
  };
  std::sort(ids.begin(), ids.end(), [&](OperationId a, OperationId b) {
    const auto c = compare(a, b);
    return c != 0 ? c < 0 : a < b;
  });
  std::vector<Unknown> unknowns;
  for (const OperationId id : ids) {
    if (unknowns.empty() || compare(unknowns.back().of_class.members[0], id) != 0) {
      unknowns.emplace_back().of_class.waits = machine.waits_for_reader(id);
    }
    unknowns.back().of_class.members.push_back(id);
  }
  find_deaths(history, model, unknowns, patience);
  // Members that were invoked after the last reader had returned are of no use.
  for (Unknown& unknown : unknowns) {
    std::erase_if(unknown.of_class.members,
                  [&](OperationId id) { return history[id].invoked > unknown.dies; });
  }
  std::erase_if(unknowns, [](const Unknown& unknown) { return unknown.of_class.members.empty(); });
  return unknowns;
}

void Timeline::find_deaths(const History& history, const Model& model,
                           std::vector<Unknown>& unknowns, Patience& patience) const {
  if (unknowns.size() * (operations_.size() + unknowns.size()) > kPairsMax) {
    for (Unknown& unknown : unknowns) unknown.dies = kOpen;
    return;
  }
  for (Unknown& unknown : unknowns) {
    const Operation& writer = history[unknown.of_class.members[0]];
    for (const Pending& pending : operations_) {
      if (patience.lost()) return;
      const Operation& reader = history[pending.id];
      if (pending.returned > std::max(writer.invoked, unknown.dies) &&
          model.may_read_from(history, reader, writer)) {
        unknown.dies = pending.returned;
      }
    }
  }
  // One of unknown end may also be of use to another of unknown end that is of use.
  for (bool changed = true; changed;) {
    changed = false;
    for (Unknown& unknown : unknowns) {
      for (const Unknown& reader : unknowns) {
        if (patience.lost()) return;
        if (reader.dies > unknown.dies &&
            model.may_read_from(history, history[reader.of_class.members[0]],
                                history[unknown.of_class.members[0]])) {
          unknown.dies = reader.dies;
          changed = true;
        }
      }
    }
  }
}

void Timeline::add_events(const History& history, std::vector<Unknown> unknowns,
                          Patience& patience) {
  struct Coming {
    Position at;
    Event event;
    bool is_forced = false;
    // What is forced returns together with the one who needs it: behind that.
    bool operator>(const Coming& other) const {
      return std::tuple(at, is_forced, event.word) >
             std::tuple(other.at, other.is_forced, other.event.word);
    }
  };
  const auto event = [](Kind kind, std::size_t of) {
    return Event{(static_cast<std::uint32_t>(kind) << 30) | static_cast<std::uint32_t>(of)};
  };
  // Everything about classes, in order.
  std::vector<Coming> about_classes;
  for (std::size_t i = 0; i < unknowns.size(); ++i) {
    for (const OperationId id : unknowns[i].of_class.members) {
      about_classes.push_back({history[id].invoked, event(Kind::appeared, i), false});
    }
    // Just behind the return of its last reader.
    if (unknowns[i].dies != kOpen)
      about_classes.push_back({unknowns[i].dies, event(Kind::died, i), false});
    classes_.push_back(std::move(unknowns[i].of_class));
  }
  std::sort(about_classes.begin(), about_classes.end(), [](const Coming& a, const Coming& b) {
    return a.at != b.at ? a.at < b.at : a.event.word < b.event.word;
  });

  Places slots, places;
  std::vector<bool> placed(classes_.size(), false);
  std::priority_queue<Coming, std::vector<Coming>, std::greater<>> returns;
  std::size_t next_class = 0;
  const auto classes_until = [&](Position at) {
    for (; next_class < about_classes.size() && about_classes[next_class].at < at; ++next_class) {
      const Event e = about_classes[next_class].event;
      events_.push_back(e);
      Class& c = classes_[e.of()];
      if (e.kind() == Kind::died) {
        places.give_back(c.place);
      } else if (!placed[e.of()]) {
        placed[e.of()] = true;
        c.place = places.take();
      }
    }
  };
  const auto returns_until = [&](Position at) {
    for (; !returns.empty() && returns.top().at < at; returns.pop()) {
      classes_until(returns.top().at);
      events_.push_back(returns.top().event);
      slots.give_back(operations_[returns.top().event.of()].slot);
    }
    classes_until(at);
  };
  events_.reserve(2 * operations_.size() + about_classes.size());
  for (std::size_t i = 0; i < operations_.size() && !patience.lost(); ++i) {
    const Operation& op = history[operations_[i].id];
    returns_until(op.invoked);
    events_.push_back(event(Kind::invoked, i));
    operations_[i].slot = slots.take();
    returns.push({operations_[i].returned, event(Kind::returned, i), operations_[i].is_forced});
  }
  returns_until(kOpen);
  slots_ = slots.count();
  places_ = places.count();
}

bool Timeline::all_wait() const {
  return std::ranges::all_of(classes_, [](const Class& c) { return c.waits; });
}

bool Timeline::may_read(std::uint32_t operation, std::uint32_t of_class) const {
  return model_.may_read_from(history_, history_[operations_[operation].id],
                              history_[classes_[of_class].members[0]]);
}

bool Timeline::class_may_read(std::uint32_t reader, std::uint32_t of_class) const {
  return model_.may_read_from(history_, history_[classes_[reader].members[0]],
                              history_[classes_[of_class].members[0]]);
}

std::uint64_t Timeline::memory_bytes() const {
  std::uint64_t bytes = events_.capacity() * sizeof(Event) +
                        operations_.capacity() * sizeof(Pending) +
                        classes_.capacity() * sizeof(Class);
  for (const Class& c : classes_) bytes += c.members.capacity() * sizeof(OperationId);
  return bytes;
}

}  // namespace raftkv::linearizability
