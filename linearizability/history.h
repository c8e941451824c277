// A history: what processes called and what came back, compact enough that ten million operations
// are a few hundred megabytes (32 bytes an operation; values are interned, small numbers are their
// own id).
//
// Events and real time. A history is one sequence of events, an invocation or a return each,
// numbered 0, 1, 2, … in the order in which the builder was told of them: that order *is* real
// time. Operation A precedes B if and only if A's return stands before B's invocation in it. Clock
// times are kept for people only, they never decide; a reader whose source has times but no order
// sorts by time first, invocations before returns where times are equal (what might have been
// concurrent is concurrent).
//
// Ends. `ok`: it took effect once, between its invocation and its return, and answered `result`.
// `fail`: it did not happen at all; checkers ignore it. `info`, or no end: unknown; it may take
// effect once at any time after its invocation, also after everything else, or never; its result
// says nothing and its process makes no further operation. A compare-and-set that *was executed and
// found another value* is no `fail`: it is `ok` with the result Value::boolean(false).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/result.h"

namespace raftkv::linearizability {

// A key, an argument or an answer: an id that means something to one History's ValueTable. Equal
// values have equal ids.
struct Value {
  std::uint32_t id = 0;

  constexpr Value() = default;
  constexpr explicit Value(std::uint32_t i) : id(i) {}
  // The truth values that cas, remove, add and contains answer.
  [[nodiscard]] static constexpr Value boolean(bool b) { return Value(b ? 3 : 2); }

  constexpr auto operator<=>(const Value&) const = default;
};

inline constexpr Value kUnsaid{0};  // nothing was said: a result that was not given, "no key"
inline constexpr Value kNil{1};     // there is no value: what a read of an absent key answers

// The values of one history: nil, booleans, integers, texts, and symbols (anything else, kept as it
// was written).
class ValueTable {
 public:
  enum class Kind : std::uint8_t { unsaid, nil, boolean, integer, text, symbol };

  [[nodiscard]] Value integer(std::int64_t number);
  [[nodiscard]] Value text(std::string_view bytes);
  [[nodiscard]] Value symbol(std::string_view written);
  // The id of a text that was interned before, without interning it.
  [[nodiscard]] std::optional<Value> find_text(std::string_view bytes) const;

  [[nodiscard]] Kind kind(Value value) const;
  // The number of an integer; CHECKs the kind.
  [[nodiscard]] std::int64_t number(Value value) const;
  // The bytes of a text or symbol; valid until the next value is interned. CHECKs the kind.
  [[nodiscard]] std::string_view bytes(Value value) const;
  // For people: nil, true, 17, "text" (quoted and escaped as JSON does), a symbol as it is; "_" for
  // unsaid.
  [[nodiscard]] std::string print(Value value) const;

  [[nodiscard]] std::uint64_t memory_bytes() const;

 private:
  [[nodiscard]] Value intern(Kind kind, std::string_view bytes);
  [[nodiscard]] std::size_t slot_of(Kind kind, std::string_view bytes) const;
  void grow();

