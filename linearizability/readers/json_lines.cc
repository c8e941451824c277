#include "linearizability/readers/json_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <tuple>
#include <utility>

#include "linearizability/readers/value.h"

namespace raftkv::linearizability {
namespace {

bool is_composite(const Token& token) {
  return token.kind == TokenKind::open_map || token.kind == TokenKind::open_vector;
}

std::optional<End> find_end(std::string_view name) {
  if (name == "ok") return End::ok;
  if (name == "fail") return End::fail;
  if (name == "info") return End::info;
  return std::nullopt;
}

}  // namespace

std::unexpected<Error> JsonLinesReader::wrong_here(std::string_view what) const {
  return failure(ErrorCode::invalid, fmt::format("line {}: {}", line_, what));
}

Status JsonLinesReader::read(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = std::min(text.find('\n'), text.size());
    ++line_;
    if (line_ % kEventsUntilAsked == 0 && keep_going_ && !keep_going_(line_)) {
      return failure(ErrorCode::exhausted, "the reading was ended");
    }
    const std::string_view line = text.substr(0, length);
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) {
      if (const Status status = read_line(line); !status) return status;
    }
    text.remove_prefix(std::min(length + 1, text.size()));
  }
  return {};
}

Status JsonLinesReader::read_line(std::string_view text) {
  Line line;
  if (const Status status = read_members(text, line); !status) return status;
  if (line.fault.given()) return take_fault(line);
  if (line.header.given() && !line.function.given()) return take_header(line);
  return take_operation(line);
}

Status JsonLinesReader::read_members(std::string_view text, Line& line) {
  static constexpr std::array<std::pair<std::string_view, Member Line::*>, 16> kMembers{{
      {"process", &Line::process},
      {"invoke", &Line::invoke},
      {"return", &Line::returned},
      {"end", &Line::end},
      {"f", &Line::function},
      {"key", &Line::key},
      {"value", &Line::value},
      {"result", &Line::result},
      {"index", &Line::index},
      {"fault", &Line::fault},
      {"from", &Line::from},
      {"to", &Line::to},
      {"history", &Line::header},
      {"model", &Line::model},
      {"initial", &Line::initial},
      {"time", &Line::time},
  }};
  JsonScanner scanner(text, line_);
  if (scanner.next().kind != TokenKind::open_map) return wrong_here("a line is a JSON object");
  for (bool first = true;; first = false) {
    const Token name = scanner.next_key(first);
    if (name.kind == TokenKind::close && name.text[0] == '}') break;
    if (name.kind != TokenKind::string)
      return wrong_here(name.text.empty() ? "the line is cut off" : name.text);
    const std::string_view rest = scanner.rest();
    Member member{.token = scanner.next(), .text = {}};
    if (!scanner.skip(member.token)) {
      return wrong_here(fmt::format("\"{}\" has no value that can be read", name.text));
    }
    if (is_composite(member.token))
      member.text = rest.substr(0, rest.size() - scanner.rest().size());
    const auto known =
        std::ranges::find(kMembers, name.text, &std::pair<std::string_view, Member Line::*>::first);
    if (known != kMembers.end()) line.*known->second = member;
  }
  if (scanner.next().kind != TokenKind::end)
    return wrong_here("something stands behind the object");
  return {};
}

Status JsonLinesReader::take_header(const Line& line) {
  if (line.header.token.kind != TokenKind::integer || line.header.token.integer != 1) {
    return wrong_here("this program reads version 1 of the form: {\"history\":1, …}");
  }
  if (line.model.given()) model_ = line.model.token.text;
  if (line.initial.given()) {
    initial_.emplace();
    JsonScanner scanner(line.initial.text);
    const Token first = is_composite(line.initial.token) ? scanner.next() : line.initial.token;
    if (!scanner.spell(*initial_, first)) return wrong_here("\"initial\" cannot be read");
  }
  if (line.time.given()) {
    if (line.time.token.text != "ns" && line.time.token.text != "events") {
      return wrong_here("\"time\" is \"ns\" or \"events\"");
    }
    timed_ = line.time.token.text == "ns";
  }
  return {};
}

