#include "linearizability/search/version_chains.h"

#include <algorithm>

#include "linearizability/search/value_index.h"
#include "linearizability/search/zones.h"

namespace raftkv::linearizability {

Ruling rule_by_version_chains(const History& history, const Model& model, const Part& part,
                              Value initial, bool want_witness, Patience& patience) {
  const Family family = model.family(history);
  if (family == Family::texts) {
    return rule_by_appends(history, part, initial, want_witness, patience);
  }
  if (family != Family::registers) return {};
  return rule_by_cas_chains(history, part, initial, want_witness, patience);
}

namespace {

constexpr std::uint32_t kNone = ValueIndex::kNone;

Position moment(Position event) {
  return event == kOpen ? kOpen : event + 1;
}

bool found_another(const Operation& op) {
  return op.function == Function::cas && op.end == End::ok && op.result == Value::boolean(false);
}

// The versions of one register; 0 is the initial one.
class Chains {
 public:
  Chains(const History& history, const Part& part, Value initial, Patience& patience)
      : history_(history),
        part_(part),
        initial_(initial == kUnsaid ? kNil : initial),
        patience_(patience) {}

  Ruling rule(bool want_witness) {
    Ruling ruling;
    if (!name_versions()) return ruling;
    ruling.kind = Ruling::Kind::not_linearizable;
    if (!see() || !link() || !walk() || !place()) {
      std::sort(evidence_.begin(), evidence_.end());
      evidence_.erase(std::unique(evidence_.begin(), evidence_.end()), evidence_.end());
      ruling.evidence = std::move(evidence_);
    } else {
      ruling.kind = Ruling::Kind::linearizable;
      write_order();
      if (!put_failures()) ruling.kind = Ruling::Kind::undecided;
      if (want_witness) ruling.witness = std::move(order_);
    }
    if (patience_.lost()) return {};
    ruling.memory_bytes = of_value_.memory_bytes() + versions_.size() * sizeof(Version) +
                          chains_.size() * (sizeof(Zone) + sizeof(Chain)) +
                          (std::uint64_t{history_.events()} + 1) * 8 + part_.size() * 16;
    return ruling;
  }

 private:
  struct Version {
    OperationId writer = kNone;
    std::uint32_t before = kNone;  // the version that the writer's compare-and-set found
    std::uint32_t after = kNone;   // the one that a compare-and-set made of this
    std::uint32_t reads = 0;
    std::uint32_t begin = 0;  // in the order: its writer, then its reads
    bool real = false;        // it certainly existed
    // Why, if its writer's end is info: a read of it, or the writer of the version after.
    OperationId because = kNone;
  };
  struct Chain {
    std::uint32_t root;
    // The operations that make its zone what it is.
    OperationId first_returned = kNone, last_invoked = kNone;
  };

  // False if the shape is another.
  bool name_versions();
  bool name_writes();
  // Each of these is false, with evidence_, if the history is not linearizable.
  bool see();                                               // reads make versions real
  bool exists(std::uint32_t version, OperationId because);  // and they what they build on
  bool link();                                              // at most one successor each
  bool walk();                                              // chains agree with real time
  bool walk(std::uint32_t root);
  bool place();  // and with each other
  void group_reads();
  void write_order();
  bool put_failures();
  [[nodiscard]] bool held_at(std::uint32_t version, std::uint32_t gap) const;

  [[nodiscard]] std::uint32_t version_of(const Operation& op) const {
    return of_value_.find(op.function == Function::read ? op.result : op.argument);
  }
  // Adds the writers of a version and of all before it, and why they are real.
  void show(std::uint32_t version);
  bool contradiction(OperationId id) {
    evidence_.push_back(id);
    const std::uint32_t version = version_of(history_[id]);
    if (version != kNone) show(version);
    return false;
  }

