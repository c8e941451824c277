#include "linearizability/readers/token.h"

#include <charconv>
#include <optional>

namespace raftkv::linearizability {
namespace {

void append_utf8(std::string& out, std::uint32_t code) {
  const auto put = [&out](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6);
    put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3f));
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  }
}

// The four hexadecimal digits at `text[at]`.
std::optional<std::uint32_t> hex4(std::string_view text, std::size_t at) {
  if (at + 4 > text.size()) return std::nullopt;
  std::uint32_t code = 0;
  const char* const first = text.data() + at;
  const auto [stop, error] = std::from_chars(first, first + 4, code, 16);
  if (error != std::errc() || stop != first + 4) return std::nullopt;
  return code;
}

// The escape \uXXXX whose digits begin at `at`, with its second half if it is a surrogate; moves
// `at` behind it.
bool append_unicode(std::string& out, std::string_view text, std::size_t& at) {
  const auto high = hex4(text, at);
  if (!high) return false;
  at += 4;
  if (*high < 0xd800 || *high > 0xdfff) {
    append_utf8(out, *high);
    return true;
  }
  if (*high > 0xdbff || text.substr(at, 2) != "\\u") return false;
  const auto low = hex4(text, at + 2);
  if (!low || *low < 0xdc00 || *low > 0xdfff) return false;
  at += 6;
  append_utf8(out, 0x10000 + ((*high - 0xd800) << 10) + (*low - 0xdc00));
  return true;
}

char simple_escape(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case '"':
    case '\\':
    case '/':
      return c;
    default:
      return 0;
  }
}

}  // namespace

Token scan_string(Cursor& cursor) {
  Token token{.kind = TokenKind::string};
  const char* const first = ++cursor.at;
  for (; cursor.at != cursor.end; ++cursor.at) {
    const char c = *cursor.at;
    if (c == '"') {
      token.text = {first, static_cast<std::size_t>(cursor.at - first)};
      ++cursor.at;
      return token;
    }
    if (c == '\\') {
      token.plain = false;
      if (++cursor.at == cursor.end) break;
    }
    if (static_cast<unsigned char>(*cursor.at) < 0x20) token.plain = false;
    if (*cursor.at == '\n') ++cursor.line;
  }
  return {.kind = TokenKind::bad, .text = "a string that never ends"};
}

Token scan_number(std::string_view text) {
  std::string_view digits = text;
  if (digits.starts_with('+')) digits.remove_prefix(1);
  if (digits.size() > 1 && (digits.ends_with('N') || digits.ends_with('M')))
    digits.remove_suffix(1);
  Token token{.kind = TokenKind::integer, .text = text};
  const auto [stop, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), token.integer);
  if (error == std::errc() && stop == digits.data() + digits.size()) return token;
  token.kind = TokenKind::number;
  if (text.ends_with('N')) token.text = digits;  // 1N is 1, however large
  return token;
}

bool append_unescaped(std::string& out, const Token& token) {
  const std::string_view text = token.text;
  if (token.plain) {
    out.append(text);
    return true;
  }
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at++];
    if (c != '\\') {
      out.push_back(c);
      continue;
    }
    if (at == text.size()) return false;
    const char escape = text[at++];
    if (escape == 'u') {
      if (!append_unicode(out, text, at)) return false;
      continue;
    }
    const char plain = simple_escape(escape);
    if (plain == 0) return false;
    out.push_back(plain);
  }
  return true;
}

void append_quoted(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out.push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (c == '\n') {
      out.append("\\n");
    } else if (byte < 0x20) {
      out.append("\\u00");
      out.push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 15]);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

}  // namespace raftkv::linearizability
