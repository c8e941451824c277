#include "linearizability/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "src/base/check.h"

namespace raftkv::linearizability {

namespace {

// The sequential objects once more, in the plainest way: one map for every model.
class Objects {
 public:
  Objects(const History& history, std::string_view model, Value initial)
      : history_(history), initial_(initial), indexed_(model == "kv" && history.has_indexes()) {
    for (OperationId id = 0; indexed_ && id < history.size(); ++id) {
      if (history[id].end == End::ok && changes(history[id])) owned_.insert(history.index(id));
    }
  }

  // Executes the operation; false if it cannot have answered what it did.
  bool execute(OperationId id) {
    const Operation& op = history_[id];
    index_ = op.end == End::ok ? history_.index(id) : 0;
    if (indexed_ && index_ != 0 && changes(op)) {
      if (index_ <= last_index_) return false;
      last_index_ = index_;
    }
    switch (op.function) {
      case Function::acquire:
      case Function::release:
        return mutex(op);
      case Function::add:
      case Function::contains:
      case Function::read_all:
        return set(op);
      case Function::remove:
        return op.argument != kUnsaid ? set(op) : remove(op);
      case Function::append:
        text(op.key) += history_.values().bytes(op.argument);
        return true;
      default:
        return texts_ ? text_step(op) : register_step(op);
    }
  }
  void use_texts() { texts_ = true; }

 private:
  static bool said(const Operation& op, bool what) {
    return op.end != End::ok || op.result == kUnsaid || op.result == Value::boolean(what);
  }
  bool changes(const Operation& op) const {
    if (op.function != Function::transaction) return op.function != Function::read;
    return std::ranges::any_of(history_.steps(op),
                               [](const Step& s) { return s.function == Function::write; });
  }

  Value& value(Value key) {
    return values_.try_emplace(key, initial_ == kUnsaid ? kNil : initial_).first->second;
  }
  std::string& text(Value key) {
    const auto [it, is_new] = text_.try_emplace(key);
    if (is_new && initial_ != kUnsaid && initial_ != kNil)
      it->second = history_.values().bytes(initial_);
    return it->second;
  }

  void change(Value key, Value to) {
    value(key) = to;
    changed_[key] = index_;
  }
  // A read shows the index of the last change; that of a change of unknown end may be any that is
  // nobody's.
  bool shows_index(Value key) {
    if (!indexed_ || index_ == 0) return true;
    const std::uint64_t changed = changed_[key];
    return changed == 0 ? !owned_.contains(index_) : changed == index_;
  }

  bool register_step(const Operation& op) {
    const bool known = op.end == End::ok;
    switch (op.function) {
      case Function::read:
        return !known || op.result == kUnsaid ||
               (op.result == value(op.key) && shows_index(op.key));
      case Function::write:
        change(op.key, op.argument);
        return true;
      case Function::cas: {
        const bool found = value(op.key) == op.expected;
        if (known && found != (op.result != Value::boolean(false))) return false;
        if (found) change(op.key, op.argument);
        return true;
      }
      default:
        for (const Step& step : history_.steps(op)) {
          if (step.function == Function::write) {
            change(step.key, step.value);
          } else if (known && step.value != kUnsaid && step.value != value(step.key)) {
            return false;
          }
        }
        return true;
    }
  }
  bool text_step(const Operation& op) {
    if (op.function == Function::write) {
      text(op.key) = history_.values().bytes(op.argument);
      return true;
    }
    if (op.end != End::ok || op.result == kUnsaid) return true;
    return op.result == kNil ? text(op.key).empty()
                             : text(op.key) == history_.values().bytes(op.result);
  }
  bool remove(const Operation& op) {
    const bool there = value(op.key) != kNil;
    if (there) change(op.key, kNil);
    return said(op, there);
  }
  bool mutex(const Operation& op) {
    bool& held = held_[op.key];
    if (held != (op.function == Function::release)) return false;
    held = !held;
    return true;
  }
  bool set(const Operation& op) {
    std::set<Value>& elements = sets_[op.key];
    if (op.function == Function::read_all) {
      if (op.end != End::ok || op.result == kNil) return true;
      std::set<Value> answer;
      for (const Step& step : history_.steps(op)) answer.insert(step.value);
      return answer == elements;
    }
    if (op.function == Function::contains) return said(op, elements.contains(op.argument));
    if (op.function == Function::add) return said(op, elements.insert(op.argument).second);
    return said(op, elements.erase(op.argument) != 0);
  }

  const History& history_;
  const Value initial_;
  const bool indexed_;
  bool texts_ = false;
  std::map<Value, Value> values_;
  std::map<Value, std::string> text_;
  std::map<Value, bool> held_;
  std::map<Value, std::set<Value>> sets_;
  std::map<Value, std::uint64_t> changed_;
  std::set<std::uint64_t> owned_;
  std::uint64_t index_ = 0, last_index_ = 0;
};

}  // namespace

Status verify_witness(const History& history, std::string_view model, Value initial,
                      std::span<const OperationId> order) {
  const auto wrong = [&](OperationId id, std::string_view why) {
    return failure(ErrorCode::invalid,
                   id < history.size()
                       ? fmt::format("operation {} ({}) {}", id, history.print(id), why)
                       : fmt::format("operation {} {}", id, why));
  };
  Objects objects(history, model, initial);
  if (model == "append-kv") objects.use_texts();
  std::vector<bool> seen(history.size(), false);
  Position latest = 0;
  for (const OperationId id : order) {
    if (id >= history.size()) return wrong(id, "does not exist");
    const Operation& op = history[id];
    if (op.end == End::fail) return wrong(id, "did not happen");
    if (seen[id]) return wrong(id, "stands there twice");
    seen[id] = true;
    if (op.returned < latest)
      return wrong(id, "had returned before one that stands earlier was invoked");
    latest = std::max(latest, op.invoked);
    if (!objects.execute(id)) return wrong(id, "cannot have answered that there");
  }
  for (OperationId id = 0; id < history.size(); ++id) {
    if (history[id].end == End::ok && !seen[id]) return wrong(id, "is missing");
  }
  return {};
}

}  // namespace raftkv::linearizability