  struct Entry {
    std::uint64_t offset;
    std::uint32_t size;
    Kind kind;
  };
  std::string arena_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> slots_;  // open addressing over entries_, +1; 0 is free
};

// What an operation does. Which functions a model knows stands in model.h.
enum class Function : std::uint8_t {
  read,   // result: the value, or kNil; kUnsaid says nothing
  write,  // argument: the value
  cas,  // expected, argument: the new value; result: boolean(false) if it found another value, else
        // true or unsaid
  append,       // argument: a text, put behind the key's text
  remove,       // of a key, or of `argument` from a set; result: whether it was there, or unsaid
  add,          // argument: an element put into a set; result: whether it was new, or unsaid
  contains,     // argument: an element; result: boolean
  read_all,     // of a set; the elements stand in the steps, one `contains` each; result kNil: said
                // nothing
  acquire,      // of a mutex
  release,      // of a mutex
  transaction,  // steps: reads and writes of keys, all at once, in order
};
[[nodiscard]] std::string_view to_string(Function function);

enum class End : std::uint8_t { ok, fail, info };
[[nodiscard]] std::string_view to_string(End end);

using OperationId = std::uint32_t;              // position in History::operations(), by invocation
using Position = std::uint32_t;                 // number of an event
inline constexpr Position kOpen = 0xffff'ffff;  // returned: never, or nobody knows
inline constexpr std::size_t kOperationsMax = 1u << 30;    // a history holds at most this many
inline constexpr std::uint32_t kProcessMax = 0xffff'fffe;  // largest process number

// One micro-operation of a transaction (read or write), or one element of a read_all's answer.
struct Step {
  Function function = Function::read;
  Value key;
  Value value;  // written, or read (kUnsaid where the end is not ok)
};

struct Operation {
  Position invoked = 0;
  Position returned = kOpen;  // kOpen unless the end is ok or fail
  std::uint32_t process = 0;
  Function function = Function::read;
  End end = End::info;
  Value key;  // kUnsaid where the history has but one object
  Value argument;
  Value expected;  // cas only
  Value result;

  // Steps stand in History::steps(operation); `argument` and `expected` hold their range.
  [[nodiscard]] bool has_steps() const {
    return function == Function::transaction || function == Function::read_all;
  }
  [[nodiscard]] bool precedes(const Operation& other) const { return returned < other.invoked; }
};
static_assert(sizeof(Operation) == 32);

// An interval in which something was wrong on purpose: a shaded band in the picture.
struct Fault {
  std::string name;
  Position from = 0;  // the next event's number when it began and ended
  Position to = kOpen;
  std::optional<std::int64_t> from_ns, to_ns;
};

// Immutable once built, but that values can be interned. Copies and restrictions share one table of
// values.
class History {
 public:
  [[nodiscard]] std::span<const Operation> operations() const { return operations_; }
  [[nodiscard]] std::size_t size() const { return operations_.size(); }
  [[nodiscard]] const Operation& operator[](OperationId id) const { return operations_[id]; }
  // Events are numbered below this.
  [[nodiscard]] Position events() const { return events_; }
  [[nodiscard]] std::span<const Step> steps(const Operation& operation) const;
  [[nodiscard]] const ValueTable& values() const { return *values_; }
  [[nodiscard]] ValueTable& values() { return *values_; }
  [[nodiscard]] std::span<const Fault> faults() const { return faults_; }

  // The log index in the operation's answer: of a write, its place in the log; of a read, that of
  // the key's last change. 0: none was given.
  [[nodiscard]] bool has_indexes() const { return !indexes_.empty(); }
  [[nodiscard]] std::uint64_t index(OperationId id) const {
    return indexes_.empty() ? 0 : indexes_[id];
  }

  // Clock times in ns, as told; for people only. An info end has a time, too; none if the operation
  // has no end.
  [[nodiscard]] bool has_times() const { return !invoke_times_.empty(); }
  [[nodiscard]] std::optional<std::int64_t> invoke_time(OperationId id) const;
  [[nodiscard]] std::optional<std::int64_t> return_time(OperationId id) const;

  // "3 cas x 1 -> 2: ok false", for messages and pictures.
  [[nodiscard]] std::string print(OperationId id) const;

  [[nodiscard]] std::uint64_t memory_bytes() const;

  // The history with only these operations (any order, no duplicates), those in `weakened` (sorted)
  // ended by info instead of ok. Values, processes and the order of events stay; positions are
  // those of this history; ids are new.
  [[nodiscard]] History restricted_to(std::span<const OperationId> ids,
                                      std::span<const OperationId> weakened = {}) const;
  // The history with only these operations (ascending), but instead of a transaction of unknown end
  // as many writes of unknown end as it has; those in `whole` (ascending) stay. More can happen in
  // it than here.
  [[nodiscard]] History split(std::span<const OperationId> ids,
                              std::span<const OperationId> whole) const;

