// The model that docs/linearizability.md adds in 30 lines; models_guide_test.cc keeps the two the
// same.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>

#include "linearizability/check.h"
#include "linearizability/models/models.h"
#include "src/base/check.h"

namespace raftkv::linearizability {

// guide: begin
struct CounterMachine final : Machine {
  const History& history;
  explicit CounterMachine(const History& of) : history(of) {}
  void initial(std::span<Word> state) override { state[0] = 0; }
  bool step(std::span<Word> state, OperationId id) override {
    const Operation& op = history[id];
    if (op.function == Function::add)
      state[0] += static_cast<Word>(history.values().number(op.argument));
    if (op.function == Function::add || op.end != End::ok || op.result == kUnsaid) return true;
    return history.values().number(op.result) == state[0];
  }
  bool observes_only(OperationId id) const override {
    return history[id].function == Function::read;
  }
  std::string print(std::span<const Word> state) const override { return std::to_string(state[0]); }
};

struct CounterModel final : Model {
  std::string_view name() const override { return "counter"; }
  Status accepts(const History& history) const override {
    return accept_functions(history, name(), std::array{Function::add, Function::read});
  }
  std::vector<Part> partition(const History& history) const override {
    return part_by_key(history);
  }
  std::unique_ptr<Machine> machine(const History& history, const Part&, Value) const override {
    return std::make_unique<CounterMachine>(history);
  }
  bool may_read_from(const History&, const Operation&, const Operation&) const override {
    return true;
  }
};
// guide: end

}  // namespace raftkv::linearizability
