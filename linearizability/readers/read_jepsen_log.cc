// The log lines of a Jepsen run:
//
//   INFO  jepsen.util - 3	:invoke	:cas	[0 2]
//   INFO  jepsen.util - 3	:fail	:cas	[0 2]
//   INFO  jepsen.util - :nemesis	:info	:start	"cut off n1"
//
// A line is an event if the type stands between spaces, after a process: all others are noise.
#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "linearizability/readers/events.h"

namespace raftkv::linearizability {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// Cuts the first word off.
std::string_view cut_word(std::string_view& text) {
  text = trimmed(text);
  std::size_t length = 0;
  while (length < text.size() && !is_blank(text[length])) ++length;
  const std::string_view word = text.substr(0, length);
  text.remove_prefix(length);
  return word;
}

std::optional<EventType> find_type(std::string_view word) {
  static constexpr std::array<std::pair<std::string_view, EventType>, 4> kTypes{
      {{":invoke", EventType::invoke},
       {":ok", EventType::ok},
       {":fail", EventType::fail},
       {":info", EventType::info}}};
  for (const auto& [name, type] : kTypes) {
    if (word == name) return type;
  }
  return std::nullopt;
}

// Parses "3" or ":nemesis". False: no process.
bool read_process(std::string_view word, Event& event) {
  if (word.starts_with(':')) return word.size() > 1;
  std::uint32_t process = 0;
  const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), process);
  if (error != std::errc() || stop != word.data() + word.size() || process > kProcessMax)
    return false;
  event.process = process;
  return true;
}

enum class LineKind : std::uint8_t { noise, event, damaged };

// The line from its process on: PROCESS TYPE F VALUE.
LineKind read_event(std::string_view rest, Event& event) {
  if (!read_process(cut_word(rest), event)) return LineKind::noise;
  const auto type = find_type(cut_word(rest));
  if (!type) return LineKind::noise;
  event.type = *type;
  const std::string_view function = cut_word(rest);
  if (function.size() < 2 || function[0] != ':') return LineKind::damaged;
  event.function = function.substr(1);
  event.value = trimmed(rest);
  return LineKind::event;
}

LineKind read_line(std::string_view line, Event& event) {
  for (const std::string_view mark : {"jepsen.util - ", "jepsen.util: "}) {
    const std::size_t at = line.find(mark);
    if (at == std::string_view::npos) continue;
    return read_event(line.substr(at + mark.size()), event);
  }
  return LineKind::noise;
}

}  // namespace

Status read_jepsen_log(std::string_view text, EventReader& reader) {
  std::uint32_t number = 0;
  while (!text.empty()) {
    const std::size_t length = std::min(text.find('\n'), text.size());
    Event event{.line = ++number};
    switch (read_line(text.substr(0, length), event)) {
      case LineKind::noise:
        break;
      case LineKind::damaged:
        return wrong(number, "an event wants PROCESS :TYPE :FUNCTION VALUE");
      case LineKind::event:
        if (const auto status = reader.take(event); !status) return status;
        break;
    }
    text.remove_prefix(std::min(length + 1, text.size()));
  }
  return {};
}

}  // namespace raftkv::linearizability