Status JsonLinesReader::take_fault(const Line& line) {
  FaultRecord fault;
  if (line.fault.token.kind != TokenKind::string ||
      !append_unescaped(fault.name, line.fault.token)) {
    return wrong_here("\"fault\" wants its name, a string");
  }
  if (line.from.token.kind != TokenKind::integer)
    return wrong_here("a fault wants \"from\", an integer");
  fault.from = line.from.token.integer;
  if (line.to.token.kind == TokenKind::integer) {
    fault.to = line.to.token.integer;
    if (*fault.to < fault.from)
      return wrong_here("time goes back: the fault ends before it begins");
  } else if (line.to.given() && line.to.token.kind != TokenKind::nil) {
    return wrong_here("a fault's \"to\" is an integer, or null: it never ended");
  }
  faults_.push_back(std::move(fault));
  return {};
}

Status JsonLinesReader::take_operation(const Line& line) {
  Record record{.line = line_};
  const Token process = line.process.token;
  if (process.kind != TokenKind::integer || process.integer < 0 || process.integer > kProcessMax) {
    return wrong_here("an operation wants \"process\", an integer from 0");
  }
  record.process = static_cast<std::uint32_t>(process.integer);
  if (const Status status = take_times(line, record); !status) return status;
  if (line.function.token.kind != TokenKind::string)
    return wrong_here("an operation wants \"f\", its function");
  const auto verb = find_verb(line.function.token.text);
  if (!verb) {
    return wrong_here(fmt::format("the function \"{}\" is unknown; known are {}",
                                  line.function.token.text, known_words()));
  }
  vocabulary_.use(*verb);
  if (line.key.given()) {
    const auto key = value(line.key);
    if (!key) return wrong_here("\"key\" cannot be read");
    record.key = *key;
  }
  if (line.index.given()) {
    if (line.index.token.kind != TokenKind::integer || line.index.token.integer < 0) {
      return wrong_here("\"index\" is an integer from 0");
    }
    record.index = static_cast<std::uint64_t>(line.index.token.integer);
  }
  if (const Status status = take_call(line, *verb, record); !status) return status;
  if (records_.size() >= kOperationsMax)
    return wrong_here(fmt::format("more than {} operations", kOperationsMax));
  records_.push_back(record);
  return {};
}

Status JsonLinesReader::take_times(const Line& line, Record& record) {
  if (line.invoke.token.kind != TokenKind::integer)
    return wrong_here("an operation wants \"invoke\", an integer");
  record.invoke = line.invoke.token.integer;
  record.has_return = line.returned.token.kind == TokenKind::integer;
  if (record.has_return) {
    record.returned = line.returned.token.integer;
    if (record.returned < record.invoke)
      return wrong_here("time goes back: \"return\" is before \"invoke\"");
  } else if (line.returned.given() && line.returned.token.kind != TokenKind::nil) {
    return wrong_here("\"return\" is an integer, or null: there was none");
  }
  record.end = record.has_return ? End::ok : End::info;
  if (!line.end.given()) return {};
  const auto end =
      line.end.token.kind == TokenKind::string ? find_end(line.end.token.text) : std::nullopt;
  if (!end) return wrong_here("\"end\" is \"ok\", \"fail\" or \"info\"");
  if (*end != End::info && !record.has_return)
    return wrong_here("an end of ok or fail wants \"return\"");
  record.end = *end;
  return {};
}