  const History& history_;
  const Part& part_;
  const Value initial_;
  Patience& patience_;
  ValueIndex of_value_;
  std::vector<Version> versions_;
  std::vector<OperationId> reads_;  // by version; each one's begin at reads_begin_
  std::vector<std::uint32_t> reads_begin_;
  std::vector<Chain> chains_;
  std::vector<Zone> zones_;
  std::vector<std::uint32_t> chain_order_;
  std::vector<OperationId> order_;
  std::vector<OperationId> failures_;
  std::vector<OperationId> evidence_;
};

bool Chains::name_versions() {
  of_value_.announce(initial_);
  bool any_cas = false;
  for (const OperationId id : part_) {
    if (patience_.lost()) return false;
    const Operation& op = history_[id];
    if (op.function == Function::read) {
      if (op.result == kUnsaid) return false;
    } else if (found_another(op)) {
      failures_.push_back(id);
    } else if (op.function == Function::write ||
               (op.function == Function::cas && op.expected != op.argument)) {
      of_value_.announce(op.argument);
    } else {
      return false;
    }
    any_cas = any_cas || op.function == Function::cas;
  }
  of_value_.begin();
  return any_cas && name_writes();
}

bool Chains::name_writes() {
  of_value_[initial_] = 0;
  versions_.push_back({.real = true});
  for (const OperationId id : part_) {
    if (patience_.lost()) return false;
    const Operation& op = history_[id];
    if (op.function == Function::read || found_another(op)) continue;
    std::uint32_t& version = of_value_[op.argument];
    if (version != kNone) return false;
    version = static_cast<std::uint32_t>(versions_.size());
    versions_.push_back({.writer = id});
  }
  return true;
}

void Chains::show(std::uint32_t version) {
  const auto explain = [&](std::uint32_t v) {
    for (std::size_t left = versions_.size(); left > 0; --left) {
      const OperationId because = versions_[v].because;
      if (because == kNone) return;
      evidence_.push_back(because);
      if (history_[because].function == Function::read) return;
      v = version_of(history_[because]);
    }
  };
  for (std::size_t left = versions_.size(); version != kNone && left > 0; --left) {
    if (versions_[version].writer == kNone) return;
    evidence_.push_back(versions_[version].writer);
    explain(version);
    version = versions_[version].before;
  }
}

bool Chains::see() {
  for (const OperationId id : part_) {
    if (patience_.lost()) return false;
    const Operation& op = history_[id];
    if (op.function != Function::read) continue;
    const std::uint32_t version = version_of(op);
    if (version == kNone) return contradiction(id);
    ++versions_[version].reads;
    if (!exists(version, id)) return contradiction(id);
  }
  for (std::uint32_t v = 1; v < versions_.size(); ++v) {
    const OperationId writer = versions_[v].writer;
    if (history_[writer].end == End::ok && !exists(v, kNone)) return contradiction(writer);
  }
  return true;
}

bool Chains::exists(std::uint32_t version, OperationId because) {
  for (std::uint32_t v = version; !versions_[v].real;) {
    versions_[v].real = true;
    const Operation& writer = history_[versions_[v].writer];
    if (writer.end != End::ok) versions_[v].because = because;
    if (writer.function == Function::write) break;
    versions_[v].before = of_value_.find(writer.expected);
    if (versions_[v].before == kNone) return false;  // found what nobody wrote
    because = versions_[v].writer;
    v = versions_[v].before;
  }
  return true;
}

bool Chains::link() {
  for (std::uint32_t v = 1; v < versions_.size(); ++v) {
    const std::uint32_t before = versions_[v].before;
    if (!versions_[v].real || before == kNone) continue;
    if (versions_[before].after != kNone) {
      show(v);
      show(versions_[before].after);
      return false;
    }
    versions_[before].after = v;
  }
  return true;
}

void Chains::group_reads() {
  reads_begin_.assign(versions_.size() + 1, 0);
  for (std::size_t v = 0; v < versions_.size(); ++v)
    reads_begin_[v + 1] = reads_begin_[v] + versions_[v].reads;
  reads_.resize(reads_begin_.back());
  std::vector<std::uint32_t> next(reads_begin_.begin(), reads_begin_.end() - 1);
  for (const OperationId id : part_) {
    if (history_[id].function == Function::read) reads_[next[version_of(history_[id])]++] = id;
  }
}

bool Chains::walk() {
  group_reads();
  std::size_t walked = 0;
  std::size_t real = 0;
  for (std::uint32_t v = 0; v < versions_.size(); ++v) {
    if (!versions_[v].real) continue;
    ++real;
    if (versions_[v].before != kNone) continue;
    if (!walk(v)) return false;
    for (std::uint32_t w = v; w != kNone; w = versions_[w].after) ++walked;
  }
  if (walked == real) return true;
  // What no root leads to goes round in circles: every one of them waits for another.
  std::vector<bool> reached(versions_.size(), false);
  for (const Chain& chain : chains_) {
    for (std::uint32_t w = chain.root; w != kNone; w = versions_[w].after) reached[w] = true;
  }
  for (std::uint32_t v = 0; v < versions_.size(); ++v) {
    if (versions_[v].real && !reached[v]) {
      show(v);
      return false;
    }
  }
  return true;
}

// In a chain's order nothing may return before something that stands earlier was invoked.
bool Chains::walk(std::uint32_t root) {
  Chain chain{root};
  Zone zone = root == 0 ? Zone{0, 0} : Zone{};
  OperationId latest = kNone;  // of those in earlier versions, and the version's writer
  for (std::uint32_t v = root; v != kNone; v = versions_[v].after) {
    if (patience_.lost()) return false;
    OperationId latest_read = latest;
    const auto take = [&](OperationId id) {
      const Operation& op = history_[id];
      if (latest != kNone && op.returned < history_[latest].invoked) return false;
      if (moment(op.returned) < zone.first_return) {
        zone.first_return = moment(op.returned);
        chain.first_returned = id;
      }
      if (moment(op.invoked) > zone.last_invocation) {
        zone.last_invocation = moment(op.invoked);
        chain.last_invoked = id;
      }
      if (latest_read == kNone || op.invoked > history_[latest_read].invoked) latest_read = id;
      return true;
    };
    const OperationId writer = versions_[v].writer;
    if (writer != kNone) {
      if (!take(writer)) {
        contradiction(latest);
        return contradiction(writer);
      }
      latest = latest_read;
    }
    for (std::uint32_t r = reads_begin_[v]; r < reads_begin_[v + 1]; ++r) {
      if (!take(reads_[r])) {
        contradiction(latest);
        return contradiction(reads_[r]);
      }
    }
    latest = latest_read;
  }
  chains_.push_back(chain);
  zones_.push_back(zone);
  return true;
}

bool Chains::place() {
  Placement placement = place_zones(zones_, history_.events() + 1, patience_);
  if (!placement.conflict) {
    chain_order_ = std::move(placement.order);
    return true;
  }
  for (const std::uint32_t c : {placement.conflict->first, placement.conflict->second}) {
    for (const OperationId id : {chains_[c].first_returned, chains_[c].last_invoked}) {
      if (id != kNone) contradiction(id);
    }
  }
  return false;
}

void Chains::write_order() {
  for (const std::uint32_t c : chain_order_) {
    for (std::uint32_t v = chains_[c].root; v != kNone; v = versions_[v].after) {
      versions_[v].begin = static_cast<std::uint32_t>(order_.size());
      if (versions_[v].writer != kNone) order_.push_back(versions_[v].writer);
      order_.insert(order_.end(), reads_.begin() + reads_begin_[v],
                    reads_.begin() + reads_begin_[v + 1]);
    }
  }
}

// Gap g is before the g-th operation of the order. A version holds in the gaps behind its writer,
// up to and with the one behind its last read.
bool Chains::held_at(std::uint32_t version, std::uint32_t gap) const {
  const Version& v = versions_[version];
  if (!v.real) return false;
  const std::uint32_t writers = v.writer == kNone ? 0 : 1;
  return gap >= v.begin + writers && gap <= v.begin + writers + v.reads;
}

// Compare-and-sets that found another value go where nobody has to move for them. False if one has
// no such place.
bool Chains::put_failures() {
  if (failures_.empty()) return true;
  // The earliest moment of each operation of the order: no earlier than that of any before it.
  std::vector<Position> at(order_.size());
  Position now = 0;
  for (std::size_t i = 0; i < order_.size(); ++i)
    at[i] = now = std::max(now, moment(history_[order_[i]].invoked));
  std::vector<std::pair<std::uint32_t, OperationId>> placed;
  for (const OperationId id : failures_) {
    const Operation& op = history_[id];
    auto gap = static_cast<std::uint32_t>(
        std::lower_bound(at.begin(), at.end(), moment(op.invoked)) - at.begin());
    const std::uint32_t unwanted = of_value_.find(op.expected);
    if (unwanted != kNone && held_at(unwanted, gap)) {
      const Version& v = versions_[unwanted];
      gap = v.begin + (v.writer == kNone ? 0 : 1) + v.reads + 1;
      if (gap > order_.size() || at[gap - 1] > moment(op.returned)) return false;
    }
    placed.emplace_back(gap, id);
  }
  std::sort(placed.begin(), placed.end());
  std::vector<OperationId> merged;
  merged.reserve(order_.size() + placed.size());
  std::size_t next = 0;
  for (std::uint32_t gap = 0; gap <= order_.size(); ++gap) {
    for (; next < placed.size() && placed[next].first == gap; ++next)
      merged.push_back(placed[next].second);
    if (gap < order_.size()) merged.push_back(order_[gap]);
  }
  order_ = std::move(merged);
  return true;
}

// ---- appends

// An appended text, by the place where it stands in the longest read.
class Appends {
 public:
  Appends(const History& history, const Part& part, Value initial, Patience& patience)
      : history_(history), part_(part), initial_(initial), patience_(patience) {}

