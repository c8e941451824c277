#include "tests/linearizability/random_history.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "linearizability/verify.h"
#include "src/base/check.h"

namespace raftkv::linearizability {

namespace {

constexpr std::uint32_t kProcesses = 4;

class Tape {
 public:
  explicit Tape(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  [[nodiscard]] bool empty() const { return at_ >= bytes_.size(); }
  std::uint32_t below(std::uint32_t bound) { return empty() ? 0 : bytes_[at_++] % bound; }

 private:
  std::span<const std::uint8_t> bytes_;
  std::size_t at_ = 0;
};

// Runs calls one at a time and answers.
class Object {
 public:
  explicit Object(ValueTable& values) : values_(values) {}

  Answer execute(const Call& call) {
    Answer answer;
    Value& value = values_of_.try_emplace(call.key, kNil).first->second;
    std::set<Value>& set = sets_[call.key];
    switch (call.function) {
      case Function::read:
        answer.result = texts_ ? values_.text(text_[call.key]) : value;
        answer.index = changed_[call.key];
        break;
      case Function::write:
        value = call.argument;
        if (texts_) text_[call.key] = values_.bytes(call.argument);
        answer.index = changed_[call.key] = ++index_;
        break;
      case Function::cas:
        answer.result = Value::boolean(value == call.expected);
        answer.index = ++index_;
        if (value == call.expected) value = call.argument, changed_[call.key] = index_;
        break;
      case Function::append:
        text_[call.key] += values_.bytes(call.argument);
        break;
      case Function::remove:
        if (call.argument != kUnsaid) {
          answer.result = Value::boolean(set.erase(call.argument) != 0);
        } else {
          answer.result = Value::boolean(value != kNil);
          answer.index = ++index_;
          if (value != kNil) changed_[call.key] = index_;
          value = kNil;
        }
        break;
      case Function::add:
        answer.result = Value::boolean(set.insert(call.argument).second);
        break;
      case Function::contains:
        answer.result = Value::boolean(set.contains(call.argument));
        break;
      case Function::read_all:
        for (const Value element : set) answer.steps.push_back({Function::contains, {}, element});
        break;
      case Function::acquire:
      case Function::release:
        held_ = call.function == Function::acquire;
        break;
      case Function::transaction:
        answer.steps = call.steps;
        answer.index = ++index_;
        for (Step& step : answer.steps) {
          Value& of_key = values_of_.try_emplace(step.key, kNil).first->second;
          if (step.function == Function::read) step.value = of_key;
          if (step.function == Function::write) of_key = step.value, changed_[step.key] = index_;
        }
        break;
    }
    return answer;
  }
  void use_texts() { texts_ = true; }
  [[nodiscard]] bool held() const { return held_; }

 private:
  ValueTable& values_;
  bool texts_ = false;
  bool held_ = false;
  std::uint64_t index_ = 0;
  std::map<Value, Value> values_of_;
  std::map<Value, std::string> text_;
  std::map<Value, std::set<Value>> sets_;
  std::map<Value, std::uint64_t> changed_;
};

class Run {
 public:
  Run(std::string_view model, std::span<const std::uint8_t> tape, bool falsify)
      : model_(model), tape_(tape), object_(builder_.values()) {
    if (model == "append-kv") object_.use_texts();
    unique_ = tape_.below(2) == 1;
    indexed_ = model == "kv" && tape_.below(2) == 1;
    lies_ = falsify && tape_.below(3) != 0;
  }

  History history() {
    while (!tape_.empty()) turn(tape_.below(kProcesses));
    return builder_.finish();
  }

 private:
  struct Pending {
    OperationId id;
    Call call;
    std::optional<Answer> answer;
  };

  void turn(std::uint32_t process) {
    const auto it = pending_.find(process);
    if (it == pending_.end()) {
      if (invoked_ == kRandomOperationsMax || gone_.contains(process)) return;
      ++invoked_;
      const Call call = random_call();
      pending_[process] = {*builder_.invoke(process, call), call, {}};
      return;
    }
    Pending& pending = it->second;
    const std::uint32_t choice = tape_.below(8);
    if (!pending.answer && choice < 5 && may_execute(pending.call)) {
      pending.answer = object_.execute(pending.call);
      return;
    }
    const bool executed = pending.answer.has_value();
    const End end = choice == 7   ? End::info
                    : executed    ? End::ok
                    : choice == 6 ? End::fail
                                  : End::info;
    Answer answer = executed ? *pending.answer : Answer{};
    if (end == End::ok) tell(pending.call, answer);
    CHECK(builder_.complete(pending.id, end, answer).has_value());
    if (end == End::info) gone_.insert(process);
    pending_.erase(it);
  }

  // A mutex makes its callers wait.
  bool may_execute(const Call& call) const {
    if (call.function == Function::acquire) return !object_.held() || (lies_ && unique_);
    if (call.function == Function::release) return object_.held() || (lies_ && unique_);
    return true;
  }

  Value key() { return builder_.values().integer(100 + tape_.below(2)); }
  Value value() {
    if (model_ == "append-kv") {
      return builder_.values().text(unique_ ? std::string(1, static_cast<char>('a' + next_++))
                                            : std::string(1 + tape_.below(2), 'a'));
    }
    return builder_.values().integer(unique_ ? 10 + next_++ : tape_.below(3));
  }
  // Mostly one that was written before.
  Value old_value() {
    if (!unique_) return value();
    const std::uint32_t back = tape_.below(3);
    return next_ <= back ? kNil : builder_.values().integer(9 + next_ - back);
  }

