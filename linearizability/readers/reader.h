// Reads a recorded history, whatever its form. docs/linearizability.md describes the forms and what
// differs between them: the meaning of a failed compare-and-set, and of a read that answered nil.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "linearizability/history.h"
#include "src/base/result.h"

namespace raftkv::linearizability {

enum class Format : std::uint8_t {
  automatic,   // told by the content
  json_lines,  // this project's own: a JSON object a line, an operation each
  jepsen_log,  // log lines: INFO jepsen.util - PROCESS :invoke|:ok|:fail|:info :F VALUE
  edn_lines,   // EDN maps, an event each
  edn,         // one EDN vector or list of such maps
};
// "auto", "json", "jepsen-log", "edn-lines", "edn".
[[nodiscard]] std::string_view to_string(Format format);
[[nodiscard]] std::optional<Format> find_format(std::string_view name);
[[nodiscard]] std::span<const std::string_view> format_names();

// Asked now and then with the line that is read; false ends the reading. Empty: never ends.
using KeepGoing = std::function<bool(std::uint32_t line)>;
inline constexpr std::uint32_t kEventsUntilAsked = 4096;

struct ReadOptions {
  Format format = Format::automatic;
  // Every value of an EDN event is a tuple [key value], as jepsen.independent writes them.
  bool independent = false;
  // What an ok read of nil says in EDN: that there was no value, or (the default, as Knossos has
  // it) nothing.
  bool nil_is_value = false;
  // The model that will judge, if it is known: reads of a "set" answer with all elements. Empty: as
  // the history names it, or else as its functions suggest.
  std::string_view model = {};
  KeepGoing keep_going = {};  // false: ErrorCode::exhausted
};

struct Reading {
  History history;
  // By OperationId: the line of the invocation (of the whole operation in the own form), from 1.
  std::vector<std::uint32_t> lines;
  Format format = Format::automatic;
  // The model that the history names itself, else the one that its functions suggest.
  std::string model;
  bool model_is_named = false;
  // The initial value as the history names it, for read_initial().
  std::optional<std::string> initial;
};

// Errors: ErrorCode::invalid, "line N: what is wrong": text of no known form, and histories that
// cannot have happened: a process with two operations at once, a return without an invocation, a
// time that goes back. `text` is needed only during the call.
[[nodiscard]] Result<Reading> read_history(std::string_view text, const ReadOptions& options = {});

// The initial value that `text` (JSON or EDN) means for the history: nil, a number, a text; "free"
// (mutex) and "empty" (set) are the model's default; a map gives each key's, which must be the same
// for all keys of the history.
[[nodiscard]] Result<Value> read_initial(History& history, std::string_view text);

}  // namespace raftkv::linearizability
