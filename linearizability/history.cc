#include "linearizability/history.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "src/base/check.h"
#include "src/base/checksum.h"

namespace raftkv::linearizability {

namespace {

// Ids of values: four fixed ones, then the small numbers themselves, then, with the top bit set,
// table entries.
constexpr std::uint32_t kFirstNumber = 4;
constexpr std::uint32_t kTableBit = 0x8000'0000;
constexpr std::int64_t kDirectNumbers = static_cast<std::int64_t>(kTableBit) - kFirstNumber;

// What HistoryBuilder::current_ holds besides an operation under way.
constexpr std::uint32_t kIdle = 0xffff'ffff;
constexpr std::uint32_t kRetired = 0xffff'fffe;  // its last operation ended with info
constexpr std::uint32_t kSmallProcesses = 1u << 16;

constexpr std::int64_t kNoTime = std::numeric_limits<std::int64_t>::min();

std::optional<std::int64_t> time_or_none(std::int64_t time) {
  if (time == kNoTime) return std::nullopt;
  return time;
}

std::string quoted(std::string_view bytes) {
  std::string out = "\"";
  for (const char c : bytes) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out += '"';
}

template <typename T>
std::uint64_t bytes_of(const std::vector<T>& v) {
  return v.capacity() * sizeof(T);
}

}  // namespace

// ---- values

Value ValueTable::integer(std::int64_t number) {
  if (number >= 0 && number < kDirectNumbers) {
    return Value(kFirstNumber + static_cast<std::uint32_t>(number));
  }
  return intern(Kind::integer, fmt::format("{}", number));
}

Value ValueTable::text(std::string_view bytes) {
  return intern(Kind::text, bytes);
}
Value ValueTable::symbol(std::string_view written) {
  return intern(Kind::symbol, written);
}

std::optional<Value> ValueTable::find_text(std::string_view bytes) const {
  if (slots_.empty()) return std::nullopt;
  const std::uint32_t entry = slots_[slot_of(Kind::text, bytes)];
  if (entry == 0) return std::nullopt;
  return Value(kTableBit | (entry - 1));
}

// The slot that holds the entry, or the free one where it belongs. There is always a free one.
std::size_t ValueTable::slot_of(Kind kind, std::string_view bytes) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = checksum64(bytes, static_cast<std::uint64_t>(kind)) & mask;
  for (; slots_[slot] != 0; slot = (slot + 1) & mask) {
    const Entry& entry = entries_[slots_[slot] - 1];
    if (entry.kind == kind && std::string_view(arena_).substr(entry.offset, entry.size) == bytes)
      break;
  }
  return slot;
}

Value ValueTable::intern(Kind kind, std::string_view bytes) {
  CHECK(bytes.size() < kTableBit);
  if (entries_.size() * 4 >= slots_.size() * 3) grow();
  const std::size_t slot = slot_of(kind, bytes);
  if (slots_[slot] == 0) {
    CHECK(entries_.size() < kTableBit - 1);
    entries_.push_back({arena_.size(), static_cast<std::uint32_t>(bytes.size()), kind});
    arena_.append(bytes);
    slots_[slot] = static_cast<std::uint32_t>(entries_.size());
  }
  return Value(kTableBit | (slots_[slot] - 1));
}

void ValueTable::grow() {
  slots_.assign(std::max<std::size_t>(64, slots_.size() * 2), 0);
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    const std::string_view bytes = std::string_view(arena_).substr(entry.offset, entry.size);
    slots_[slot_of(entry.kind, bytes)] = static_cast<std::uint32_t>(i + 1);
  }
}

ValueTable::Kind ValueTable::kind(Value value) const {
  if (value.id & kTableBit) return entries_[value.id & ~kTableBit].kind;
  if (value.id >= kFirstNumber) return Kind::integer;
  if (value == kUnsaid) return Kind::unsaid;
  return value == kNil ? Kind::nil : Kind::boolean;
}

std::int64_t ValueTable::number(Value value) const {
  CHECK(kind(value) == Kind::integer);
  if (!(value.id & kTableBit)) return value.id - kFirstNumber;
  const Entry& entry = entries_[value.id & ~kTableBit];
  std::int64_t number = 0;
  std::from_chars(arena_.data() + entry.offset, arena_.data() + entry.offset + entry.size, number);
  return number;
}

