// What the scanners of EDN and JSON have in common: a stream of tokens over a text that the caller
// keeps alive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace raftkv::linearizability {

// Nesting deeper than this is refused: a history has no use for it, and reading is recursive.
inline constexpr int kDepthMax = 64;

enum class TokenKind : std::uint8_t {
  end,        // no more input
  bad,        // no token: Token::text says what is wrong
  nil,        // nil, null
  boolean,    // true, false
  integer,    // fits a 64-bit integer: Token::integer
  number,     // any other number, as it is written
  string,     // Token::text is what stands between the quotes; Token::plain: it has no escape in it
  keyword,    // EDN: Token::text is without the colon
  symbol,     // EDN
  character,  // EDN: \c, with the backslash
  tag,        // EDN: #inst, without the #; the value that it belongs to follows
  open_vector,
  open_list,
  open_map,
  open_set,
  close,  // Token::text is the bracket
  comma,  // JSON
  colon,  // JSON
};

struct Token {
  TokenKind kind = TokenKind::end;
  bool plain = true;
  std::string_view text = {};
  std::int64_t integer = 0;
};

// A place in a text, and the number of its line, from 1.
struct Cursor {
  const char* at = nullptr;
  const char* end = nullptr;
  std::uint32_t line = 1;

  explicit Cursor(std::string_view text, std::uint32_t first_line = 1)
      : at(text.data()), end(text.data() + text.size()), line(first_line) {}
  [[nodiscard]] bool done() const { return at == end; }
  [[nodiscard]] std::size_t left() const { return static_cast<std::size_t>(end - at); }
};

// The string token at `cursor`, which stands on the opening quote. A bad token if it never ends.
[[nodiscard]] Token scan_string(Cursor& cursor);

// The token that the characters of a number stand for (an EDN "N" or "M" at the end is understood).
[[nodiscard]] Token scan_number(std::string_view text);

// Appends the text of a string token to `out`, escapes resolved. False if an escape is none that
// EDN or JSON know.
[[nodiscard]] bool append_unescaped(std::string& out, const Token& token);

// Appends `text` in quotes, with the escapes that JSON wants: one spelling for each string.
void append_quoted(std::string& out, std::string_view text);

}  // namespace raftkv::linearizability
