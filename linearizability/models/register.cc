// register: read and write. cas-register: compare-and-set as well. mutex: acquire and release.
#include <fmt/format.h>

#include <array>

#include "linearizability/models/models.h"

namespace raftkv::linearizability {

namespace {

class RegisterMachine final : public Machine {
 public:
  RegisterMachine(const History& history, Value initial)
      : history_(history), initial_(initial == kUnsaid ? kNil : initial) {}

  void initial(std::span<Word> state) override { state[0] = initial_.id; }

  bool step(std::span<Word> state, OperationId id) override {
    const Operation& op = history_[id];
    switch (op.function) {
      case Function::read:
        return op.end == End::info || op.result == kUnsaid || op.result.id == state[0];
      case Function::write:
        state[0] = op.argument.id;
        return true;
      default: {  // cas
        const bool found = state[0] == op.expected.id;
        if (op.end == End::ok && found != (op.result != Value::boolean(false))) return false;
        if (found) state[0] = op.argument.id;
        return true;
      }
    }
  }

  bool observes_only(OperationId id) const override {
    const Operation& op = history_[id];
    return op.function == Function::read ||
           (op.function == Function::cas &&
            (op.expected == op.argument ||
             (op.end == End::ok && op.result == Value::boolean(false))));
  }

  bool waits_for_reader(OperationId) const override { return true; }
  std::vector<Need> needs(const Part& part) const override {
    Entries entries;
    entries.count(0, initial_.id);
    for (const OperationId id : part) {
      if (history_[id].function != Function::read) entries.count(0, history_[id].argument.id, id);
    }
    std::vector<Need> out;
    for (const OperationId id : part) {
      const Operation& op = history_[id];
      const bool finds = op.function == Function::cas && op.result != Value::boolean(false);
      const Value needed = finds ? op.expected : op.result;
      if (op.end != End::ok || (op.function != Function::read && !finds)) continue;
      if (needed != kUnsaid) entries.add_need(out, id, 0, needed.id);
    }
    return out;
  }
  std::string print(std::span<const Word> state) const override {
    return history_.values().print(Value(state[0]));
  }

 private:
  const History& history_;
  Value initial_;
};

class RegisterModel final : public Model {
 public:
  explicit RegisterModel(bool with_cas) : with_cas_(with_cas) {}

  std::string_view name() const override { return with_cas_ ? "cas-register" : "register"; }
  Family family(const History&) const override { return Family::registers; }
  Status accepts(const History& history) const override {
    static constexpr std::array kKnown = {Function::read, Function::write, Function::cas};
    return accept_functions(history, name(), std::span(kKnown).first(with_cas_ ? 3 : 2));
  }
  std::vector<Part> partition(const History& history) const override {
    return part_by_key(history);
  }
  std::unique_ptr<Machine> machine(const History& history, const Part&,
                                   Value initial) const override {
    return std::make_unique<RegisterMachine>(history, initial);
  }
  bool may_read_from(const History&, const Operation& reader,
                     const Operation& writer) const override {
    if (writer.function == Function::read) return false;
    if (reader.function == Function::read) return reader.result == writer.argument;
    if (reader.function != Function::cas) return false;
    const bool found = reader.result != Value::boolean(false);
    return found == (reader.expected == writer.argument);
  }
  std::vector<bool> replaces_all(const History& history, const Part& part) const override {
    std::vector<bool> out;
    for (const OperationId id : part) out.push_back(replaces_register(history[id]));
    return out;
  }

 private:
  bool with_cas_;
};

class MutexMachine final : public Machine {
 public:
  explicit MutexMachine(const History& history) : history_(history) {}

  void initial(std::span<Word> state) override { state[0] = 0; }
  bool step(std::span<Word> state, OperationId id) override {
    const Word before = history_[id].function == Function::acquire ? 0 : 1;
    if (state[0] != before) return false;
    state[0] = 1 - before;
    return true;
  }
  bool observes_only(OperationId) const override { return false; }
  std::string print(std::span<const Word> state) const override {
    return state[0] ? "held" : "free";
  }

 private:
  const History& history_;
};

class MutexModel final : public Model {
 public:
  std::string_view name() const override { return "mutex"; }
  Status accepts(const History& history) const override {
    static constexpr std::array kKnown = {Function::acquire, Function::release};
    return accept_functions(history, name(), kKnown);
  }
  std::vector<Part> partition(const History& history) const override {
    return part_by_key(history);
  }
  std::unique_ptr<Machine> machine(const History& history, const Part&, Value) const override {
    return std::make_unique<MutexMachine>(history);
  }
  bool may_read_from(const History&, const Operation& reader,
                     const Operation& writer) const override {
    return reader.function != writer.function;
  }
  std::vector<bool> replaces_all(const History& history, const Part& part) const override {
    std::vector<bool> out;
    for (const OperationId id : part) out.push_back(history[id].end == End::ok);
    return out;
  }
};

}  // namespace

const Model& register_model() {
  static const RegisterModel model(false);
  return model;
}
const Model& cas_register_model() {
  static const RegisterModel model(true);
  return model;
}
const Model& mutex_model() {
  static const MutexModel model;
  return model;
}

}  // namespace raftkv::linearizability