std::string_view ValueTable::bytes(Value value) const {
  CHECK(value.id & kTableBit);
  const Entry& entry = entries_[value.id & ~kTableBit];
  return std::string_view(arena_).substr(entry.offset, entry.size);
}

std::string ValueTable::print(Value value) const {
  switch (kind(value)) {
    case Kind::unsaid:
      return "_";
    case Kind::nil:
      return "nil";
    case Kind::boolean:
      return value == Value::boolean(true) ? "true" : "false";
    case Kind::integer:
      return fmt::format("{}", number(value));
    case Kind::text:
      return quoted(bytes(value));
    case Kind::symbol:
      return std::string(bytes(value));
  }
  return {};
}

std::uint64_t ValueTable::memory_bytes() const {
  return arena_.capacity() + bytes_of(entries_) + bytes_of(slots_);
}

// ---- words

std::string_view to_string(Function function) {
  switch (function) {
    case Function::read:
      return "read";
    case Function::write:
      return "write";
    case Function::cas:
      return "cas";
    case Function::append:
      return "append";
    case Function::remove:
      return "remove";
    case Function::add:
      return "add";
    case Function::contains:
      return "contains";
    case Function::read_all:
      return "read-all";
    case Function::acquire:
      return "acquire";
    case Function::release:
      return "release";
    case Function::transaction:
      return "transaction";
  }
  return "?";
}

std::string_view to_string(End end) {
  switch (end) {
    case End::ok:
      return "ok";
    case End::fail:
      return "fail";
    case End::info:
      return "info";
  }
  return "?";
}

// ---- history

std::span<const Step> History::steps(const Operation& operation) const {
  CHECK(operation.has_steps());
  return std::span(steps_).subspan(operation.argument.id, operation.expected.id);
}

std::optional<std::int64_t> History::invoke_time(OperationId id) const {
  if (invoke_times_.empty()) return std::nullopt;
  return time_or_none(invoke_times_[id]);
}

std::optional<std::int64_t> History::return_time(OperationId id) const {
  if (return_times_.empty()) return std::nullopt;
  return time_or_none(return_times_[id]);
}

std::string History::print(OperationId id) const {
  const Operation& op = operations_[id];
  std::string out = fmt::format("{} {}", op.process, to_string(op.function));
  if (op.key != kUnsaid) out += " " + values_->print(op.key);
  if (op.has_steps()) {
    for (const Step& step : steps(op)) {
      out += fmt::format(" [{}", to_string(step.function));
      if (step.key != kUnsaid) out += " " + values_->print(step.key);
      out += fmt::format(" {}]", values_->print(step.value));
    }
  } else if (op.function == Function::cas) {
    out += fmt::format(" {} -> {}", values_->print(op.expected), values_->print(op.argument));
  } else if (op.argument != kUnsaid) {
    out += " " + values_->print(op.argument);
  }
  out += fmt::format(": {}", to_string(op.end));
  if (op.end == End::ok && op.result != kUnsaid) out += " " + values_->print(op.result);
  if (index(id) != 0) out += fmt::format(" @{}", index(id));
  return out;
}

std::uint64_t History::memory_bytes() const {
  return bytes_of(operations_) + bytes_of(steps_) + bytes_of(indexes_) + bytes_of(invoke_times_) +
         bytes_of(return_times_) + values_->memory_bytes();
}

History History::restricted_to(std::span<const OperationId> ids,
                               std::span<const OperationId> weakened) const {
  std::vector<OperationId> order(ids.begin(), ids.end());
  std::sort(order.begin(), order.end());
  History out;
  out.values_ = values_;
  out.events_ = events_;
  for (const OperationId id : order) {
    Operation op = operations_[id];
    if (op.has_steps()) {
      const auto from = steps(op);
      op.argument = Value(static_cast<std::uint32_t>(out.steps_.size()));
      out.steps_.insert(out.steps_.end(), from.begin(), from.end());
    }
    if (std::binary_search(weakened.begin(), weakened.end(), id)) out.forget_answer(op);
    out.take(*this, id, op);
  }
  return out;
}

// Appends what `id` of another history has become here; its steps are here already.
void History::take(const History& from, OperationId id, Operation op) {
  operations_.push_back(op);
  if (from.has_indexes()) indexes_.push_back(op.end == End::info ? 0 : from.indexes_[id]);
  if (!from.has_times()) return;
  invoke_times_.push_back(from.invoke_times_[id]);
  return_times_.push_back(from.return_times_[id]);
}