  Call random_call() {
    const std::uint32_t choice = tape_.below(8);
    if (model_ == "mutex") return choice % 2 == 0 ? acquire(kUnsaid) : release(kUnsaid);
    const Value k = key();
    if (model_ == "set") {
      const Value element = builder_.values().integer(tape_.below(3));
      if (choice < 2) return add(k, element);
      if (choice < 4) return remove(k, element);
      if (choice < 6) return contains(k, element);
      return unique_ ? contains(k, element) : read_all(k);
    }
    if (choice < 3) return read(k);
    if (choice < 5) return model_ == "append-kv" && !unique_ ? write(k, value()) : blind(k);
    if (model_ == "register") return write(k, value());
    if (model_ == "append-kv") return append(k, value());
    if (model_ == "cas-register") {
      const Value expected = old_value();
      return cas(k, expected, value());
    }
    if (model_ == "kv" && choice == 5) return remove(k);
    return random_transaction();
  }
  Call blind(Value k) { return model_ == "append-kv" ? append(k, value()) : write(k, value()); }
  Call random_transaction() {
    std::vector<Step> steps;
    const std::uint32_t count = 1 + tape_.below(2);
    for (std::uint32_t i = 0; i < count; ++i) {
      const Value k = key();
      if (model_ == "kv" || tape_.below(2) == 0) {
        steps.push_back({Function::write, k, value()});
      } else {
        steps.push_back({Function::read, k, kUnsaid});
      }
    }
    return transaction(std::move(steps));
  }

  // What the process records: the truth, part of it, or a lie.
  void tell(const Call& call, Answer& answer) {
    if (!indexed_ || (call.function == Function::read && answer.result == kNil)) answer.index = 0;
    if (tape_.below(8) == 7 && call.function != Function::transaction &&
        call.function != Function::read_all) {
      answer.result = call.function == Function::read || tape_.below(2) ? kUnsaid : answer.result;
    }
    if (!lies_ || tape_.below(3) != 0) return;
    switch (call.function) {
      case Function::read:
        answer.result = tape_.below(6) == 0 ? kNil : old_text_or_value();
        break;
      case Function::cas:
      case Function::remove:
      case Function::add:
      case Function::contains:
        answer.result = Value::boolean(tape_.below(2) == 0);
        break;
      case Function::read_all:
        if (!answer.steps.empty()) answer.steps.pop_back();
        break;
      case Function::transaction:
        for (Step& step : answer.steps) {
          if (step.function == Function::read) step.value = old_value();
        }
        break;
      default:
        if (indexed_ && answer.index > 1) --answer.index;
    }
  }
  Value old_text_or_value() {
    if (model_ != "append-kv") return old_value();
    std::string text;
    const std::uint32_t size = tape_.below(4);
    for (std::uint32_t i = 0; i < size; ++i) {
      text += unique_ ? static_cast<char>('a' + tape_.below(next_ + 1)) : 'a';
    }
    return builder_.values().text(text);
  }

  const std::string_view model_;
  Tape tape_;
  bool unique_ = false, indexed_ = false, lies_ = false;
  HistoryBuilder builder_;
  Object object_;
  std::map<std::uint32_t, Pending> pending_;
  std::set<std::uint32_t> gone_;
  std::size_t invoked_ = 0;
  std::uint32_t next_ = 0;
};

// All orders: those operations may be next whose invocation no missing operation's return precedes.
template <typename Leaf>
bool any_order(const History& history, std::vector<OperationId>& order, std::vector<bool>& placed,
               const Leaf& leaf) {
  Position first_return = kOpen;
  bool all_ok = true;
  for (OperationId id = 0; id < history.size(); ++id) {
    if (placed[id] || history[id].end != End::ok) continue;
    all_ok = false;
    first_return = std::min(first_return, history[id].returned);
  }
  const int verdict = leaf(order, all_ok);
  if (verdict != 0) return verdict > 0;
  for (OperationId id = 0; id < history.size(); ++id) {
    const Operation& op = history[id];
    if (placed[id] || op.end == End::fail || op.invoked > first_return) continue;
    placed[id] = true;
    order.push_back(id);
    const bool found = any_order(history, order, placed, leaf);
    order.pop_back();
    placed[id] = false;
    if (found) return true;
  }
  return false;
}

}  // namespace

History random_history(std::string_view model, std::span<const std::uint8_t> tape, bool falsify) {
  return Run(model, tape, falsify).history();
}

bool some_order_fits(const History& history, const Model& model, Value initial) {
  // One machine for everything: no partition.
  Part all;
  for (OperationId id = 0; id < history.size(); ++id) {
    if (history[id].end != End::fail) all.push_back(id);
  }
  for (const Part& part : model.partition(history)) {
    const std::unique_ptr<Machine> machine = model.machine(history, part, initial);
    History alone = history.restricted_to(part);
    std::vector<OperationId> order;
    std::vector<bool> placed(alone.size(), false);
    const bool fits =
        any_order(alone, order, placed, [&](std::span<const OperationId> prefix, bool all_ok) {
          std::vector<Word> state(machine->words());
          machine->initial(state);
          for (const OperationId id : prefix) {
            if (!machine->step(state, part[id])) return -1;
          }
          return all_ok ? 1 : 0;
        });
    if (!fits) return false;
  }
  return true;
}

bool some_order_verifies(const History& history, std::string_view model, Value initial) {
  std::vector<OperationId> order;
  std::vector<bool> placed(history.size(), false);
  return any_order(history, order, placed, [&](std::span<const OperationId> prefix, bool all_ok) {
    if (!all_ok) return 0;
    return verify_witness(history, model, initial, prefix).has_value() ? 1 : 0;
  });
}

}  // namespace raftkv::linearizability