Status JsonLinesReader::take_call(const Line& line, Verb verb, Record& record) {
  const bool ok = record.end == End::ok;
  if (ok && line.result.given() && !is_composite(line.result.token)) {
    const auto result = value(line.result);
    if (!result) return wrong_here("\"result\" cannot be read");
    record.result = *result;
  }
  switch (verb) {
    case Verb::read:
      if (reads_are_of_sets_) {
        record.function = Function::read_all;
        return take_elements(line, record);
      }
      [[fallthrough]];
    case Verb::get: {
      record.function = Function::read;
      const Member& answer = line.result.given() ? line.result : line.value;
      if (!ok || !answer.given()) return {};
      const auto found = value(answer);
      if (!found) return wrong_here("the answer of a read cannot be read");
      record.result = *found;
      return {};
    }
    case Verb::erase:
      record.function = Function::remove;
      return {};
    case Verb::acquire:
      record.function = Function::acquire;
      return {};
    case Verb::release:
      record.function = Function::release;
      return {};
    case Verb::cas:
      return take_cas(line, record);
    case Verb::transaction:
      return take_transaction(line, record);
    case Verb::pairs:
      if (!line.key.given() && line.value.token.kind == TokenKind::open_map)
        return take_pairs(line, record);
      [[fallthrough]];
    case Verb::write:
    case Verb::put:
      record.function = Function::write;
      break;
    case Verb::append:
      record.function = Function::append;
      break;
    case Verb::add:
      record.function = Function::add;
      break;
    case Verb::remove:
      record.function = Function::remove;
      break;
    case Verb::contains:
      record.function = Function::contains;
      break;
  }
  const auto argument = line.value.given() ? value(line.value) : std::nullopt;
  if (!argument)
    return wrong_here(fmt::format("\"{}\" wants a \"value\"", line.function.token.text));
  record.argument = *argument;
  return {};
}

// "value":[expected, new]; the result false says that another value was found.
Status JsonLinesReader::take_cas(const Line& line, Record& record) {
  constexpr std::string_view kShape = "\"cas\" wants [expected, new] as its \"value\"";
  record.function = Function::cas;
  if (record.end == End::ok && !line.result.given()) record.result = Value::boolean(true);
  if (line.value.token.kind != TokenKind::open_vector) return wrong_here(kShape);
  JsonScanner scanner(line.value.text);
  Token token = scanner.next();  // the bracket
  token = scanner.next_element(true);
  const auto expected = to_value(builder_.values(), scanner, token);
  const auto written = to_value(builder_.values(), scanner, scanner.next_element(false));
  if (!expected || !written || scanner.next_element(false).kind != TokenKind::close)
    return wrong_here(kShape);
  record.expected = *expected;
  record.argument = *written;
  return {};
}

// "set" of several keys at once: "value":{"a":"1","b":"2"}.
Status JsonLinesReader::take_pairs(const Line& line, Record& record) {
  record.first_step = static_cast<std::uint32_t>(steps_.size());
  JsonScanner scanner(line.value.text);
  Token token = scanner.next();
  for (bool first = true;; first = false) {
    token = scanner.next_key(first);
    if (token.kind == TokenKind::close) break;
    const auto key = to_value(builder_.values(), scanner, token);
    const auto written = to_value(builder_.values(), scanner, scanner.next());
    if (!key || !written) return wrong_here("the members of \"value\" cannot be read");
    steps_.push_back({Function::write, *key, *written});
  }
  record.steps = static_cast<std::uint32_t>(steps_.size()) - record.first_step;
  record.function = Function::transaction;
  if (record.steps != 1) return {};
  record.function = Function::write;
  record.key = steps_.back().key;
  record.argument = steps_.back().value;
  record.steps = 0;
  steps_.pop_back();
  return {};
}