History History::split(std::span<const OperationId> ids, std::span<const OperationId> whole) const {
  History out;
  out.values_ = values_;
  out.events_ = events_;
  for (const OperationId id : ids) {
    Operation op = operations_[id];
    const auto from = op.has_steps() ? steps(op) : std::span<const Step>();
    if (op.function != Function::transaction || op.end != End::info ||
        std::binary_search(whole.begin(), whole.end(), id)) {
      if (op.has_steps()) op.argument = Value(static_cast<std::uint32_t>(out.steps_.size()));
      out.steps_.insert(out.steps_.end(), from.begin(), from.end());
      out.take(*this, id, op);
      continue;
    }
    for (const Step& step : from) {
      if (step.function != Function::write) continue;
      op.function = Function::write;
      op.key = step.key;
      op.argument = step.value;
      op.expected = kUnsaid;
      out.take(*this, id, op);
    }
  }
  return out;
}

// Makes a copy of an operation, whose steps are the last ones here, what it would be had it never
// returned.
void History::forget_answer(Operation& op) {
  op.end = End::info;
  op.returned = kOpen;
  op.result = op.function == Function::read_all ? kNil : kUnsaid;
  if (op.function == Function::read_all) {
    steps_.resize(op.argument.id);
    op.expected = Value(0);
  }
  if (op.function != Function::transaction) return;
  for (Step& step : std::span(steps_).subspan(op.argument.id, op.expected.id)) {
    if (step.function == Function::read) step.value = kUnsaid;
  }
}

// ---- calls

Call read(Value key) {
  return {Function::read, key, {}, {}, {}};
}
Call write(Value key, Value value) {
  return {Function::write, key, value, {}, {}};
}
Call cas(Value key, Value expected, Value value) {
  return {Function::cas, key, value, expected, {}};
}
Call append(Value key, Value text) {
  return {Function::append, key, text, {}, {}};
}
Call remove(Value key, Value element) {
  return {Function::remove, key, element, {}, {}};
}
Call add(Value key, Value element) {
  return {Function::add, key, element, {}, {}};
}
Call contains(Value key, Value element) {
  return {Function::contains, key, element, {}, {}};
}
Call read_all(Value key) {
  return {Function::read_all, key, {}, {}, {}};
}
Call acquire(Value key) {
  return {Function::acquire, key, {}, {}, {}};
}
Call release(Value key) {
  return {Function::release, key, {}, {}, {}};
}
Call transaction(std::vector<Step> steps) {
  return {Function::transaction, {}, {}, {}, std::move(steps)};
}

// ---- builder

void HistoryBuilder::reserve(std::size_t operations) {
  history_.operations_.reserve(operations);
}

Status HistoryBuilder::take_time(std::optional<std::int64_t> time_ns) {
  if (!time_ns) return {};
  if (last_time_ && *time_ns < *last_time_) {
    return failure(ErrorCode::invalid,
                   fmt::format("time goes back from {} to {}", *last_time_, *time_ns));
  }
  last_time_ = time_ns;
  return {};
}

std::uint32_t* HistoryBuilder::current_of(std::uint32_t process) {
  if (process < kSmallProcesses) {
    if (process >= current_.size()) current_.resize(process + 1, kIdle);
    return &current_[process];
  }
  auto it = std::lower_bound(current_of_large_.begin(), current_of_large_.end(),
                             std::pair(process, std::uint32_t{0}));
  if (it == current_of_large_.end() || it->first != process) {
    it = current_of_large_.insert(it, {process, kIdle});
  }
  return &it->second;
}

std::optional<OperationId> HistoryBuilder::under_way(std::uint32_t process) const {
  std::uint32_t current = kIdle;
  if (process < kSmallProcesses) {
    if (process < current_.size()) current = current_[process];
  } else {
    const auto it = std::lower_bound(current_of_large_.begin(), current_of_large_.end(),
                                     std::pair(process, std::uint32_t{0}));
    if (it != current_of_large_.end() && it->first == process) current = it->second;
  }
  if (current >= kRetired) return std::nullopt;
  return current;
}

std::pair<std::uint32_t, std::uint32_t> HistoryBuilder::store_steps(std::span<const Step> steps) {
  const auto first = static_cast<std::uint32_t>(history_.steps_.size());
  history_.steps_.insert(history_.steps_.end(), steps.begin(), steps.end());
  return {first, static_cast<std::uint32_t>(steps.size())};
}

