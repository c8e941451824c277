// multi-register: several registers, read and written in transactions. kv: this project's store:
// writes of one key or of several at once, reads, deletes that answer whether the key was there,
// and log indexes in the answers where the history has them.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "linearizability/flat_map.h"
#include "linearizability/models/models.h"
#include "src/base/check.h"

namespace raftkv::linearizability {

bool changes_log(const History& history, const Operation& op) {
  switch (op.function) {
    case Function::read:
      return false;
    case Function::transaction:
      return std::ranges::any_of(history.steps(op),
                                 [](const Step& step) { return step.function == Function::write; });
    default:
      return true;
  }
}

std::uint64_t shown_index(const History& history, OperationId id) {
  const Operation& op = history[id];
  const bool says_nothing = op.function == Function::read && op.result == kUnsaid;
  return op.end == End::ok && !says_nothing ? history.index(id) : 0;
}

IndexRanks::IndexRanks(const History& history, const Part& part) {
  owner_.push_back(kOpen);
  if (!history.has_indexes() || part.empty()) return;
  first_ = part.front();
  rank_.assign(part.back() - first_ + 1, 0);
  std::vector<std::uint64_t> indexes;
  for (const OperationId id : part) {
    if (shown_index(history, id) != 0) indexes.push_back(history.index(id));
  }
  std::sort(indexes.begin(), indexes.end());
  indexes.erase(std::unique(indexes.begin(), indexes.end()), indexes.end());
  owner_.resize(indexes.size() + 1, kOpen);
  for (const OperationId id : part) {
    if (shown_index(history, id) == 0) continue;
    const auto it = std::lower_bound(indexes.begin(), indexes.end(), history.index(id));
    rank_[id - first_] = static_cast<Word>(it - indexes.begin() + 1);
    if (changes_log(history, history[id])) owner_[rank_[id - first_]] = id;
  }
  next_owned_.assign(owner_.size(), static_cast<Word>(owner_.size()));
  for (std::size_t r = owner_.size() - 1; r-- > 0;) {
    next_owned_[r] = owner_[r + 1] != kOpen ? static_cast<Word>(r + 1) : next_owned_[r + 1];
  }
}

Word IndexRanks::rank(OperationId id) const {
  return rank_.empty() ? 0 : rank_[id - first_];
}

namespace {

// The state: a value for each key; with indexes also the rank of each key's last change (0: by an
// operation of unknown index, or never) and, at the end, the largest rank so far.
class MapMachine final : public Machine {
 public:
  MapMachine(const History& history, const Part& part, Value initial, bool indexed)
      : history_(history), initial_(initial == kUnsaid ? kNil : initial) {
    if (indexed) ranks_.emplace(history, part);
    if (ranks_ && ranks_->none()) ranks_.reset();
    for (const OperationId id : part) note(history[id]);
  }

  std::size_t words() const override {
    return ranks_ ? 2 * keys_.size() + 1 : std::max<std::size_t>(1, keys_.size());
  }
  void initial(std::span<Word> state) override {
    std::fill(state.begin(), state.end(), 0);
    std::fill_n(state.begin(), keys_.size(), initial_.id);
  }

  bool step(std::span<Word> state, OperationId id) override {
    const Operation& op = history_[id];
    if (ranks_ && !take_rank(state, op, id)) return false;
    const Word rank = ranks_ ? ranks_->rank(id) : 0;
    if (op.function == Function::transaction) {
      for (const Step& step : history_.steps(op)) {
        if (!step_of(state, op, step.function, step.key, step.value, rank)) return false;
      }
      return true;
    }
    if (op.function == Function::cas) return cas(state, op, rank);
    return step_of(state, op, op.function, op.key,
                   op.function == Function::write ? op.argument : op.result, rank);
  }

  bool observes_only(OperationId id) const override {
    const Operation& op = history_[id];
    if (op.function == Function::read) return true;
    if (op.function == Function::transaction) return !changes_log(history_, op);
    if (ranks_ && ranks_->rank(id) != 0) return false;  // takes its place in the log
    return op.end == End::ok && op.result == Value::boolean(false);
  }

  std::uint64_t effect(OperationId id) const override {
    const Operation& op = history_[id];
    if (op.function != Function::write || is_seen(op.key, op.argument)) return 0;
    return name(op.key, kUnseen);
  }
  // Where an answer shows several keys at once, it may wait for several operations.
  bool waits_for_reader(OperationId id) const override {
    return !history_[id].has_steps() && !several_shown_;
  }

