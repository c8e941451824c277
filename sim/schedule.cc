#include "sim/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "src/base/check.h"

namespace raftkv::sim {
namespace {

// What stands behind a verb in a line.
enum class Shape {
  nothing,
  who,        // isolate n1
  maybe_two,  // unclog | unclog n1 n2
  two,        // clog n1 n2
  group,      // split n1,n2
  who_count,  // disk n1 10
  who_place,  // flip n1 500000 250000
  three,      // weather 1000 1000 0
  label,      // heal | heal #3
  pairs,      // put a=1 b=2
  key,        // del a
  key_level,  // get a consistent
};

struct Word {
  Verb verb;
  std::string_view word;
  Shape shape;
};

constexpr std::array kWords = {
    Word{Verb::kill, "kill", Shape::who},
    Word{Verb::power, "power", Shape::who},
    Word{Verb::strike, "strike", Shape::who_count},
    Word{Verb::start, "start", Shape::who},
    Word{Verb::pause, "pause", Shape::who},
    Word{Verb::resume, "resume", Shape::who},
    Word{Verb::wipe, "wipe", Shape::who},
    Word{Verb::damage, "damage", Shape::who},
    Word{Verb::fail_syncs, "fail_syncs", Shape::who},
    Word{Verb::fail_reads, "fail_reads", Shape::who},
    Word{Verb::full, "full", Shape::who_count},
    Word{Verb::mend, "mend", Shape::who},
    Word{Verb::flip, "flip", Shape::who_place},
    Word{Verb::zero, "zero", Shape::who_place},
    Word{Verb::chop, "chop", Shape::who_place},
    Word{Verb::lose, "lose", Shape::who_count},
    Word{Verb::isolate, "isolate", Shape::who},
    Word{Verb::split, "split", Shape::group},
    Word{Verb::mute, "mute", Shape::who},
    Word{Verb::deafen, "deafen", Shape::who},
    Word{Verb::bridge, "bridge", Shape::who},
    Word{Verb::ring, "ring", Shape::nothing},
    Word{Verb::cut_clients, "cut_clients", Shape::who},
    Word{Verb::heal, "heal", Shape::label},
    Word{Verb::clog, "clog", Shape::two},
    Word{Verb::unclog, "unclog", Shape::maybe_two},
    Word{Verb::reset, "reset", Shape::two},
    Word{Verb::disk, "disk", Shape::who_count},
    Word{Verb::weather, "weather", Shape::three},
    Word{Verb::remove, "remove", Shape::who},
    Word{Verb::transfer, "transfer", Shape::who},
    Word{Verb::put, "put", Shape::pairs},
    Word{Verb::get, "get", Shape::key_level},
    Word{Verb::del, "del", Shape::key},
};

const Word& word_of(Verb verb) {
  return *std::ranges::find(kWords, verb, &Word::verb);
}

struct Selector {
  Who::Kind kind;
  std::string_view word;
};
constexpr std::array kSelectors = {
    Selector{Who::Kind::leader, "leader"},     Selector{Who::Kind::follower, "follower"},
    Selector{Who::Kind::deposed, "deposed"},   Selector{Who::Kind::majority, "majority"},
    Selector{Who::Kind::minority, "minority"},
};

std::string print(const Who& who) {
  if (who.kind == Who::Kind::node) return fmt::format("n{}", who.number);
  const auto* found = std::ranges::find(kSelectors, who.kind, &Selector::kind);
  return found == kSelectors.end() ? "-" : std::string(found->word);
}

std::string_view print(Level level) {
  switch (level) {
    case Level::default_:
      return "default";
    case Level::consistent:
      return "consistent";
    case Level::stale:
      return "stale";
  }
  return "default";
}

bool is_label_optional(Verb verb) {
  switch (verb) {
    case Verb::isolate:
    case Verb::split:
    case Verb::mute:
    case Verb::deafen:
    case Verb::bridge:
    case Verb::ring:
    case Verb::cut_clients:
    case Verb::heal:
      return true;
    default:
      return false;
  }
}

// --- parsing ---

std::vector<std::string_view> split_text(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    if (end > 0) parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

template <typename T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::unexpected<Error> wrong(std::string message) {
  return failure(ErrorCode::invalid, std::move(message));
}

Result<Who> parse_who(std::string_view text) {
  const auto* found = std::ranges::find(kSelectors, text, &Selector::word);
  if (found != kSelectors.end()) return Who{found->kind, 0};
  if (text.starts_with('n')) {
    if (const auto n = number<int>(text.substr(1)); n && *n > 0) return node(*n);
  }
  return wrong(
      fmt::format("'{}' names no node: n1, leader, follower, deposed, majority or minority", text));
}

bool is_word(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == '/';
  });
}

// Takes the words of one line off the front, and remembers the first thing that is wrong.
class Line {
 public:
  explicit Line(std::string_view text) : words_(split_text(text, ' ')) {}

