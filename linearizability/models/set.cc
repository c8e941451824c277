// set: elements are added, removed, looked for, and read all at once.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "linearizability/flat_map.h"
#include "linearizability/models/models.h"

namespace raftkv::linearizability {

namespace {

constexpr std::size_t kWordBits = 32;

// The state: a bit for each element that the part names.
class SetMachine final : public Machine {
 public:
  SetMachine(const History& history, const Part& part) : history_(history) {
    for (const OperationId id : part) {
      const Operation& op = history[id];
      if (op.function != Function::read_all) {
        name_element(op.argument);
        continue;
      }
      for (const Step& step : history.steps(op)) name_element(step.value);
    }
    for (const OperationId id : part) {
      if (history[id].function == Function::read_all) remember_answer(id);
    }
  }

  std::size_t words() const override {
    return std::max<std::size_t>(1, (elements_.size() + kWordBits - 1) / kWordBits);
  }
  void initial(std::span<Word> state) override { std::fill(state.begin(), state.end(), 0); }

  bool step(std::span<Word> state, OperationId id) override {
    const Operation& op = history_[id];
    if (op.function == Function::read_all) {
      if (op.end == End::info || op.result == kNil) return true;
      return std::equal(state.begin(), state.end(), answers_.begin() + *answer_of_.find(id));
    }
    const std::uint32_t element = *number_of_.find(op.argument.id);
    Word& word = state[element / kWordBits];
    const Word bit = Word{1} << (element % kWordBits);
    const bool there = (word & bit) != 0;
    const bool answer = op.function == Function::add ? !there : there;
    if (op.end == End::ok && op.result != kUnsaid && op.result != Value::boolean(answer))
      return false;
    if (op.function == Function::add) word |= bit;
    if (op.function == Function::remove) word &= ~bit;
    return true;
  }
  bool observes_only(OperationId id) const override {
    const Operation& op = history_[id];
    return op.function == Function::contains || op.function == Function::read_all ||
           (op.end == End::ok && op.result == Value::boolean(false));
  }

  // Who reads all may wait for several operations.
  bool waits_for_reader(OperationId) const override { return answers_.empty(); }

  std::string print(std::span<const Word> state) const override {
    std::string out;
    for (std::size_t i = 0; i < elements_.size(); ++i) {
      if ((state[i / kWordBits] >> (i % kWordBits)) & 1) {
        out += (out.empty() ? "" : " ") + history_.values().print(elements_[i]);
      }
    }
    return "{" + out + "}";
  }

 private:
  void name_element(Value element) {
    const bool is_new =
        number_of_.insert(element.id, static_cast<std::uint32_t>(elements_.size())).second;
    if (is_new) elements_.push_back(element);
  }
  void remember_answer(OperationId id) {
    const std::size_t begin = answers_.size();
    answer_of_.insert(id, static_cast<std::uint32_t>(begin));
    answers_.resize(begin + words(), 0);
    for (const Step& step : history_.steps(history_[id])) {
      const std::uint32_t element = *number_of_.find(step.value.id);
      answers_[begin + element / kWordBits] |= Word{1} << (element % kWordBits);
    }
  }

  const History& history_;
  FlatMap number_of_, answer_of_;
  std::vector<Value> elements_;
  std::vector<Word> answers_;  // of each read_all, as a state
};

class SetModel final : public Model {
 public:
  std::string_view name() const override { return "set"; }
  Status accepts(const History& history) const override {
    static constexpr std::array kKnown = {Function::add, Function::remove, Function::contains,
                                          Function::read_all};
    return accept_functions(history, name(), kKnown);
  }
  // Elements do not know of each other, unless somebody reads them all.
  std::vector<Part> partition(const History& history) const override {
    FlatMap read_whole;
    for (const Operation& op : history.operations()) {
      if (op.function == Function::read_all && !is_void(op)) read_whole.insert(op.key.id, 1);
    }
    std::vector<Part> parts;
    FlatMap part_of;
    for (OperationId id = 0; id < history.size(); ++id) {
      const Operation& op = history[id];
      if (is_void(op)) continue;
      const bool whole = read_whole.find(op.key.id) != nullptr;
      const std::uint64_t name =
          (static_cast<std::uint64_t>(op.key.id) << 32) | (whole ? 0 : op.argument.id);
      const auto [part, is_new] = part_of.insert(name, static_cast<std::uint32_t>(parts.size()));
      if (is_new) parts.emplace_back();
      parts[part].push_back(id);
    }
    return parts;
  }
  std::unique_ptr<Machine> machine(const History& history, const Part& part, Value) const override {
    return std::make_unique<SetMachine>(history, part);
  }
  bool may_read_from(const History& history, const Operation& reader,
                     const Operation& writer) const override {
    if (writer.function != Function::add && writer.function != Function::remove) return false;
    const bool there = writer.function == Function::add;
    if (reader.function == Function::read_all) {
      if (reader.result == kNil) return false;
      const auto steps = history.steps(reader);
      return there ==
             std::ranges::any_of(steps, [&](const Step& s) { return s.value == writer.argument; });
    }
    if (reader.argument != writer.argument || reader.result == kUnsaid) return false;
    const bool said = reader.result == Value::boolean(true);
    return (reader.function == Function::add ? !said : said) == there;
  }
};

}  // namespace

const Model& set_model() {
  static const SetModel model;
  return model;
}

}  // namespace raftkv::linearizability