 private:
  friend class HistoryBuilder;
  void forget_answer(Operation& op);
  void take(const History& from, OperationId id, Operation op);

  std::vector<Operation> operations_;
  std::vector<Step> steps_;
  std::shared_ptr<ValueTable> values_ = std::make_shared<ValueTable>();
  std::vector<std::uint64_t> indexes_;
  std::vector<std::int64_t> invoke_times_, return_times_;
  std::vector<Fault> faults_;
  Position events_ = 0;
};

// What a call says; make with the functions below (write(key, value), …).
struct Call {
  Function function = Function::read;
  Value key;
  Value argument;
  Value expected;
  std::vector<Step> steps;
};
[[nodiscard]] Call read(Value key);
[[nodiscard]] Call write(Value key, Value value);
[[nodiscard]] Call cas(Value key, Value expected, Value value);
[[nodiscard]] Call append(Value key, Value text);
[[nodiscard]] Call remove(Value key, Value element = kUnsaid);
[[nodiscard]] Call add(Value key, Value element);
[[nodiscard]] Call contains(Value key, Value element);
[[nodiscard]] Call read_all(Value key);
[[nodiscard]] Call acquire(Value key);
[[nodiscard]] Call release(Value key);
[[nodiscard]] Call transaction(std::vector<Step> steps);

// What a return says. `steps`, if not empty, replace those of the call (values read by a
// transaction, elements of a read_all, kUnsaid as its result then); their functions and keys must
// be those of the call for a transaction.
struct Answer {
  Value result;
  std::uint64_t index = 0;  // History::index
  std::vector<Step> steps;
};

// Takes events in their order. Errors are ErrorCode::invalid with a sentence that a reader puts its
// line number before; after an error the builder may be thrown away only.
class HistoryBuilder {
 public:
  // Where values are interned: builder.values().text("x").
  [[nodiscard]] ValueTable& values() { return *history_.values_; }
  // Optional, if the number of operations is known.
  void reserve(std::size_t operations);

  // Refuses: a process that has an operation under way, or one that ended with info; a time before
  // an earlier event's; more than kOperationsMax.
  [[nodiscard]] Result<OperationId> invoke(std::uint32_t process, const Call& call,
                                           std::optional<std::int64_t> time_ns = {});
  // The end of the operation `id`, once. Refuses: a second end, a time that goes back, steps that
  // do not fit the call.
  [[nodiscard]] Status complete(OperationId id, End end, const Answer& answer = {},
                                std::optional<std::int64_t> time_ns = {});
  // The operation that a process has under way, if any: what a return line of it ends.
  [[nodiscard]] std::optional<OperationId> under_way(std::uint32_t process) const;
  [[nodiscard]] const Operation& operation(OperationId id) const {
    return history_.operations_[id];
  }

  // A fault begins, one of that name ends (the last begun). Ends that have no beginning are
  // ignored.
  void fault_begins(std::string name, std::optional<std::int64_t> time_ns = {});
  void fault_ends(std::string_view name, std::optional<std::int64_t> time_ns = {});

  // Operations without an end are info. The builder is empty afterwards.
  [[nodiscard]] History finish();

 private:
  [[nodiscard]] Status take_time(std::optional<std::int64_t> time_ns);
  [[nodiscard]] std::uint32_t* current_of(std::uint32_t process);
  [[nodiscard]] std::pair<std::uint32_t, std::uint32_t> store_steps(std::span<const Step> steps);

  History history_;
  // Of each process its operation under way, or one of the marks in history.cc. Small numbers index
  // the vector, the rest stand sorted.
  std::vector<std::uint32_t> current_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> current_of_large_;
  std::optional<std::int64_t> last_time_;
};

}  // namespace raftkv::linearizability