  [[nodiscard]] bool done() const { return at_ == words_.size(); }
  [[nodiscard]] std::string_view peek() const { return done() ? std::string_view() : words_[at_]; }
  std::string_view take() {
    if (done()) {
      fail("the line ends too early");
      return {};
    }
    return words_[at_++];
  }
  Who who() {
    const auto parsed = parse_who(take());
    if (!parsed) fail(parsed.error().message);
    return parsed.value_or(Who{});
  }
  std::uint64_t count() {
    const std::string_view text = take();
    const auto parsed = number<std::uint64_t>(text);
    if (!parsed) fail(fmt::format("'{}' is no number", text));
    return parsed.value_or(0);
  }
  std::string key() {
    const std::string_view text = take();
    if (!is_word(text)) fail(fmt::format("'{}' is no key or value", text));
    return std::string(text);
  }
  void fail(std::string message) {
    if (!error_) error_ = std::move(message);
  }
  [[nodiscard]] const std::optional<std::string>& error() const { return error_; }

 private:
  std::vector<std::string_view> words_;
  std::size_t at_ = 0;
  std::optional<std::string> error_;
};

void parse_group(Line& line, Action& action) {
  for (const std::string_view part : split_text(line.take(), ',')) {
    const auto who = parse_who(part);
    if (!who) return line.fail(who.error().message);
    action.group.push_back(*who);
  }
}

void parse_pairs(Line& line, Action& action) {
  while (line.peek().find('=') != std::string_view::npos) {
    const std::string_view pair = line.take();
    const std::size_t equals = pair.find('=');
    const std::string_view key = pair.substr(0, equals);
    const std::string_view value = pair.substr(equals + 1);
    if (!is_word(key) || !is_word(value))
      return line.fail(fmt::format("'{}' is no pair key=value", pair));
    action.pairs.emplace_back(key, value);
  }
  if (action.pairs.empty()) line.fail("put needs a pair key=value");
}

void parse_level(Line& line, Action& action) {
  const std::string_view text = line.take();
  for (const Level level : {Level::default_, Level::consistent, Level::stale}) {
    if (print(level) == text) {
      action.level = level;
      return;
    }
  }
  line.fail(fmt::format("'{}' is no level: default, consistent or stale", text));
}

void parse_arguments(Line& line, Shape shape, Action& action) {
  switch (shape) {
    case Shape::nothing:
    case Shape::label:
      return;
    case Shape::who:
      action.who = line.who();
      return;
    case Shape::maybe_two:
      if (line.done()) return;
      [[fallthrough]];
    case Shape::two:
      action.who = line.who();
      action.other = line.who();
      return;
    case Shape::group:
      return parse_group(line, action);
    case Shape::who_count:
      action.who = line.who();
      action.count = line.count();
      return;
    case Shape::who_place:
      action.who = line.who();
      action.count = line.count();
      action.count2 = line.count();
      return;
    case Shape::three:
      action.count = line.count();
      action.count2 = line.count();
      action.count3 = line.count();
      return;
    case Shape::pairs:
      return parse_pairs(line, action);
    case Shape::key:
      action.pairs.emplace_back(line.key(), "");
      return;
    case Shape::key_level:
      action.pairs.emplace_back(line.key(), "");
      return parse_level(line, action);
  }
}

void parse_rest(Line& line, Action& action) {
  while (!line.done() && !line.error()) {
    const std::string_view word = line.take();
    if (word.starts_with('#') && is_label_optional(action.verb)) {
      const auto label = number<std::uint32_t>(word.substr(1));
      if (!label || *label == 0) return line.fail(fmt::format("'{}' is no label", word));
      action.label = *label;
    } else if (word == "through" && (is_operation(action.verb) || is_administration(action.verb))) {
      action.other = line.who();
    } else if (word == "by" && is_operation(action.verb)) {
      const std::string_view text = line.take();
      const auto client = text.starts_with('c') ? number<int>(text.substr(1)) : std::nullopt;
      if (!client || *client < 1) return line.fail(fmt::format("'{}' is no client: c1", text));
      action.client = *client;
    } else {
      return line.fail(fmt::format("'{}' does not belong here", word));
    }
  }
}

Action make(Verb verb, Who who = {}, Who other = {}) {
  Action action;
  action.verb = verb;
  action.who = who;
  action.other = other;
  return action;
}

Action make_rot(Verb verb, Who who, std::uint64_t file, std::uint64_t place) {
  Action action = make(verb, who);
  action.count = file;
  action.count2 = place;
  return action;
}

}  // namespace