  std::vector<Need> needs(const Part& part) const override {
    Entries entries;
    for (std::uint32_t k = 0; k < keys_.size(); ++k) entries.count(k, initial_.id);
    for (const OperationId id : part) count_entries(id, entries);
    std::vector<Need> out;
    const auto add = [&](OperationId id, Value key, Value value) {
      if (value != kUnsaid) entries.add_need(out, id, word_of(key), value.id);
    };
    for (const OperationId id : part) {
      const Operation& op = history_[id];
      if (op.end != End::ok) continue;
      if (op.function == Function::read) add(id, op.key, op.result);
      if (op.function == Function::cas && op.result != Value::boolean(false))
        add(id, op.key, op.expected);
      if (op.function != Function::transaction) continue;
      const auto steps = history_.steps(op);
      for (std::size_t s = 0; s < steps.size(); ++s) {
        const bool own = std::any_of(
            steps.begin(), steps.begin() + static_cast<std::ptrdiff_t>(s), [&](const Step& before) {
              return before.function == Function::write && before.key == steps[s].key;
            });
        if (steps[s].function == Function::read && !own) add(id, steps[s].key, steps[s].value);
      }
    }
    return out;
  }

  std::string print(std::span<const Word> state) const override {
    std::string out;
    for (std::size_t i = 0; i < keys_.size(); ++i) {
      if (!out.empty()) out += ", ";
      if (keys_[i] != kUnsaid) out += history_.values().print(keys_[i]) + " = ";
      out += Value(state[i]) == kUnseen ? "(a value that nobody read)"
                                        : history_.values().print(Value(state[i]));
    }
    return out;
  }

 private:
  // Values that no answer names are all the same: somebody's.
  static constexpr Value kUnseen{0xffff'ffff};

  static std::uint64_t name(Value key, Value value) {
    return (static_cast<std::uint64_t>(key.id) << 32) | value.id;
  }
  void see(Value key, Value value) { seen_.insert(name(key, value), 1); }
  [[nodiscard]] bool is_seen(Value key, Value value) const {
    return value == kNil || seen_.find(name(key, value)) != nullptr;
  }

  void count_entries(OperationId id, Entries& entries) const {
    const Operation& op = history_[id];
    const auto count = [&](Value key, Value value) { entries.count(word_of(key), value.id, id); };
    if (op.function == Function::write || op.function == Function::cas) count(op.key, op.argument);
    if (op.function == Function::remove) count(op.key, kNil);
    if (op.function != Function::transaction) return;
    for (const Step& step : history_.steps(op)) {
      if (step.function == Function::write) count(step.key, step.value);
    }
  }

  void note(const Operation& op) {
    if (!op.has_steps()) {
      add_key(op.key);
      if (op.function == Function::read) see(op.key, op.result);
      if (op.function == Function::cas) see(op.key, op.expected);
      return;
    }
    for (const Step& step : history_.steps(op)) {
      add_key(step.key);
      if (step.function != Function::read) continue;
      see(step.key, step.value);
      several_shown_ = several_shown_ || history_.steps(op).size() > 1;
    }
  }
  void add_key(Value key) {
    const bool is_new = place_.insert(key.id, static_cast<std::uint32_t>(keys_.size())).second;
    if (is_new) keys_.push_back(key);
  }
  std::uint32_t word_of(Value key) const { return static_cast<std::uint32_t>(place(key)); }
  std::size_t place(Value key) const { return keys_.size() == 1 ? 0 : *place_.find(key.id); }

  // Operations enter the log in the order of their indexes; to leave one out that did enter it
  // leads nowhere.
  bool take_rank(std::span<Word> state, const Operation& op, OperationId id) {
    const Word rank = ranks_->rank(id);
    if (rank == 0 || !changes_log(history_, op)) return true;
    if (rank != ranks_->next_owned(state.back())) return false;
    state.back() = rank;
    return true;
  }

  void change(std::span<Word> state, std::size_t at, Value value, Word rank) {
    state[at] = is_seen(keys_[at], value) ? value.id : kUnseen.id;
    if (ranks_) state[keys_.size() + at] = rank;
  }

  bool step_of(std::span<Word> state, const Operation& op, Function function, Value key,
               Value value, Word rank) {
    const std::size_t at = place(key);
    switch (function) {
      case Function::write:
        change(state, at, value, rank);
        return true;
      case Function::remove: {
        const bool was_there = state[at] != kNil.id;
        if (op.end == End::ok && value != kUnsaid && value != Value::boolean(was_there))
          return false;
        if (was_there) change(state, at, kNil, rank);
        return true;
      }
      default:
        if (op.end != End::ok) return true;
        if (value != kUnsaid && value.id != state[at]) return false;
        return op.function != Function::read || seen_rank_fits(state, at, rank);
    }
  }

  bool cas(std::span<Word> state, const Operation& op, Word rank) {
    const std::size_t at = place(op.key);
    const bool found = state[at] == op.expected.id;
    if (op.end == End::ok && found != (op.result != Value::boolean(false))) return false;
    if (found) change(state, at, op.argument, rank);
    return true;
  }

  // A read's index is that of the key's last change. Where that change has no known index, it may
  // be any that is nobody's.
  bool seen_rank_fits(std::span<const Word> state, std::size_t at, Word rank) const {
    if (!ranks_ || rank == 0) return true;
    const Word changed = state[keys_.size() + at];
    return changed == rank || (changed == 0 && !ranks_->owned(rank));
  }

  const History& history_;
  Value initial_;
  std::optional<IndexRanks> ranks_;
  std::vector<Value> keys_;
  FlatMap place_;
  bool several_shown_ = false;
  FlatMap seen_;  // values that answers or compare-and-sets name
};

class MapModel final : public Model {
 public:
  explicit MapModel(bool is_kv) : is_kv_(is_kv) {}