// "value":[["read","x",1],["write","y",2]]; what was read stands there, null for nothing, left out
// if it is not known.
Status JsonLinesReader::take_transaction(const Line& line, Record& record) {
  constexpr std::string_view kShape =
      "\"txn\" wants [[\"read\",KEY,FOUND],[\"write\",KEY,VALUE],…] as its \"value\"";
  record.function = Function::transaction;
  record.first_step = static_cast<std::uint32_t>(steps_.size());
  if (line.value.token.kind != TokenKind::open_vector) return wrong_here(kShape);
  JsonScanner scanner(line.value.text);
  Token token = scanner.next();
  for (bool first = true;; first = false) {
    token = scanner.next_element(first);
    if (token.kind == TokenKind::close) break;
    if (token.kind != TokenKind::open_vector) return wrong_here(kShape);
    token = scanner.next_element(true);
    const auto verb = token.kind == TokenKind::string ? find_verb(token.text) : std::nullopt;
    if (verb != Verb::read && verb != Verb::write)
      return wrong_here("a transaction can read and write only");
    const auto key = to_value(builder_.values(), scanner, scanner.next_element(false));
    if (!key) return wrong_here(kShape);
    Step step{verb == Verb::read ? Function::read : Function::write, *key, kUnsaid};
    token = scanner.next_element(false);
    if (token.kind != TokenKind::close) {
      const auto held = to_value(builder_.values(), scanner, token);
      if (!held || scanner.next_element(false).kind != TokenKind::close) return wrong_here(kShape);
      if (verb == Verb::write || record.end == End::ok) step.value = *held;
    } else if (verb == Verb::write) {
      return wrong_here(kShape);
    }
    steps_.push_back(step);
  }
  record.steps = static_cast<std::uint32_t>(steps_.size()) - record.first_step;
  return {};
}

// The answer of a set's read: "result":[1,2,3].
Status JsonLinesReader::take_elements(const Line& line, Record& record) {
  record.first_step = static_cast<std::uint32_t>(steps_.size());
  const Member& answer = line.result.given() ? line.result : line.value;
  record.result = kNil;
  if (record.end != End::ok || !answer.given() || answer.token.kind == TokenKind::nil) return {};
  if (answer.token.kind != TokenKind::open_vector)
    return wrong_here("a set's read answers with an array");
  record.result = kUnsaid;
  JsonScanner scanner(answer.text);
  Token token = scanner.next();
  for (bool first = true;; first = false) {
    token = scanner.next_element(first);
    if (token.kind == TokenKind::close) break;
    const auto element = to_value(builder_.values(), scanner, token);
    if (!element) return wrong_here("the elements of \"result\" cannot be read");
    steps_.push_back({Function::contains, record.key, *element});
  }
  record.steps = static_cast<std::uint32_t>(steps_.size()) - record.first_step;
  return {};
}

std::optional<Value> JsonLinesReader::value(const Member& member) {
  if (!is_composite(member.token)) {
    JsonScanner none{std::string_view()};
    return to_value(builder_.values(), none, member.token);
  }
  JsonScanner scanner(member.text);
  const Token first = scanner.next();
  return to_value(builder_.values(), scanner, first);
}

// ---- order

std::vector<JsonLinesReader::Moment> JsonLinesReader::moments() const {
  std::vector<Moment> all;
  all.reserve(records_.size() * 2 + faults_.size() * 2);
  for (std::uint32_t i = 0; i < records_.size(); ++i) {
    all.push_back({records_[i].invoke, i, Rank::invocation, false});
    if (records_[i].has_return) all.push_back({records_[i].returned, i, Rank::answer, true});
  }
  for (std::uint32_t i = 0; i < faults_.size(); ++i) {
    all.push_back({faults_[i].from, i, Rank::fault_begins, false});
    if (faults_[i].to) all.push_back({*faults_[i].to, i, Rank::fault_ends, true});
  }
  std::ranges::sort(all, {}, &Moment::time);
  for (auto first = all.begin(); first != all.end();) {
    const auto last =
        std::find_if(first, all.end(), [&](const Moment& m) { return m.time != first->time; });
    if (last - first > 1) untangle({first, last});
    first = last;
  }
  return all;
}

