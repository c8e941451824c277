// A model: the sequential object that a history is judged by. To add one, derive from Model:
// docs/linearizability.md does it in 30 lines.
//
// A model splits a history into parts that may be judged alone (linearizability is local: Herlihy
// and Wing 1990, theorem 1); each part gets a Machine, whose state is a fixed number of 32-bit
// words, compared word by word.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "linearizability/history.h"
#include "src/base/result.h"

namespace raftkv::linearizability {

using Word = std::uint32_t;

// Operations that are judged together, ascending. Contains no operation that ended with fail.
using Part = std::vector<OperationId>;

// The operation can be executed only where this word of the state is `value`.
struct Need {
  OperationId operation = 0;
  std::uint32_t word = 0;
  Word value = 0;
  OperationId source = kOpen;  // the only one that gives the word this value; kOpen: none does
};

// The sequential specification, for one part of one history, which must outlive it.
class Machine {
 public:
  virtual ~Machine() = default;

  // How many words a state has; the same for the machine's life.
  [[nodiscard]] virtual std::size_t words() const { return 1; }
  virtual void initial(std::span<Word> state) = 0;
  // Executes the operation on the state, in place. False: the operation cannot have answered this
  // in this state; then the state may be left half changed. The result of an operation whose end is
  // info binds nothing. Not const: a machine may remember what it computed.
  [[nodiscard]] virtual bool step(std::span<Word> state, OperationId id) = 0;
  // True only if a step of this operation that succeeds never changes a state: then searches need
  // not branch on it.
  [[nodiscard]] virtual bool observes_only(OperationId id) const = 0;
  // Operations of unknown end with the same number other than 0 have the same effect, whatever
  // their calls say.
  [[nodiscard]] virtual std::uint64_t effect(OperationId id) const {
    (void)id;
    return 0;
  }
  // True only if whatever may not read from this operation of unknown end (Model::may_read_from)
  // either commutes with it or leaves nothing of its effect: then it need not take effect but right
  // before one that may read from it.
  [[nodiscard]] virtual bool waits_for_reader(OperationId id) const {
    (void)id;
    return false;
  }
  // Needs of operations of the part that ended with ok, but only where the word has that value
  // during one stretch at most, in whatever order the part's operations are executed: from the
  // beginning, or from when the source took effect. Then an operation whose need is gone can never
  // be executed, and a source of unknown end must have taken effect. Fewer, or none, is always
  // safe.
  [[nodiscard]] virtual std::vector<Need> needs(const Part& part) const {
    (void)part;
    return {};
  }
  // The state, for people.
  [[nodiscard]] virtual std::string print(std::span<const Word> state) const = 0;
};

// What the fast algorithms, which know what an operation means, may assume of a part whose
// operations have one key.
enum class Family : std::uint8_t {
  other,      // nothing
  registers,  // read, write and cas act on one value that starts as `initial`
  texts,      // append, write and read act on one text
};

class Model {
 public:
  virtual ~Model() = default;

  [[nodiscard]] virtual std::string_view name() const = 0;
  [[nodiscard]] virtual Family family(const History& history) const {
    (void)history;
    return Family::other;
  }
  // Refuses a history with a function that the model does not know.
  [[nodiscard]] virtual Status accepts(const History& history) const = 0;
  [[nodiscard]] virtual std::vector<Part> partition(const History& history) const = 0;
  // `initial` is a value of the history's table: what every register, key or text starts with,
  // kUnsaid for the model's own default (nil; for append-kv the empty text; an open mutex; an empty
  // set).
  [[nodiscard]] virtual std::unique_ptr<Machine> machine(const History& history, const Part& part,
                                                         Value initial) const = 0;
  // Whether `reader` (of the same part) may owe its answer, or if its end is info its effect, to
  // `writer` having taken effect, judged by arguments and answers alone: who must go when `writer`
  // is dropped. True is always safe.
  [[nodiscard]] virtual bool may_read_from(const History& history, const Operation& reader,
                                           const Operation& writer) const = 0;
  // False only if the two, neither of which only observes, commute: in either order both can be
  // executed from the same states, with the same answers and the same state in the end. True is
  // always safe.
  [[nodiscard]] virtual bool touch(const History& history, OperationId a, OperationId b) const {
    (void)history, (void)a, (void)b;
    return true;
  }
  // Whether transactions, of this model, mean what their steps do one after the other, and a write
  // means what a transaction of that one step does.
  [[nodiscard]] virtual bool transactions_split() const { return false; }
  // For each operation of the part, whether it surely leaves nothing to read of what took effect
  // before it. False is always safe; true keeps cores small.
  [[nodiscard]] virtual std::vector<bool> replaces_all(const History& history,
                                                       const Part& part) const {
    (void)history;
    return std::vector<bool>(part.size(), false);
  }
};

// The models of this library, by name: register, cas-register, multi-register, mutex, append-kv,
// set, kv. Null for another name. They live for ever.
[[nodiscard]] const Model* find_model(std::string_view name);
// Their names, as find_model takes them.
[[nodiscard]] std::span<const std::string_view> model_names();

// The usual ways to split: one part for each key; for each set of keys that transactions tie
// together; all as one. Operations that ended with fail are left out, and so are ones that end with
// info and only observe.
[[nodiscard]] std::vector<Part> part_by_key(const History& history);
[[nodiscard]] std::vector<Part> part_by_tied_keys(const History& history);
[[nodiscard]] std::vector<Part> part_whole(const History& history);

}  // namespace raftkv::linearizability
