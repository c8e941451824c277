// Values of a history from tokens of EDN or JSON.
#pragma once

#include <optional>
#include <string>

#include "linearizability/history.h"
#include "linearizability/readers/token.h"

namespace raftkv::linearizability {

// The value that begins with `first`, interned; the scanner stands behind it afterwards. Nothing if
// it is none. What is no nil, truth value, integer or text is a symbol, spelled in one way only.
template <typename Scanner>
[[nodiscard]] std::optional<Value> to_value(ValueTable& values, Scanner& scanner,
                                            const Token& first) {
  switch (first.kind) {
    case TokenKind::nil:
      return kNil;
    case TokenKind::boolean:
      return Value::boolean(first.integer != 0);
    case TokenKind::integer:
      return values.integer(first.integer);
    case TokenKind::string: {
      if (first.plain) return values.text(first.text);
      std::string text;
      if (!append_unescaped(text, first)) return std::nullopt;
      return values.text(text);
    }
    default:
      break;
  }
  std::string spelled;
  if (!scanner.spell(spelled, first)) return std::nullopt;
  return values.symbol(spelled);
}

}  // namespace raftkv::linearizability