Result<OperationId> HistoryBuilder::invoke(std::uint32_t process, const Call& call,
                                           std::optional<std::int64_t> time_ns) {
  if (process > kProcessMax)
    return failure(ErrorCode::invalid, fmt::format("no process {}", process));
  if (history_.operations_.size() >= kOperationsMax) {
    return failure(ErrorCode::exhausted, fmt::format("more than {} operations", kOperationsMax));
  }
  std::uint32_t* current = current_of(process);
  if (*current == kRetired) {
    return failure(
        ErrorCode::invalid,
        fmt::format("process {} invokes again after an operation of unknown end", process));
  }
  if (*current != kIdle) {
    return failure(ErrorCode::invalid,
                   fmt::format("process {} has two operations at once", process));
  }
  if (const Status status = take_time(time_ns); !status) return failure(status);

  const auto id = static_cast<OperationId>(history_.operations_.size());
  *current = id;
  Operation op{.invoked = history_.events_++,
               .process = process,
               .function = call.function,
               .key = call.key,
               .argument = call.argument,
               .expected = call.expected,
               .result = {}};
  if (op.has_steps()) {
    const auto [first, count] = store_steps(call.steps);
    op.argument = Value(first);
    op.expected = Value(count);
    if (op.function == Function::read_all) op.result = kNil;
  }
  history_.operations_.push_back(op);
  if (time_ns && history_.invoke_times_.empty()) {
    history_.invoke_times_.assign(id, kNoTime);
    history_.return_times_.assign(id, kNoTime);
  }
  if (time_ns || history_.has_times()) {
    history_.invoke_times_.push_back(time_ns.value_or(kNoTime));
    history_.return_times_.push_back(kNoTime);
  }
  if (history_.has_indexes()) history_.indexes_.push_back(0);
  return id;
}

Status HistoryBuilder::complete(OperationId id, End end, const Answer& answer,
                                std::optional<std::int64_t> time_ns) {
  CHECK(id < history_.operations_.size());
  Operation& op = history_.operations_[id];
  std::uint32_t* current = current_of(op.process);
  if (*current != id) {
    return failure(ErrorCode::invalid,
                   fmt::format("process {} returns without an invoke", op.process));
  }
  if (const Status status = take_time(time_ns); !status) return status;

  *current = end == End::info ? kRetired : kIdle;
  op.end = end;
  const Position position = history_.events_++;
  if (history_.has_times()) history_.return_times_[id] = time_ns.value_or(kNoTime);
  if (end == End::info) return {};

  op.returned = position;
  if (op.function == Function::transaction && !answer.steps.empty()) {
    const std::span<Step> steps =
        std::span(history_.steps_).subspan(op.argument.id, op.expected.id);
    const bool fits = std::ranges::equal(steps, answer.steps, [](const Step& a, const Step& b) {
      return a.function == b.function && a.key == b.key;
    });
    if (!fits) {
      return failure(
          ErrorCode::invalid,
          fmt::format("process {} answers another transaction than it began", op.process));
    }
    std::ranges::copy(answer.steps, steps.begin());
  } else if (op.function == Function::read_all) {
    const auto [first, count] = store_steps(answer.steps);
    op.argument = Value(first);
    op.expected = Value(count);
    op.result = answer.result;
  } else if (!op.has_steps()) {
    op.result = answer.result;
  }
  if (answer.index != 0 && !history_.has_indexes()) {
    history_.indexes_.assign(history_.operations_.size(), 0);
  }
  if (history_.has_indexes()) history_.indexes_[id] = answer.index;
  return {};
}

void HistoryBuilder::fault_begins(std::string name, std::optional<std::int64_t> time_ns) {
  history_.faults_.push_back({std::move(name), history_.events_, kOpen, time_ns, {}});
}

void HistoryBuilder::fault_ends(std::string_view name, std::optional<std::int64_t> time_ns) {
  auto& faults = history_.faults_;
  const auto it = std::find_if(faults.rbegin(), faults.rend(), [&](const Fault& fault) {
    return fault.to == kOpen && fault.name == name;
  });
  if (it == faults.rend()) return;
  it->to = history_.events_;
  it->to_ns = time_ns;
}

History HistoryBuilder::finish() {
  History out = std::move(history_);
  *this = HistoryBuilder();
  return out;
}

}  // namespace raftkv::linearizability