  std::string_view name() const override { return is_kv_ ? "kv" : "multi-register"; }
  // Where answers have log indexes, there is more to a register than its value.
  Family family(const History& history) const override {
    return is_kv_ && history.has_indexes() ? Family::other : Family::registers;
  }
  Status accepts(const History& history) const override {
    static constexpr std::array kKnown = {Function::read, Function::write, Function::transaction,
                                          Function::cas, Function::remove};
    return accept_functions(history, name(), std::span(kKnown).first(is_kv_ ? 5 : 3));
  }
  // Indexes tie all keys together: one log orders them all.
  std::vector<Part> partition(const History& history) const override {
    return is_kv_ && history.has_indexes() ? part_whole(history) : part_by_tied_keys(history);
  }
  std::unique_ptr<Machine> machine(const History& history, const Part& part,
                                   Value initial) const override {
    return std::make_unique<MapMachine>(history, part, initial, is_kv_);
  }

  bool may_read_from(const History& history, const Operation& reader,
                     const Operation& writer) const override {
    if (writer.function != Function::transaction) {
      return writer.function != Function::read &&
             reads(history, reader, writer.key,
                   writer.function == Function::remove ? kNil : writer.argument);
    }
    return std::ranges::any_of(history.steps(writer), [&](const Step& step) {
      return step.function == Function::write && reads(history, reader, step.key, step.value);
    });
  }
  // They do if they share a key, or have their places in the log.
  bool touch(const History& history, OperationId a, OperationId b) const override {
    if (is_kv_ && has_place(history, a) && has_place(history, b)) return true;
    if (!history[a].has_steps()) return names(history, history[b], history[a].key);
    return std::ranges::any_of(history.steps(history[a]), [&](const Step& step) {
      return names(history, history[b], step.key);
    });
  }
  bool transactions_split() const override { return true; }
  std::vector<bool> replaces_all(const History& history, const Part& part) const override {
    std::vector<bool> out(part.size(), false);
    const Value key = part.empty() ? kUnsaid : history[part[0]].key;
    const bool one_key = std::ranges::all_of(
        part, [&](OperationId id) { return !history[id].has_steps() && history[id].key == key; });
    for (std::size_t i = 0; one_key && i < part.size(); ++i)
      out[i] = replaces_register(history[part[i]]);
    return out;
  }

 private:
  static bool has_place(const History& history, OperationId id) {
    return shown_index(history, id) != 0 && changes_log(history, history[id]);
  }
  static bool names(const History& history, const Operation& op, Value key) {
    if (!op.has_steps()) return op.key == key;
    return std::ranges::any_of(history.steps(op),
                               [&](const Step& step) { return step.key == key; });
  }
  // Whether the reader's answer fits finding `value` under `key`, and says something about it.
  static bool reads(const History& history, const Operation& reader, Value key, Value value) {
    switch (reader.function) {
      case Function::read:
        return reader.key == key && reader.result == value;
      case Function::cas:
        return reader.key == key &&
               (reader.expected == value) == (reader.result != Value::boolean(false));
      case Function::remove:
        // One that does not say what it found changed the key, and its index, only if something was
        // there.
        return reader.key == key && (reader.result != Value::boolean(false)) == (value != kNil);
      case Function::transaction:
        return std::ranges::any_of(history.steps(reader), [&](const Step& step) {
          return step.function == Function::read && step.key == key && step.value == value;
        });
      default:
        return false;
    }
  }

  bool is_kv_;
};

}  // namespace

const Model& multi_register_model() {
  static const MapModel model(false);
  return model;
}
const Model& kv_model() {
  static const MapModel model(true);
  return model;
}

}  // namespace raftkv::linearizability