  Ruling rule(bool want_witness) {
    Ruling ruling;
    if (!shape_fits()) return ruling;
    const Spelling spelling = spell();
    if (spelling == Spelling::ambiguous) return ruling;
    ruling.kind = Ruling::Kind::not_linearizable;
    if (spelling == Spelling::impossible || !group_reads() || !respects_real_time()) {
      ruling.evidence = evidence();
    } else {
      ruling.kind = Ruling::Kind::linearizable;
      if (want_witness) ruling.witness = std::move(order_);
    }
    if (patience_.lost()) return {};
    ruling.memory_bytes = of_text_.memory_bytes() + part_.size() * 32 + versions_at_.memory_bytes();
    return ruling;
  }

 private:
  enum class Spelling : std::uint8_t { unique, ambiguous, impossible };

  bool shape_fits();
  Spelling spell();
  bool group_reads();
  bool respects_real_time();
  // All appends, and the reads that contradict.
  std::vector<OperationId> evidence() const;
  [[nodiscard]] std::string_view text(OperationId read) const {
    const Value result = history_[read].result;
    return result == kNil ? std::string_view() : history_.values().bytes(result);
  }

  static constexpr std::size_t kLengthsMax = 16;

  const History& history_;
  const Part& part_;
  const Value initial_;
  Patience& patience_;
  std::vector<OperationId> appends_, reads_;
  std::vector<std::size_t> lengths_;  // of appended texts, without duplicates
  ValueIndex of_text_;                // the append of a text: its place in appends_
  OperationId longest_ = kNone;
  std::vector<OperationId> spelled_;  // appends in the longest read
  FlatMap
      versions_at_;  // how many of them, by the length of text that they and the initial one make
  std::vector<OperationId> order_;
  std::vector<OperationId> culprits_;
};

bool Appends::shape_fits() {
  for (const OperationId id : part_) {
    if (patience_.lost()) return false;
    const Operation& op = history_[id];
    if (op.function == Function::append) {
      appends_.push_back(id);
      of_text_.announce(op.argument);
      const std::size_t length = history_.values().bytes(op.argument).size();
      if (length == 0) return false;
      if (std::ranges::find(lengths_, length) == lengths_.end()) lengths_.push_back(length);
      if (lengths_.size() > kLengthsMax) return false;
    } else if (op.function == Function::read && op.result != kUnsaid) {
      reads_.push_back(id);
    } else {
      return false;
    }
  }
  of_text_.begin();
  for (std::size_t i = 0; i < appends_.size(); ++i) {
    std::uint32_t& place = of_text_[history_[appends_[i]].argument];
    if (place != kNone) return false;
    place = static_cast<std::uint32_t>(i);
  }
  return !appends_.empty();
}

Appends::Spelling Appends::spell() {
  for (const OperationId id : reads_) {
    if (longest_ == kNone || text(id).size() > text(longest_).size()) longest_ = id;
  }
  std::string_view rest = longest_ == kNone ? std::string_view() : text(longest_);
  const std::string_view start = initial_ == kUnsaid || initial_ == kNil
                                     ? std::string_view()
                                     : history_.values().bytes(initial_);
  if (longest_ == kNone) rest = start;
  const std::string_view whole = rest;
  culprits_ = {longest_};
  if (!rest.starts_with(start)) return Spelling::impossible;
  rest.remove_prefix(start.size());
  versions_at_.insert(start.size(), 0);
  std::vector<bool> used(appends_.size(), false);
  while (!rest.empty()) {
    if (patience_.lost()) return Spelling::ambiguous;
    std::uint32_t match = kNone;
    for (const std::size_t length : lengths_) {
      if (length > rest.size()) continue;
      const std::optional<Value> piece = history_.values().find_text(rest.substr(0, length));
      if (!piece || of_text_.find(*piece) == kNone) continue;
      if (match != kNone) return Spelling::ambiguous;
      match = of_text_.find(*piece);
    }
    if (match == kNone || used[match]) return Spelling::impossible;
    used[match] = true;
    spelled_.push_back(appends_[match]);
    rest.remove_prefix(history_.values().bytes(history_[appends_[match]].argument).size());
    versions_at_.insert(whole.size() - rest.size(), static_cast<std::uint32_t>(spelled_.size()));
  }
  return Spelling::unique;
}

bool Appends::group_reads() {
  const std::string_view whole = longest_ == kNone ? std::string_view() : text(longest_);
  std::vector<std::pair<std::uint32_t, OperationId>> by_version;
  by_version.reserve(reads_.size());
  for (const OperationId id : reads_) {
    if (patience_.lost()) return false;
    const std::uint32_t* version = versions_at_.find(text(id).size());
    if (version == nullptr || !whole.starts_with(text(id))) {
      culprits_.push_back(id);
      return false;
    }
    by_version.emplace_back(*version, id);
  }
  std::sort(by_version.begin(), by_version.end());
  std::size_t next = 0;
  for (std::uint32_t v = 0; v <= spelled_.size(); ++v) {
    if (v > 0) order_.push_back(spelled_[v - 1]);
    for (; next < by_version.size() && by_version[next].first == v; ++next) {
      order_.push_back(by_version[next].second);
    }
  }
  // Nobody saw the others: they come last, or never if their end is not known.
  std::vector<OperationId> seen = spelled_;
  std::sort(seen.begin(), seen.end());
  for (const OperationId id : appends_) {
    if (history_[id].end == End::ok && !std::binary_search(seen.begin(), seen.end(), id)) {
      order_.push_back(id);
    }
  }
  return true;
}

// Reads of one version, and the appends at the end, stand by invocation: they are free among
// themselves.
bool Appends::respects_real_time() {
  OperationId latest = kNone;
  for (const OperationId id : order_) {
    const Operation& op = history_[id];
    if (latest != kNone && op.precedes(history_[latest])) {
      culprits_.push_back(latest);
      culprits_.push_back(id);
      return false;
    }
    if (latest == kNone || op.invoked > history_[latest].invoked) latest = id;
  }
  return true;
}

std::vector<OperationId> Appends::evidence() const {
  std::vector<OperationId> out = appends_;
  for (const OperationId id : culprits_) {
    if (id != kNone && history_[id].function == Function::read) out.push_back(id);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace

Ruling rule_by_cas_chains(const History& history, const Part& part, Value initial,
                          bool want_witness, Patience& patience) {
  return Chains(history, part, initial, patience).rule(want_witness);
}

Ruling rule_by_appends(const History& history, const Part& part, Value initial, bool want_witness,
                       Patience& patience) {
  return Appends(history, part, initial, patience).rule(want_witness);
}

}  // namespace raftkv::linearizability
