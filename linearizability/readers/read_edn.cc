// Events as EDN maps, in a vector or list or simply one after the other:
//
//   {:process 3, :type :invoke, :f :cas, :value [0 2]}
//   #jepsen.history.Op{:index 1, :time 3291, :type :info, :process :nemesis, :f :start, :value nil}
//
// Keys that mean nothing here are passed over.
#include <utility>

#include "linearizability/readers/events.h"

namespace raftkv::linearizability {
namespace {

std::optional<EventType> find_type(std::string_view name) {
  if (name == "invoke") return EventType::invoke;
  if (name == "ok") return EventType::ok;
  if (name == "fail") return EventType::fail;
  if (name == "info") return EventType::info;
  return std::nullopt;
}

class MapReader {
 public:
  MapReader(EdnScanner& scanner, std::uint32_t line) : scanner_(scanner), line_(line) {}

  // The map whose bracket was just read.
  Result<Event> read() {
    event_.line = line_;
    while (true) {
      const Token name = scanner_.next();
      if (name.kind == TokenKind::close && name.text[0] == '}') break;
      if (name.kind != TokenKind::keyword) {
        if (!scanner_.skip(name)) return wrong(scanner_.line(), "a map that does not end well");
        if (!scanner_.skip(scanner_.next()))
          return wrong(scanner_.line(), "a map that does not end well");
        continue;
      }
      if (const Status status = member(name.text); !status) return failure(status);
    }
    if (!typed_) return wrong(line_, "an event without :type");
    if (!owned_) return wrong(line_, "an event without :process");
    if (event_.function.empty()) return wrong(line_, "an event without :f");
    return event_;
  }

 private:
  Status member(std::string_view name) {
    if (!scanner_.skip_blank()) return wrong(scanner_.line(), "a #_ without a value that ends");
    const std::string_view rest = scanner_.rest();
    const Token token = scanner_.next();
    if (name == "process") return process(token);
    if (name == "type") return type(token);
    if (name == "f") {
      if (token.kind != TokenKind::keyword) return wrong(scanner_.line(), ":f wants a keyword");
      event_.function = token.text;
      return {};
    }
    if (name == "time" && token.kind == TokenKind::integer) {
      event_.time_ns = token.integer;
      return {};
    }
    if (!scanner_.skip(token)) return wrong(scanner_.line(), "a value that does not end well");
    const std::string_view text = rest.substr(0, rest.size() - scanner_.rest().size());
    if (name == "value") event_.value = text;
    if (name == "key") event_.key = text;
    return {};
  }

  Status process(const Token& token) {
    owned_ = true;
    if (token.kind == TokenKind::keyword) return {};  // :nemesis
    if (token.kind != TokenKind::integer || token.integer < 0 || token.integer > kProcessMax) {
      return wrong(scanner_.line(), ":process wants a number from 0, or :nemesis");
    }
    event_.process = static_cast<std::uint32_t>(token.integer);
    return {};
  }

  Status type(const Token& token) {
    const auto found = token.kind == TokenKind::keyword ? find_type(token.text) : std::nullopt;
    if (!found) return wrong(scanner_.line(), ":type wants :invoke, :ok, :fail or :info");
    event_.type = *found;
    typed_ = true;
    return {};
  }

  EdnScanner& scanner_;
  std::uint32_t line_;
  Event event_;
  bool typed_ = false;
  bool owned_ = false;
};

Status read_events(EdnScanner& scanner, EventReader& reader, std::string_view closer) {
  while (true) {
    if (!scanner.skip_blank()) return wrong(scanner.line(), "a #_ without a value that ends");
    const std::uint32_t line = scanner.line();
    Token token = scanner.next();
    for (int depth = 0; token.kind == TokenKind::tag && depth < kDepthMax; ++depth)
      token = scanner.next();
    if (token.kind == TokenKind::end && closer.empty()) return {};
    if (token.kind == TokenKind::end) return wrong(line, "the collection does not end");
    if (token.kind == TokenKind::close && token.text == closer) return {};
    if (token.kind != TokenKind::open_map) {
      return wrong(line, token.kind == TokenKind::bad
                             ? token.text
                             : "an event is a map: {:process 0, :type :invoke, …}");
    }
    const auto event = MapReader(scanner, line).read();
    if (!event) return failure(event);
    if (const Status status = reader.take(*event); !status) return status;
  }
}

}  // namespace

Status read_edn(std::string_view text, EventReader& reader) {
  EdnScanner scanner(text);
  if (!scanner.skip_blank()) return wrong(scanner.line(), "a #_ without a value that ends");
  if (!scanner.rest().starts_with('[') && !scanner.rest().starts_with('(')) {
    return read_events(scanner, reader, {});
  }
  const Token open = scanner.next();
  if (const Status status =
          read_events(scanner, reader, open.kind == TokenKind::open_list ? ")" : "]");
      !status) {
    return status;
  }
  if (scanner.next().kind != TokenKind::end)
    return wrong(scanner.line(), "something stands behind the collection");
  return {};
}

}  // namespace raftkv::linearizability
