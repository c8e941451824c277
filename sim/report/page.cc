#include "sim/report/page.h"

#include <fmt/format.h>

#include <map>
#include <vector>

#include "sim/report/words.h"

namespace raftkv::sim {
namespace {

// Times are microseconds: finer ones do not show.
std::int64_t us(Instant time) {
  return std::chrono::floor<std::chrono::microseconds>(time).count();
}

// A JSON string that is safe within a script element.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == '<' || c == '>' || c == '&') {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string escaped_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    out += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : std::string(1, c);
  }
  return out;
}

// Texts by number: the same one is there once.
class Texts {
 public:
  std::size_t number(const std::string& text) {
    const auto [at, fresh] = numbers_.try_emplace(text, numbers_.size());
    if (fresh) all_ += (all_.empty() ? "" : ",") + quoted(text);
    return at->second;
  }
  [[nodiscard]] std::string json() const { return "[" + all_ + "]"; }

 private:
  std::map<std::string, std::size_t> numbers_;
  std::string all_;
};

template <typename Range, typename Print>
std::string list(const Range& range, Print print_one) {
  std::string out = "[";
  for (const auto& item : range) {
    if (out.size() > 1) out += ',';
    out += print_one(item);
  }
  return out + "]";
}

// Runs of equal terms: term, count, term, count, …
std::string runs_of(const std::vector<std::uint64_t>& terms) {
  std::string out;
  for (std::size_t i = 0; i < terms.size();) {
    std::size_t end = i;
    while (end < terms.size() && terms[end] == terms[i]) ++end;
    out += fmt::format(",{},{}", terms[i], end - i);
    i = end;
  }
  return out;
}

std::string node_json(const Record::OfNode& node) {
  const auto moment = [](const NodeMoment& m) {
    return fmt::format("[{},{},{},{},{},{},{},{},{},{},{},{}]", us(m.at), static_cast<int>(m.part),
                       (m.paused ? 1 : 0) + (m.promise_lost ? 2 : 0) + (m.disk_fails ? 4 : 0) +
                           (m.disk_damaged ? 8 : 0),
                       m.disk_factor, m.deaf_to, m.mute_to, m.term, m.vote, m.commit, m.applied,
                       m.stable, m.last);
  };
  const auto log = [](const LogMoment& m) {
    return fmt::format("[{},{}{}]", us(m.at), m.keep, runs_of(m.terms));
  };
  return fmt::format("{{\"moments\":{},\n\"logs\":{},\"members\":{}}}", list(node.moments, moment),
                     list(node.logs, log),
                     list(node.members, [](std::uint64_t m) { return fmt::format("{}", m); }));
}

std::string message_json(const MessageMoment& m, Texts& kinds, Texts& texts) {
  const int fate = m.fate == MessageMoment::Fate::lost   ? 1
                   : m.fate == MessageMoment::Fate::held ? 2
                                                         : 0;
  const int flags = fate + (m.again ? 4 : 0) + (m.corrupt ? 8 : 0) + (m.idle ? 16 : 0);
  const std::size_t kind = kinds.number(m.kind);
  const std::size_t text = texts.number(m.text);
  return fmt::format("[{},{},{},{},{},{},{}]", us(m.sent), us(m.arrives), m.from, m.to, flags, kind,
                     text);
}

std::string operation_json(const OperationMoment& operation) {
  return fmt::format("[{},{},{},{},{}]", operation.process, us(operation.invoked),
                     us(operation.returned), static_cast<int>(operation.outcome),
                     quoted(operation.text));
}

std::string action_json(const Action& action) {
  std::string line = print(action);
  line.erase(0, line.find(' ') + 1);
  return fmt::format("[{},{},{},{},{}]", us(action.at), is_operation(action.verb) ? 1 : 0,
                     quoted(line), quoted(explain(action)), quoted(print(action.at)));
}

std::string conditions_json(const Options& options) {
  Options plain = options;
  plain.schedule.clear();
  return quoted(print(plain));
}

std::string failure_json(const std::optional<Failure>& failure) {
  if (!failure) return "null";
  return fmt::format("{{\"invariant\":{},\"what\":{},\"at\":{},\"event\":{}}}",
                     quoted(failure->violation.invariant), quoted(failure->violation.what),
                     us(failure->at), quoted(failure->event));
}

std::string invariants_json() {
  return list(invariant_words(), [](const InvariantWords& words) {
    return fmt::format("[{},{},{}]", quoted(words.id), quoted(words.name), quoted(words.says));
  });
}

// What a reader must know of what is not on the page.
std::string left_out(const Record& record) {
  std::string text;
  if (record.idle_messages_dropped > 0) {
    text +=
        fmt::format("Too many messages for a page: {} heartbeats and their answers are left out. ",
                    record.idle_messages_dropped);
  }
  if (record.messages_dropped > 0) {
    text += fmt::format("Of the others only those from {} on are shown. ",
                        print(std::chrono::floor<std::chrono::milliseconds>(record.messages_from)));
  }
  if (record.indexes_rounded_to > Duration(0)) {
    text += fmt::format("Commit, applied and stable move in steps of {} here. ",
                        print(record.indexes_rounded_to));
  }
  return text;
}

void replace(std::string& text, std::string_view mark, std::string_view with) {
  text.replace(text.find(mark), mark.size(), with);
}

}  // namespace

std::string render_page(const Record& record, const Options& options,
                        const std::optional<Failure>& failure, const PageText& text) {
  Texts kinds;
  Texts texts;
  const std::string messages =
      list(record.messages, [&](const MessageMoment& m) { return message_json(m, kinds, texts); });
  std::string data = fmt::format("{{\"title\":{},\"reproduce\":{},\"history\":{},\n",
                                 quoted(text.title), quoted(text.reproduce), quoted(text.history));
  data += fmt::format("\"end\":{},\"duration\":{},\"lively\":{},\"leftOut\":{},\n", us(record.end),
                      us(options.duration), record.lively, quoted(left_out(record)));
  data += fmt::format("\"failure\":{},\n\"invariants\":{},\n", failure_json(failure),
                      invariants_json());
  data += fmt::format("\"conditions\":{},\n\"actions\":{},\n", conditions_json(options),
                      list(options.schedule, action_json));
  data += fmt::format("\"nodes\":{},\n", list(record.nodes, node_json));
  data += fmt::format("\"operations\":{},\n", list(record.operations, operation_json));
  data += fmt::format("\"kinds\":{},\n\"texts\":{},\n\"messages\":{}}}", kinds.json(), texts.json(),
                      messages);
  std::string page(empty_page());
  replace(page, "@TITLE@", escaped_html(text.title));
  replace(page, "@DATA@", data);
  return page;
}

}  // namespace raftkv::sim
