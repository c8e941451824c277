#include "linearizability/readers/events.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "linearizability/readers/value.h"

namespace raftkv::linearizability {
namespace {

constexpr std::int64_t kNoTime = std::numeric_limits<std::int64_t>::min();

bool opens_sequence(const Token& token) {
  return token.kind == TokenKind::open_vector || token.kind == TokenKind::open_list;
}

// The first token of a value, its tags (#jepsen.independent.Tuple) passed over.
Token untagged(EdnScanner& scanner) {
  Token token = scanner.next();
  for (int depth = 0; token.kind == TokenKind::tag && depth < kDepthMax; ++depth)
    token = scanner.next();
  return token;
}

}  // namespace

std::unexpected<Error> wrong(std::uint32_t line, std::string_view what) {
  return failure(ErrorCode::invalid, fmt::format("line {}: {}", line, what));
}

Status EventReader::take(const Event& event) {
  if (--until_asked_ == 0) {
    until_asked_ = kEventsUntilAsked;
    if (keep_going_ && !keep_going_(event.line))
      return failure(ErrorCode::exhausted, "the reading was ended");
  }
  if (!event.process) {
    fault(event);
    return {};
  }
  return event.type == EventType::invoke ? invoke(event) : complete(event);
}

Reading EventReader::finish() {
  Reading reading;
  reading.history = builder_.finish();
  reading.lines = std::move(lines_);
  reading.model = vocabulary_.model();
  return reading;
}

std::optional<std::int64_t> EventReader::lift(std::optional<std::int64_t> time_ns) {
  timed_ = timed_ && time_ns.has_value();  // a history of which a part only has times has none
  if (!timed_) return std::nullopt;
  last_time_ = std::max(*time_ns, last_time_.value_or(*time_ns));
  return last_time_;
}

Status EventReader::invoke(const Event& event) {
  const auto verb = find_verb(event.function);
  if (!verb) {
    return wrong(event.line, fmt::format("the function :{} is unknown; known are {}",
                                         event.function, known_words()));
  }
  vocabulary_.use(*verb);
  const auto made = call(event, *verb);
  if (!made) return failure(made);
  const auto id = builder_.invoke(*event.process, *made, lift(event.time_ns));
  if (!id) {
    std::string what = id.error().message;
    if (const auto open = builder_.under_way(*event.process))
      what += fmt::format(" (line {})", lines_[*open]);
    return wrong(event.line, what);
  }
  lines_.push_back(event.line);
  verbs_.push_back(*verb);
  invoke_times_.push_back(event.time_ns.value_or(kNoTime));
  return {};
}

Status EventReader::complete(const Event& event) {
  const auto id = builder_.under_way(*event.process);
  if (!id) {
    return wrong(
        event.line,
        fmt::format("a return without an invocation: process {} has no operation under way",
                    *event.process));
  }
  if (find_verb(event.function) != verbs_[*id]) {
    return wrong(event.line,
                 fmt::format("process {} returns from :{}, but invoked another function in line {}",
                             *event.process, event.function, lines_[*id]));
  }
  if (event.time_ns && *event.time_ns < invoke_times_[*id]) {
    return wrong(event.line,
                 fmt::format("time goes back: the return is at {}, the invocation (line {}) at {}",
                             *event.time_ns, lines_[*id], invoke_times_[*id]));
  }
  const Operation operation = builder_.operation(*id);
  End end = event.type == EventType::ok     ? End::ok
            : event.type == EventType::fail ? End::fail
                                            : End::info;
  Answer answered;
  if (end == End::ok) {
    auto result = answer(event, operation);
    if (!result) return failure(result);
    answered = std::move(*result);
  } else if (end == End::fail && operation.function == Function::cas &&
             dialect_.failed_cas_happened) {
    EdnScanner scanner(event.value);
    if (opens_sequence(
            untagged(scanner))) {  // with its values: it compared; with a reason: it did not happen
      end = End::ok;
      answered.result = Value::boolean(false);
    }
  }
  if (const auto status = builder_.complete(*id, end, answered, lift(event.time_ns)); !status) {
    return wrong(event.line, status.error().message);
  }
  return {};
}

Result<Call> EventReader::call(const Event& event, Verb verb) {
  Value key = kUnsaid;
  std::string_view text = event.value;
  if (dialect_.independent) {
    if (const auto status = split(event, key, text); !status) return failure(status);
  } else if (!event.key.empty()) {
    const auto named = value(event, event.key);
    if (!named) return failure(named);
    key = *named;
  }
  switch (verb) {
    case Verb::get:
      return read(key);
    case Verb::read:
      return dialect_.reads_are_of_sets ? read_all(key) : read(key);
    case Verb::erase:
      return remove(key);
    case Verb::acquire:
      return acquire(key);
    case Verb::release:
      return release(key);
    case Verb::pairs:
      return pairs(event, key, text);
    case Verb::cas: {
      auto values = elements(event, text);
      if (!values || values->size() != 2)
        return wrong(event.line, "a cas wants [expected new] as its value");
      return cas(key, (*values)[0].value, (*values)[1].value);
    }
    case Verb::transaction: {
      auto read = steps(event, text, false);
      if (!read) return failure(read);
      return transaction(std::move(*read));
    }
    default:
      break;
  }
  const auto argument = value(event, text);
  if (!argument) return failure(argument);
  switch (verb) {
    case Verb::append:
      return append(key, *argument);
    case Verb::add:
      return add(key, *argument);
    case Verb::remove:
      return remove(key, *argument);
    case Verb::contains:
      return contains(key, *argument);
    default:
      return write(key, *argument);
  }
}

// :set of one key, or of a map of keys.
Result<Call> EventReader::pairs(const Event& event, Value key, std::string_view text) {
  EdnScanner scanner(text, event.line);
  if (key != kUnsaid || untagged(scanner).kind != TokenKind::open_map) {
    const auto argument = value(event, text);
    if (!argument) return failure(argument);
    return write(key, *argument);
  }
  std::vector<Step> writes;
  while (true) {
    Token token = scanner.next();
    if (token.kind == TokenKind::close) break;
    const auto name = to_value(builder_.values(), scanner, token);
    if (!name) return wrong(event.line, "a map that does not end well");
    const auto written = to_value(builder_.values(), scanner, scanner.next());
    if (!written) return wrong(event.line, "a map that does not end well");
    writes.push_back({Function::write, *name, *written});
  }
  if (writes.size() == 1) return write(writes[0].key, writes[0].value);
  return transaction(std::move(writes));
}

Result<Answer> EventReader::answer(const Event& event, const Operation& operation) {
  std::string_view text = event.value;
  if (dialect_.independent) {
    Value key;
    if (const auto status = split(event, key, text); !status) return failure(status);
    if (key != operation.key)
      return wrong(event.line, "the return is of another key than the invocation");
  }
  switch (operation.function) {
    case Function::cas:
      return Answer{.result = Value::boolean(true), .steps = {}};
    case Function::read: {
      if (text.empty()) return Answer{};
      const auto found = value(event, text);
      if (!found) return failure(found);
      return Answer{.result = *found == kNil && !dialect_.nil_is_value ? kUnsaid : *found,
                    .steps = {}};
    }
    case Function::read_all: {
      auto found = elements(event, text);
      if (!found) return failure(found);
      const bool silent = text.empty() || text == "nil";
      return Answer{.result = silent ? kNil : kUnsaid, .steps = std::move(*found)};
    }
    case Function::transaction: {
      if (text.empty() || text.starts_with('{')) return Answer{};
      auto done = steps(event, text, true);
      if (!done) return failure(done);
      return Answer{.result = {}, .steps = std::move(*done)};
    }
    case Function::remove:
    case Function::add:
    case Function::contains:
      if (text == "true" || text == "false")
        return Answer{.result = Value::boolean(text == "true"), .steps = {}};
      return Answer{};
    default:
      return Answer{};
  }
}

Result<Value> EventReader::value(const Event& event, std::string_view text) {
  EdnScanner scanner(text, event.line);
  const auto found = to_value(builder_.values(), scanner, scanner.next());
  if (!found)
    return wrong(event.line, fmt::format(":{} without a value that can be read", event.function));
  return *found;
}

// The members of a vector, list or set, as `contains` steps.
Result<std::vector<Step>> EventReader::elements(const Event& event, std::string_view text) {
  EdnScanner scanner(text, event.line);
  std::vector<Step> found;
  Token token = untagged(scanner);
  if (token.kind == TokenKind::nil || token.kind == TokenKind::end) return found;
  if (!opens_sequence(token) && token.kind != TokenKind::open_set) {
    return wrong(event.line, fmt::format(":{} wants a collection as its value", event.function));
  }
  while (true) {
    token = scanner.next();
    if (token.kind == TokenKind::close) return found;
    const auto element = to_value(builder_.values(), scanner, token);
    if (!element) return wrong(event.line, "a collection that does not end well");
    found.push_back({Function::contains, kUnsaid, *element});
  }
}

// [[:read :x nil] [:write :y 2]]
Result<std::vector<Step>> EventReader::steps(const Event& event, std::string_view text, bool done) {
  constexpr std::string_view kShape =
      "a transaction wants [[:read KEY nil] [:write KEY VALUE] …] as its value";
  EdnScanner scanner(text, event.line);
  if (!opens_sequence(untagged(scanner))) return wrong(event.line, kShape);
  std::vector<Step> found;
  while (true) {
    Token token = scanner.next();
    if (token.kind == TokenKind::close) return found;
    if (!opens_sequence(token)) return wrong(event.line, kShape);
    token = scanner.next();
    const auto verb = find_verb(token.text);
    if (token.kind != TokenKind::keyword || (verb != Verb::read && verb != Verb::write)) {
      return wrong(event.line,
                   fmt::format("a transaction reads and writes; it cannot {}", token.text));
    }
    const auto key = to_value(builder_.values(), scanner, scanner.next());
    const auto held = to_value(builder_.values(), scanner, scanner.next());
    if (!key || !held || scanner.next().kind != TokenKind::close) return wrong(event.line, kShape);
    Step step{verb == Verb::read ? Function::read : Function::write, *key, *held};
    if (verb == Verb::read && (!done || (*held == kNil && !dialect_.nil_is_value)))
      step.value = kUnsaid;
    found.push_back(step);
  }
}

Status EventReader::split(const Event& event, Value& key, std::string_view& text) {
  constexpr std::string_view kShape = "with --independent every value is a tuple [key value]";
  EdnScanner scanner(event.value, event.line);
  if (!opens_sequence(untagged(scanner))) return wrong(event.line, kShape);
  const auto name = to_value(builder_.values(), scanner, scanner.next());
  if (!name || !scanner.skip_blank()) return wrong(event.line, kShape);
  const std::string_view rest = scanner.rest();
  if (!scanner.skip(scanner.next())) return wrong(event.line, kShape);
  text = rest.substr(0, rest.size() - scanner.rest().size());
  if (scanner.next().kind != TokenKind::close) return wrong(event.line, kShape);
  key = *name;
  return {};
}

// The nemesis says :start and :stop, :start-partition and :stop-partition, or :kill and :start,
// each twice: when it begins to do so and when it has. A fault lasts from its first word to the
// first word of its end.
void EventReader::fault(const Event& event) {
  const std::string_view word = event.function;
  const auto begin = [&](std::string_view name) {
    if (std::ranges::find(open_faults_, name) != open_faults_.end()) return;
    open_faults_.emplace_back(name);
    builder_.fault_begins(std::string(name), lift(event.time_ns));
  };
  const auto end = [&](std::string_view name) {
    const auto found = std::ranges::find(open_faults_, name);
    if (found == open_faults_.end()) return;
    open_faults_.erase(found);
    builder_.fault_ends(name, lift(event.time_ns));
  };
  if (word == "kill" || word == "pause") {
    begin(word);
  } else if (word == "restart" || word == "resume") {
    end(word == "resume" ? "pause" : "kill");
  } else if (word.starts_with("stop-") || word.starts_with("heal-")) {
    end(word.substr(5));
  } else if (word.starts_with("start-")) {
    begin(word.substr(6));
  } else if (word == "stop" || word == "heal") {
    end("nemesis");
  } else if (word == "start") {
    if (std::ranges::find(open_faults_, "kill") != open_faults_.end()) return end("kill");
    begin("nemesis");
  }
}

}  // namespace raftkv::linearizability