// Puts the moments of one time in order. A process that goes on at once (a return, and the next
// invocation at the same time) does so in its own order, between the invocations and the returns of
// the others.
void JsonLinesReader::untangle(std::span<Moment> at_once) const {
  const auto is_event = [](const Moment& m) {
    return m.rank == Rank::invocation || m.rank == Rank::answer;
  };
  const auto in_process = [this](const Moment& a, const Moment& b) {
    const Record& x = records_[a.number];
    const Record& y = records_[b.number];
    const auto end = [](const Record& r) {
      return r.has_return ? r.returned : std::numeric_limits<std::int64_t>::max();
    };
    return std::tuple(x.process, x.invoke, end(x), a.number, a.is_return) <
           std::tuple(y.process, y.invoke, end(y), b.number, b.is_return);
  };
  const auto events = std::ranges::partition(at_once, is_event);
  const std::span<Moment> own =
      at_once.first(static_cast<std::size_t>(events.begin() - at_once.begin()));
  std::ranges::sort(own, in_process);
  for (std::size_t i = 0; i < own.size(); ++i) {
    const auto same = [&](std::size_t j) {
      return records_[own[j].number].process == records_[own[i].number].process;
    };
    const bool follows = i > 0 && same(i - 1);
    const bool precedes = i + 1 < own.size() && same(i + 1);
    if (own[i].is_return ? precedes : follows) own[i].rank = Rank::process_goes_on;
  }
  std::ranges::sort(at_once, [&](const Moment& a, const Moment& b) {
    if (a.rank != b.rank) return a.rank < b.rank;
    return is_event(a) || a.rank == Rank::process_goes_on ? in_process(a, b) : a.number < b.number;
  });
}

Result<Reading> JsonLinesReader::finish() {
  builder_.reserve(records_.size());
  ids_.assign(records_.size(), 0);
  for (const Moment& moment : moments()) {
    if (const Status status = feed(moment); !status) return failure(status);
  }
  Reading reading;
  reading.history = builder_.finish();
  reading.lines = std::move(lines_);
  reading.format = Format::json_lines;
  reading.model_is_named = !model_.empty();
  reading.model = reading.model_is_named ? std::move(model_) : std::string(vocabulary_.model());
  reading.initial = std::move(initial_);
  return reading;
}

Status JsonLinesReader::feed(const Moment& moment) {
  const std::optional<std::int64_t> time = timed_ ? std::optional(moment.time) : std::nullopt;
  if (moment.rank == Rank::fault_begins) {
    builder_.fault_begins(faults_[moment.number].name, time);
    return {};
  }
  if (moment.rank == Rank::fault_ends) {
    builder_.fault_ends(faults_[moment.number].name, time);
    return {};
  }
  if (!moment.is_return) return feed_invocation(moment.number);
  const Record& record = records_[moment.number];
  Answer answer{.result = record.result, .index = record.index, .steps = {}};
  if (record.function == Function::read_all) {
    const auto steps = std::span(steps_).subspan(record.first_step, record.steps);
    answer.steps.assign(steps.begin(), steps.end());
  }
  if (const Status status = builder_.complete(ids_[moment.number], record.end, answer, time);
      !status) {
    return failure(ErrorCode::invalid,
                   fmt::format("line {}: {}", record.line, status.error().message));
  }
  return {};
}

Status JsonLinesReader::feed_invocation(std::uint32_t number) {
  const Record& record = records_[number];
  Call call{record.function, record.key, record.argument, record.expected, {}};
  if (record.function == Function::transaction) {
    const auto steps = std::span(steps_).subspan(record.first_step, record.steps);
    call.steps.assign(steps.begin(), steps.end());
  }
  const auto id =
      builder_.invoke(record.process, call, timed_ ? std::optional(record.invoke) : std::nullopt);
  if (!id) {
    std::string what = id.error().message;
    if (const auto open = builder_.under_way(record.process))
      what += fmt::format(" (line {})", lines_[*open]);
    return failure(ErrorCode::invalid, fmt::format("line {}: {}", record.line, what));
  }
  ids_[number] = *id;
  lines_.push_back(record.line);
  return {};
}

}  // namespace raftkv::linearizability
