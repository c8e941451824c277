#include "linearizability/readers/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "linearizability/readers/edn.h"
#include "linearizability/readers/events.h"
#include "linearizability/readers/json.h"
#include "linearizability/readers/json_lines.h"
#include "linearizability/readers/value.h"

namespace raftkv::linearizability {
namespace {

constexpr std::array<std::string_view, 5> kFormatNames{"auto", "json", "jepsen-log", "edn-lines",
                                                       "edn"};

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::string_view kGzip = "\x1f\x8b";

// A log has the mark of its program in its beginning, and does not begin as EDN and JSON do.
bool is_log(std::string_view text) {
  if (!text.substr(0, 1u << 16).contains("jepsen.util")) return false;
  const std::string_view start = text.substr(text.find_first_not_of(" \t\r\n"));
  if (start[0] == '[')
    return !start.starts_with("[{") && !start.starts_with("[#") && start[1] > ' ';
  return std::string_view("{(;#").find(start[0]) == std::string_view::npos;
}

// What the text begins with tells the form: { " is JSON, { : and # are maps, [ and ( a collection.
std::optional<Format> recognize(std::string_view text) {
  if (is_log(text)) return Format::jepsen_log;
  EdnScanner scanner(text);
  if (!scanner.skip_blank()) return std::nullopt;
  const std::string_view rest = scanner.rest();
  if (rest.empty()) return Format::edn_lines;  // nothing happened
  if (rest[0] == '[' || rest[0] == '(') return Format::edn;
  if (rest[0] == '#') return Format::edn_lines;
  if (rest[0] != '{') return std::nullopt;
  const std::size_t second = rest.find_first_not_of(" \t\r\n", 1);
  return second != std::string_view::npos && rest[second] == '"' ? Format::json_lines
                                                                 : Format::edn_lines;
}

// [{"process": …: what many programs write, and neither JSON lines nor EDN, whose maps have no
// colons.
bool is_json_array(std::string_view text) {
  JsonScanner scanner(text);
  return scanner.next().kind == TokenKind::open_vector &&
         scanner.next().kind == TokenKind::open_map &&
         scanner.next_key(true).kind == TokenKind::string;
}

// Whether a read answers with all elements of a set: as the model says, or else the other
// functions.
bool is_of_sets(std::string_view model, const Vocabulary& words) {
  return model.empty() ? words.speaks_of_sets() && words.used(Verb::read) : model == "set";
}

// Reads a history of events; again, if it turns out late that its reads are those of a set.
Result<Reading> read_events(std::string_view text, Format format, const ReadOptions& options,
                            bool reads_are_of_sets) {
  const bool is_log = format == Format::jepsen_log;
  EventReader reader({.failed_cas_happened = is_log,
                      .nil_is_value = is_log || options.nil_is_value,
                      .independent = options.independent,
                      .reads_are_of_sets = reads_are_of_sets},
                     options.keep_going);
  const Status status = is_log ? read_jepsen_log(text, reader) : read_edn(text, reader);
  if (!status) return failure(status);
  if (!reads_are_of_sets && is_of_sets(options.model, reader.vocabulary())) {
    return read_events(text, format, options, true);
  }
  return reader.finish();
}

Result<Reading> read_json(std::string_view text, const ReadOptions& options,
                          bool reads_are_of_sets) {
  JsonLinesReader reader(reads_are_of_sets, options.keep_going);
  if (const Status status = reader.read(text); !status) return failure(status);
  const std::string_view model = options.model.empty() ? reader.model() : options.model;
  if (!reads_are_of_sets && is_of_sets(model, reader.vocabulary())) {
    return read_json(text, options, true);
  }
  return reader.finish();
}

// x, :x and "x" name the same key when a person writes an initial state.
std::string name_of(std::string printed) {
  if (printed.starts_with(':')) return printed.substr(1);
  if (printed.size() > 1 && printed.starts_with('"')) return printed.substr(1, printed.size() - 2);
  return printed;
}

// The keys that the operations of a history name.
std::vector<Value> keys_of(const History& history) {
  std::vector<Value> keys;
  for (const Operation& operation : history.operations()) {
    if (operation.key != kUnsaid) keys.push_back(operation.key);
    if (operation.function != Function::transaction) continue;
    for (const Step& step : history.steps(operation)) keys.push_back(step.key);
  }
  std::ranges::sort(keys);
  const auto rest = std::ranges::unique(keys);
  keys.erase(rest.begin(), rest.end());
  return keys;
}

struct KeyAndValue {
  std::string key;
  Value value;
};

template <typename Scanner>
std::optional<std::vector<KeyAndValue>> read_map(ValueTable& values, Scanner& scanner) {
  std::vector<KeyAndValue> members;
  if (scanner.next().kind != TokenKind::open_map) return std::nullopt;
  while (true) {
    Token token;
    if constexpr (std::is_same_v<Scanner, JsonScanner>) {
      token = scanner.next_key(members.empty());
    } else {
      token = scanner.next();
    }
    if (token.kind == TokenKind::close) break;
    std::string key;
    if (!scanner.spell(key, token)) return std::nullopt;
    const auto value = to_value(values, scanner, scanner.next());
    if (!value) return std::nullopt;
    members.push_back({name_of(std::move(key)), *value});
  }
  if (scanner.next().kind != TokenKind::end) return std::nullopt;
  return members;
}

Result<Value> initial_of_map(History& history, std::string_view text) {
  JsonScanner json(text);
  auto members = read_map(history.values(), json);
  if (!members) {
    EdnScanner edn(text);
    members = read_map(history.values(), edn);
  }
  if (!members)
    return failure(ErrorCode::invalid, fmt::format("the initial state {} cannot be read", text));
  std::optional<Value> shared;
  for (const Value key : keys_of(history)) {
    const std::string name = name_of(history.values().print(key));
    const auto member = std::ranges::find(*members, name, &KeyAndValue::key);
    const Value value = member == members->end() ? kNil : member->value;
    if (shared && *shared != value) {
      return failure(
          ErrorCode::unsupported,
          fmt::format(
              "the initial state {} gives the keys of this history different values; begin the "
              "history with writes of them instead",
              text));
    }
    shared = value;
  }
  return shared.value_or(kUnsaid);
}

}  // namespace

std::string_view to_string(Format format) {
  return kFormatNames[static_cast<std::size_t>(format)];
}

std::optional<Format> find_format(std::string_view name) {
  const auto found = std::ranges::find(kFormatNames, name);
  if (found == kFormatNames.end()) return std::nullopt;
  return static_cast<Format>(found - kFormatNames.begin());
}

std::span<const std::string_view> format_names() {
  return kFormatNames;
}

Result<Reading> read_history(std::string_view text, const ReadOptions& options) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  Format format = options.format;
  if (format == Format::automatic) {
    const auto recognized = recognize(text);
    if (text.starts_with(kGzip)) {
      return failure(ErrorCode::invalid, "compressed: try gunzip -c FILE | lincheck -");
    }
    if (!recognized) {
      return failure(ErrorCode::invalid,
                     "line 1: this is no form of a history that is known here: JSON lines, a "
                     "Jepsen log, or EDN");
    }
    if (*recognized == Format::edn && is_json_array(text)) {
      return failure(ErrorCode::invalid,
                     "line 1: a JSON array; a history has an operation a line, without brackets "
                     "and commas: try jq -c '.[]' FILE | lincheck -");
    }
    format = *recognized;
  }
  const bool sets = options.model == "set";
  auto reading = format == Format::json_lines ? read_json(text, options, sets)
                                              : read_events(text, format, options, sets);
  if (reading) reading->format = format;
  return reading;
}

Result<Value> read_initial(History& history, std::string_view text) {
  if (text == "free" || text == "empty" || text == "#{}") return kUnsaid;
  if (text == "null") return kNil;
  if (text.starts_with('{')) return initial_of_map(history, text);
  EdnScanner scanner(text);
  const Token first = scanner.next();
  if (first.kind == TokenKind::symbol && scanner.rest().empty())
    return history.values().text(first.text);
  const auto value = to_value(history.values(), scanner, first);
  if (!value || scanner.next().kind != TokenKind::end) {
    return failure(ErrorCode::invalid, fmt::format("the initial value {} cannot be read", text));
  }
  return *value;
}

}  // namespace raftkv::linearizability
