#include "linearizability/timeline/timeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "linearizability/timeline/page.h"
#include "src/base/check.h"

namespace raftkv::linearizability {
namespace {

constexpr std::size_t kStateSizeMax = 400;  // a state is shown up to so many bytes

// A JSON string that may stand inside <script>: no "</" can occur in it. What is no UTF-8 the
// browser shows as U+FFFD.
void append_string(std::string& out, std::string_view text) {
  out += '"';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == '"' || byte == '\\') {
      out += '\\';
      out += text[i];
    } else if (byte < 0x20 || byte == '<' || byte == '>' || byte == '&') {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    } else {
      out += text[i];
    }
  }
  out += '"';
}

// As much of `text` as `size_max` bytes hold, cut between characters.
std::string shortened(std::string_view text, std::size_t size_max) {
  if (text.size() <= size_max) return std::string(text);
  std::size_t size = size_max;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  return fmt::format("{}… ({} bytes)", text.substr(0, size), text.size());
}

// Texts that are used again and again are written once.
class Pool {
 public:
  std::size_t add(std::string text) {
    const auto [place, fresh] = places_.try_emplace(std::move(text), places_.size());
    if (fresh) order_.push_back(&place->first);
    return place->second;
  }
  void append_to(std::string& out) const {
    out += '[';
    for (std::size_t i = 0; i < order_.size(); ++i) {
      if (i > 0) out += ',';
      append_string(out, *order_[i]);
    }
    out += ']';
  }

 private:
  std::map<std::string, std::size_t> places_;
  std::vector<const std::string*> order_;
};

template <typename T>
void append_column(std::string& out, std::string_view name, const std::vector<T>& column) {
  fmt::format_to(std::back_inserter(out), "\"{}\":[{}]", name, fmt::join(column, ","));
}

class Writer {
 public:
  Writer(const History& history, const Report& report,
         const std::optional<Explanation>& explanation, std::span<const std::uint32_t> lines,
         const Timeline& timeline)
      : history_(history),
        report_(report),
        explanation_(explanation),
        lines_(lines),
        timeline_(timeline) {
    choose();
    timed_ = history_.has_times() && std::ranges::all_of(shown_, [&](OperationId id) {
               return history_.invoke_time(id) &&
                      (history_[id].returned == kOpen || history_.return_time(id));
             });
  }

  std::string data();

 private:
  // Time of an operation's ends, for the picture: nanoseconds if all are known, else the numbers of
  // the events.
  std::int64_t invoked(OperationId id) const {
    return timed_ ? *history_.invoke_time(id) : static_cast<std::int64_t>(history_[id].invoked);
  }
  std::int64_t returned(OperationId id) const {
    return timed_ ? *history_.return_time(id) : static_cast<std::int64_t>(history_[id].returned);
  }
  void choose();
  void measure();
  void write_operations();
  void write_faults();
  void write_witness();
  void write_core();
  void write_next();
  std::string summary() const;
  std::string core_text() const;
  std::optional<std::size_t> place_of(OperationId id) const;

  const History& history_;
  const Report& report_;
  const std::optional<Explanation>& explanation_;
  std::span<const std::uint32_t> lines_;
  const Timeline& timeline_;
  std::vector<OperationId> shown_;  // ascending
  bool timed_ = false;
  std::int64_t first_ = 0;
  std::int64_t last_ = 1;
  Pool keys_;
  std::map<Value, std::int64_t> key_places_;
  std::string out_;
};

// All operations, or a window of them that begins some way before the core; the core in any case.
void Writer::choose() {
  OperationId first = 0;
  const auto& core = report_.core.operations;
  if (history_.size() > kTimelineOperationsMax && !core.empty()) {
    const OperationId last = core.back();
    first = last - std::min<OperationId>(last, kTimelineOperationsMax / 2);
  }
  const auto count = std::min(history_.size() - first, kTimelineOperationsMax);
  for (const OperationId id : core) {
    if (id < first) shown_.push_back(id);
  }
  for (std::size_t i = 0; i < count; ++i) shown_.push_back(first + static_cast<OperationId>(i));
  for (const OperationId id : core) {
    if (id >= first + count) shown_.push_back(id);
  }
}

void Writer::measure() {
  first_ = std::numeric_limits<std::int64_t>::max();
  last_ = std::numeric_limits<std::int64_t>::min();
  for (const OperationId id : shown_) {
    first_ = std::min(first_, invoked(id));
    last_ = std::max(last_, history_[id].returned == kOpen ? invoked(id) : returned(id));
  }
  if (shown_.empty()) first_ = last_ = 0;
  // Room behind the last event, so that an open end is seen to go on.
  last_ += 1 + (last_ - first_) / 50;
}