Who node(int number) {
  return {Who::Kind::node, number};
}
Who leader() {
  return {Who::Kind::leader, 0};
}
Who follower() {
  return {Who::Kind::follower, 0};
}
Who deposed_leader() {
  return {Who::Kind::deposed, 0};
}
Who majority() {
  return {Who::Kind::majority, 0};
}
Who minority() {
  return {Who::Kind::minority, 0};
}

Action Action::through(Who node) const {
  Action action = *this;
  action.other = node;
  return action;
}
Action Action::named(std::uint32_t name) const {
  Action action = *this;
  action.label = name;
  return action;
}
Action Action::by(int number) const {
  Action action = *this;
  action.client = number;
  return action;
}

Action at(Duration time, Action action) {
  action.at = time;
  return action;
}
Action kill(Who who) {
  return make(Verb::kill, who);
}
Action power(Who who) {
  return make(Verb::power, who);
}
Action strike(Who who, std::uint64_t operations) {
  Action action = make(Verb::strike, who);
  action.count = operations;
  return action;
}
Action start(Who who) {
  return make(Verb::start, who);
}
Action pause(Who who) {
  return make(Verb::pause, who);
}
Action resume(Who who) {
  return make(Verb::resume, who);
}
Action wipe(Who who) {
  return make(Verb::wipe, who);
}
Action damage(Who who) {
  return make(Verb::damage, who);
}
Action fail_syncs(Who who) {
  return make(Verb::fail_syncs, who);
}
Action fail_reads(Who who) {
  return make(Verb::fail_reads, who);
}
Action full(Who who, std::uint64_t room) {
  Action action = make(Verb::full, who);
  action.count = room;
  return action;
}
Action mend(Who who) {
  return make(Verb::mend, who);
}
Action flip(Who who, std::uint64_t file, std::uint64_t place) {
  return make_rot(Verb::flip, who, file, place);
}
Action zero(Who who, std::uint64_t file, std::uint64_t place) {
  return make_rot(Verb::zero, who, file, place);
}
Action chop(Who who, std::uint64_t file, std::uint64_t place) {
  return make_rot(Verb::chop, who, file, place);
}
Action lose(Who who, std::uint64_t file) {
  return make_rot(Verb::lose, who, file, 0);
}
Action isolate(Who who) {
  return make(Verb::isolate, who);
}
Action split(std::vector<Who> group) {
  Action action = make(Verb::split);
  action.group = std::move(group);
  return action;
}
Action mute(Who who) {
  return make(Verb::mute, who);
}
Action deafen(Who who) {
  return make(Verb::deafen, who);
}
Action bridge(Who who) {
  return make(Verb::bridge, who);
}
Action ring() {
  return make(Verb::ring);
}
Action cut_clients(Who who) {
  return make(Verb::cut_clients, who);
}
Action heal(std::uint32_t label) {
  return make(Verb::heal).named(label);
}
Action clog(Who from, Who to) {
  return make(Verb::clog, from, to);
}
Action unclog() {
  return make(Verb::unclog);
}
Action unclog(Who from, Who to) {
  return make(Verb::unclog, from, to);
}
Action reset(Who a, Who b) {
  return make(Verb::reset, a, b);
}
Action disk(Who who, std::uint64_t factor) {
  Action action = make(Verb::disk, who);
  action.count = factor;
  return action;
}
Action weather(std::uint64_t loss, std::uint64_t duplicates, std::uint64_t corruption) {
  Action action = make(Verb::weather);
  action.count = loss;
  action.count2 = duplicates;
  action.count3 = corruption;
  return action;
}
Action remove(Who who) {
  return make(Verb::remove, who);
}
Action transfer(Who who) {
  return make(Verb::transfer, who);
}
Action put(std::string key, std::string value) {
  return put(std::vector{std::pair{std::move(key), std::move(value)}});
}
Action put(std::vector<std::pair<std::string, std::string>> pairs) {
  Action action = make(Verb::put);
  action.pairs = std::move(pairs);
  return action;
}
Action get(std::string key, Level level) {
  Action action = make(Verb::get);
  action.pairs.emplace_back(std::move(key), "");
  action.level = level;
  return action;
}
Action del(std::string key) {
  Action action = make(Verb::del);
  action.pairs.emplace_back(std::move(key), "");
  return action;
}

