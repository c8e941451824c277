#include "linearizability/readers/json.h"

#include <algorithm>
#include <vector>

namespace raftkv::linearizability {
namespace {

Token bad(std::string_view what) {
  return {.kind = TokenKind::bad, .text = what};
}
bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+' ||
         c == '-' || c == '.';
}

}  // namespace

Token JsonScanner::next() {
  while (!cursor_.done() && static_cast<unsigned char>(*cursor_.at) <= ' ') {
    if (*cursor_.at == '\n') ++cursor_.line;
    ++cursor_.at;
  }
  if (cursor_.done()) return {};
  switch (*cursor_.at) {
    case '{':
      ++cursor_.at;
      return {.kind = TokenKind::open_map};
    case '[':
      ++cursor_.at;
      return {.kind = TokenKind::open_vector};
    case '}':
    case ']':
      return {.kind = TokenKind::close, .text = {cursor_.at++, 1}};
    case ',':
      ++cursor_.at;
      return {.kind = TokenKind::comma};
    case ':':
      ++cursor_.at;
      return {.kind = TokenKind::colon};
    case '"':
      return scan_string(cursor_);
    default:
      return word();
  }
}

Token JsonScanner::word() {
  const char* const first = cursor_.at;
  while (!cursor_.done() && is_word(*cursor_.at)) ++cursor_.at;
  const std::string_view text{first, static_cast<std::size_t>(cursor_.at - first)};
  if (text.empty()) return bad("a character that begins no value");
  if (text == "null") return {.kind = TokenKind::nil, .text = text};
  if (text == "true" || text == "false") {
    return {.kind = TokenKind::boolean, .text = text, .integer = text == "true" ? 1 : 0};
  }
  if (*first == '-' || (*first >= '0' && *first <= '9')) return scan_number(text);
  return bad("a word that is no value");
}

Token JsonScanner::next_key(bool first) {
  Token token = next_element(first);
  if (token.kind == TokenKind::close || token.kind == TokenKind::bad) return token;
  if (token.kind != TokenKind::string) return bad("a member without a name in quotes");
  if (next().kind != TokenKind::colon) return bad("a member's name without a colon after it");
  return token;
}

Token JsonScanner::next_element(bool first) {
  Token token = next();
  if (token.kind == TokenKind::close || token.kind == TokenKind::bad || first) return token;
  if (token.kind != TokenKind::comma) return bad("two values without a comma between them");
  token = next();
  return token.kind == TokenKind::close ? bad("a comma with nothing after it") : token;
}

bool JsonScanner::skip(const Token& first, int depth) {
  if (depth > kDepthMax) return false;
  const bool map = first.kind == TokenKind::open_map;
  if (!map && first.kind != TokenKind::open_vector) {
    return first.kind >= TokenKind::nil && first.kind <= TokenKind::string;
  }
  for (bool begin = true;; begin = false) {
    const Token token = map ? next_key(begin) : next_element(begin);
    if (token.kind == TokenKind::close) return token.text[0] == (map ? '}' : ']');
    if (token.kind == TokenKind::bad || !skip(map ? next() : token, depth + 1)) return false;
  }
}

bool JsonScanner::spell(std::string& out, const Token& first, int depth) {
  if (depth > kDepthMax) return false;
  switch (first.kind) {
    case TokenKind::nil:
      out += "nil";
      return true;
    case TokenKind::integer:
      out += std::to_string(first.integer);
      return true;
    case TokenKind::boolean:
    case TokenKind::number:
      out += first.text;
      return true;
    case TokenKind::string: {
      if (first.plain) {
        out.append("\"").append(first.text).append("\"");
        return true;
      }
      std::string text;
      if (!append_unescaped(text, first)) return false;
      append_quoted(out, text);
      return true;
    }
    case TokenKind::open_vector:
    case TokenKind::open_map:
      break;
    default:
      return false;
  }
  const bool map = first.kind == TokenKind::open_map;
  std::vector<std::string> members;
  while (true) {
    const Token token = map ? next_key(members.empty()) : next_element(members.empty());
    if (token.kind == TokenKind::close) {
      if (token.text[0] != (map ? '}' : ']')) return false;
      break;
    }
    std::string& member = members.emplace_back();
    if (!spell(member, token, depth + 1)) return false;
    if (!map) continue;
    member += ' ';
    if (!spell(member, next(), depth + 1)) return false;
  }
  if (map) std::ranges::sort(members);
  out += map ? '{' : '[';
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (i > 0) out += ' ';
    out += members[i];
  }
  out += map ? '}' : ']';
  return true;
}

}  // namespace raftkv::linearizability