std::optional<std::size_t> Writer::place_of(OperationId id) const {
  const auto found = std::ranges::lower_bound(shown_, id);
  if (found == shown_.end() || *found != id) return std::nullopt;
  return static_cast<std::size_t>(found - shown_.begin());
}

std::string Writer::data() {
  measure();
  out_ = "{\"file\":";
  append_string(out_, timeline_.title);
  out_ += ",\"verdict\":";
  append_string(out_, to_string(report_.verdict));
  out_ += ",\"summary\":";
  append_string(out_, summary());
  // Times are written relative to the first: a double holds them exactly.
  fmt::format_to(std::back_inserter(out_), ",\"unit\":\"{}\",\"first\":{},\"last\":{}",
                 timed_ ? "ns" : "event", timed_ ? 0 : first_, timed_ ? last_ - first_ : last_);
  write_operations();
  write_faults();
  write_witness();
  write_core();
  out_ += '}';
  return std::move(out_);
}

void Writer::write_operations() {
  std::map<std::uint32_t, std::size_t> lanes;
  for (const OperationId id : shown_) lanes.emplace(history_[id].process, 0);
  std::vector<std::string> names;
  for (auto& [process, lane] : lanes) {
    lane = names.size();
    names.push_back(fmt::format("\"{}\"", process));
  }
  const std::int64_t origin = timed_ ? first_ : 0;
  Pool labels;
  std::vector<std::int64_t> process, invoke, back, end, label, key, line;
  for (const OperationId id : shown_) {
    const Operation& operation = history_[id];
    process.push_back(static_cast<std::int64_t>(lanes[operation.process]));
    invoke.push_back(invoked(id) - origin);
    back.push_back(operation.returned == kOpen ? -1 : returned(id) - origin);
    end.push_back(static_cast<std::int64_t>(operation.end));
    label.push_back(static_cast<std::int64_t>(labels.add(label_of(history_, id))));
    line.push_back(id < lines_.size() ? lines_[id] : id);
    if (operation.key == kUnsaid) {
      key.push_back(-1);
    } else {
      const auto [place, fresh] = key_places_.try_emplace(operation.key, 0);
      if (fresh)
        place->second =
            static_cast<std::int64_t>(keys_.add(history_.values().print(operation.key)));
      key.push_back(place->second);
    }
  }
  fmt::format_to(std::back_inserter(out_), ",\"processes\":[{}],\"ops\":{{", fmt::join(names, ","));
  append_column(out_, "process", process);
  append_column(out_ += ',', "invoke", invoke);
  append_column(out_ += ',', "return", back);
  append_column(out_ += ',', "end", end);
  append_column(out_ += ',', "label", label);
  append_column(out_ += ',', "key", key);
  append_column(out_ += ',', "line", line);
  out_ += "},\"labels\":";
  labels.append_to(out_);
  out_ += ",\"keys\":";
  keys_.append_to(out_);
}

void Writer::write_faults() {
  out_ += ",\"faults\":[";
  bool begun = false;
  for (const Fault& fault : history_.faults()) {
    if (timed_ && !fault.from_ns) continue;
    const std::int64_t from =
        timed_ ? *fault.from_ns - first_ : static_cast<std::int64_t>(fault.from);
    std::int64_t to = -1;
    if (timed_ && fault.to_ns) to = *fault.to_ns - first_;
    if (!timed_ && fault.to != kOpen) to = static_cast<std::int64_t>(fault.to);
    if (std::exchange(begun, true)) out_ += ',';
    out_ += "{\"name\":";
    append_string(out_, fault.name);
    fmt::format_to(std::back_inserter(out_), ",\"from\":{},\"to\":{}}}", from, to);
  }
  out_ += ']';
}

void Writer::write_witness() {
  std::vector<std::size_t> places;
  places.reserve(report_.witness.size());
  for (const OperationId id : report_.witness) {
    if (const auto place = place_of(id)) places.push_back(*place);
  }
  append_column(out_ += ',', "witness", places);
}

void Writer::write_core() {
  const Core& core = report_.core;
  if (core.operations.empty()) {
    out_ += ",\"core\":null";
    return;
  }
  out_ += ",\"core\":{\"text\":";
  append_string(out_, core_text());
  out_ += ",\"ops\":[";
  Value key = history_[core.operations[0]].key;
  for (const OperationId id : core.operations) {
    if (history_[id].key != key) key = kUnsaid;
    if (id != core.operations[0]) out_ += ',';
    fmt::format_to(std::back_inserter(out_), "{{\"op\":{},\"weakened\":{}}}", *place_of(id),
                   std::ranges::binary_search(core.weakened, id));
  }
  fmt::format_to(std::back_inserter(out_), "],\"key\":{}",
                 key == kUnsaid ? -1 : key_places_.at(key));
  write_next();
  out_ += '}';
}