bool is_operation(Verb verb) {
  return verb == Verb::put || verb == Verb::get || verb == Verb::del;
}
bool is_write(Verb verb) {
  return verb == Verb::put || verb == Verb::del;
}
bool is_administration(Verb verb) {
  return verb == Verb::remove || verb == Verb::transfer;
}

bool is_rot(Verb verb) {
  return verb == Verb::flip || verb == Verb::zero || verb == Verb::chop || verb == Verb::lose;
}

std::string print(Duration duration) {
  const auto ns = duration.count();
  if (ns % 1'000'000'000 == 0) return fmt::format("{}s", ns / 1'000'000'000);
  if (ns % 1'000'000 == 0) return fmt::format("{}ms", ns / 1'000'000);
  if (ns % 1'000 == 0) return fmt::format("{}us", ns / 1'000);
  return fmt::format("{}ns", ns);
}

Result<Duration> parse_duration(std::string_view text) {
  struct Unit {
    std::string_view name;
    std::int64_t ns;
  };
  for (const Unit unit :
       {Unit{"ns", 1}, Unit{"us", 1'000}, Unit{"ms", 1'000'000}, Unit{"s", 1'000'000'000}}) {
    if (!text.ends_with(unit.name)) continue;
    const auto value = number<std::int64_t>(text.substr(0, text.size() - unit.name.size()));
    constexpr std::int64_t kMax = std::int64_t{1} << 53;  // a hundred days
    if (value && *value >= 0 && *value <= kMax / unit.ns) return Duration(*value * unit.ns);
  }
  return wrong(fmt::format("'{}' is no duration: 20s, 1500ms, 250us or 10ns", text));
}

std::string print(const Action& action) {
  const Word& word = word_of(action.verb);
  std::string line = fmt::format("{} {}", print(action.at), word.word);
  const auto add = [&](std::string_view text) { line.append(" ").append(text); };
  switch (word.shape) {
    case Shape::nothing:
    case Shape::label:
      break;
    case Shape::maybe_two:
      if (action.who.kind == Who::Kind::none) break;
      [[fallthrough]];
    case Shape::two:
      add(print(action.who));
      add(print(action.other));
      break;
    case Shape::who:
      add(print(action.who));
      break;
    case Shape::group: {
      std::string names;
      for (const Who& who : action.group) names += (names.empty() ? "" : ",") + print(who);
      add(names);
      break;
    }
    case Shape::who_count:
      add(print(action.who));
      add(fmt::format("{}", action.count));
      break;
    case Shape::who_place:
      add(print(action.who));
      add(fmt::format("{} {}", action.count, action.count2));
      break;
    case Shape::three:
      add(fmt::format("{} {} {}", action.count, action.count2, action.count3));
      break;
    case Shape::pairs:
      for (const auto& [key, value] : action.pairs) add(fmt::format("{}={}", key, value));
      break;
    case Shape::key:
      add(action.pairs.front().first);
      break;
    case Shape::key_level:
      add(action.pairs.front().first);
      add(print(action.level));
      break;
  }
  if (action.label != 0) add(fmt::format("#{}", action.label));
  const bool through = is_operation(action.verb) || is_administration(action.verb);
  if (through && action.other.kind != Who::Kind::none) add("through " + print(action.other));
  if (action.client != 0) add(fmt::format("by c{}", action.client));
  return line;
}

Result<Action> parse_action(std::string_view text) {
  Line line(text);
  const auto time = parse_duration(line.take());
  if (!time) return failure(time);
  const std::string_view verb = line.take();
  const auto* word = std::ranges::find(kWords, verb, &Word::word);
  if (word == kWords.end()) return wrong(fmt::format("'{}' is no action", verb));
  Action action;
  action.at = *time;
  action.verb = word->verb;
  parse_arguments(line, word->shape, action);
  parse_rest(line, action);
  if (line.error()) return wrong(*line.error());
  return action;
}

}  // namespace raftkv::sim