// The states before the contradiction, each once, and by operation the reasons why it cannot be
// next.
void Writer::write_next() {
  Pool states;
  std::map<OperationId, Pool> reasons;
  if (explanation_) {
    for (const Explanation::Possibility& possibility : explanation_->possibilities) {
      states.add(shortened(possibility.state, kStateSizeMax));
      for (const auto& next : possibility.next)
        reasons[next.operation].add(shortened(next.why, kStateSizeMax));
    }
  }
  out_ += ",\"states\":";
  states.append_to(out_);
  out_ += ",\"next\":[";
  bool begun = false;
  for (const auto& [id, why] : reasons) {
    const auto place = place_of(id);
    if (!place) continue;
    if (std::exchange(begun, true)) out_ += ',';
    fmt::format_to(std::back_inserter(out_), "{{\"op\":{},\"why\":", *place);
    why.append_to(out_);
    out_ += '}';
  }
  out_ += ']';
}

std::string Writer::summary() const {
  std::string text = fmt::format("{} operations, model {}", history_.size(), timeline_.model);
  if (shown_.size() < history_.size()) {
    fmt::format_to(std::back_inserter(text), ", {} of them shown{}", shown_.size(),
                   report_.core.operations.empty() ? ": the first" : ": those around the core");
  }
  if (!report_.reason.empty()) text += ", " + report_.reason;
  if (!timeline_.note.empty()) fmt::format_to(std::back_inserter(text), ", {}", timeline_.note);
  return text;
}

std::string Writer::core_text() const {
  const Core& core = report_.core;
  std::string text = core.minimal
                         ? "Nothing can be dropped from it without the contradiction going away."
                         : "A limit struck before all that can be dropped was dropped.";
  if (explanation_ && !explanation_->possibilities.empty()) {
    const OperationId failing = explanation_->failing;
    text += fmt::format(
        " When “{}” of process {} returned{}, it must have taken effect. But whatever the order "
        "of the operations before "
        "it, they lead to {}, and no operation that was under way then can lead on to this answer.",
        label_of(history_, failing), history_[failing].process,
        failing < lines_.size() ? fmt::format(" (line {})", lines_[failing]) : "",
        explanation_->possibilities.size() == 1 ? "the state below" : "one of the states below");
  }
  return text;
}

}  // namespace

std::string label_of(const History& history, OperationId id) {
  const Operation& operation = history[id];
  const ValueTable& values = history.values();
  const auto shown = [&values](Value value) { return shortened(values.print(value), 120); };
  std::string text(to_string(operation.function));
  if (operation.key != kUnsaid) text += " " + shown(operation.key);
  if (operation.function == Function::read_all) {
    if (operation.result == kNil) return text;
    text += ": {";
    for (const Step& step : history.steps(operation)) text += " " + shown(step.value);
    return shortened(text + " }", 400);
  }
  if (operation.function == Function::transaction) {
    for (const Step& step : history.steps(operation)) {
      fmt::format_to(std::back_inserter(text), " [{} {} {}]", to_string(step.function),
                     shown(step.key), shown(step.value));
    }
    return shortened(text, 400);
  }
  if (operation.function == Function::cas) {
    text += fmt::format(" {} → {}", shown(operation.expected), shown(operation.argument));
  } else if (operation.argument != kUnsaid) {
    text += " " + shown(operation.argument);
  }
  if (operation.end == End::ok && operation.result != kUnsaid &&
      !(operation.function == Function::cas && operation.result == Value::boolean(true))) {
    text += ": " + shown(operation.result);
  }
  return text;
}

std::string render_timeline(const History& history, const Report& report,
                            const std::optional<Explanation>& explanation,
                            std::span<const std::uint32_t> lines, const Timeline& timeline) {
  const std::string data = Writer(history, report, explanation, lines, timeline).data();
  const std::string_view page = timeline_page();
  const std::size_t title = page.find("@TITLE@");
  const std::size_t place = page.find("@DATA@");
  CHECK(title < place && place != std::string_view::npos);
  std::string out;
  out.reserve(page.size() + data.size() + timeline.title.size());
  out += page.substr(0, title);
  for (const char c : timeline.title) {
    if (c == '<' || c == '&')
      out += c == '<' ? "&lt;" : "&amp;";
    else
      out += c;
  }
  out += page.substr(title + 7, place - title - 7);
  out += data;
  return out += page.substr(place + 6);
}

}  // namespace raftkv::linearizability
