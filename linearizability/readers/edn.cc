#include "linearizability/readers/edn.h"

#include <algorithm>
#include <array>
#include <vector>

namespace raftkv::linearizability {
namespace {

// The characters that end a symbol, keyword or number.
constexpr auto kEndsWord = [] {
  std::array<bool, 256> ends{};
  for (int c = 0; c <= 0x20; ++c) ends[static_cast<std::size_t>(c)] = true;
  for (const char c : {',', '"', ';', '(', ')', '[', ']', '{', '}', '\\', '@', '^', '`', '~'}) {
    ends[static_cast<unsigned char>(c)] = true;
  }
  return ends;
}();

bool ends_word(char c) {
  return kEndsWord[static_cast<unsigned char>(c)];
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
Token bad(std::string_view what) {
  return {.kind = TokenKind::bad, .text = what};
}
char closer(TokenKind open) {
  return open == TokenKind::open_vector ? ']' : open == TokenKind::open_list ? ')' : '}';
}
bool is_open(TokenKind kind) {
  return kind >= TokenKind::open_vector && kind <= TokenKind::open_set;
}

}  // namespace

bool EdnScanner::skip_blank() {
  while (!cursor_.done()) {
    const char c = *cursor_.at;
    if (c == '\n') {
      ++cursor_.line;
      ++cursor_.at;
    } else if (static_cast<unsigned char>(c) <= ' ' || c == ',') {
      ++cursor_.at;
    } else if (c == ';') {
      while (!cursor_.done() && *cursor_.at != '\n') ++cursor_.at;
    } else if (c == '#' && cursor_.left() > 1 && cursor_.at[1] == '_') {
      cursor_.at += 2;
      if (++discards_ > kDepthMax) return false;
      const Token token =
          next();  // a discard in front of it is skipped first, as the format wants it
      if (!skip(token, discards_)) return false;
      --discards_;
    } else {
      return true;
    }
  }
  return true;
}

Token EdnScanner::next() {
  if (!skip_blank()) return bad("a #_ without a value that ends");
  if (cursor_.done()) return {};
  const char c = *cursor_.at;
  switch (c) {
    case '{':
      ++cursor_.at;
      return {.kind = TokenKind::open_map};
    case '[':
      ++cursor_.at;
      return {.kind = TokenKind::open_vector};
    case '(':
      ++cursor_.at;
      return {.kind = TokenKind::open_list};
    case '}':
    case ']':
    case ')':
      return {.kind = TokenKind::close, .text = {cursor_.at++, 1}};
    case '"':
      return scan_string(cursor_);
    case '#':
      return dispatch();
    default:
      return word();
  }
}

// What a # begins: a set, a symbolic number (##Inf), or a tag.
Token EdnScanner::dispatch() {
  ++cursor_.at;
  if (cursor_.done()) return bad("a # at the end");
  if (*cursor_.at == '{') {
    ++cursor_.at;
    return {.kind = TokenKind::open_set};
  }
  const bool number = *cursor_.at == '#';
  if (number) ++cursor_.at;
  const char* const first = cursor_.at;
  while (!cursor_.done() && !ends_word(*cursor_.at)) ++cursor_.at;
  const std::string_view text{first, static_cast<std::size_t>(cursor_.at - first)};
  if (text.empty()) return bad("a # that begins nothing");
  return {.kind = number ? TokenKind::number : TokenKind::tag, .text = text};
}

Token EdnScanner::word() {
  const char* const first = cursor_.at;
  if (*first ==
      '\\') {  // a character: the backslash, any one character, and what follows of its name
    ++cursor_.at;
    if (cursor_.done()) return bad("a backslash at the end");
    if (*cursor_.at == '\n') ++cursor_.line;
    ++cursor_.at;
  }
  while (!cursor_.done() && !ends_word(*cursor_.at)) ++cursor_.at;
  const std::string_view text{first, static_cast<std::size_t>(cursor_.at - first)};
  if (text.empty()) return bad("a character that begins no value");
  if (*first == ':') {
    return text.size() == 1 ? bad("a colon without a name")
                            : Token{.kind = TokenKind::keyword, .text = text.substr(1)};
  }
  if (*first == '\\') return {.kind = TokenKind::character, .text = text};
  if (is_digit(*first) ||
      (text.size() > 1 && (*first == '-' || *first == '+') && is_digit(first[1]))) {
    return scan_number(text);
  }
  if (text == "nil") return {.kind = TokenKind::nil, .text = text};
  if (text == "true" || text == "false") {
    return {.kind = TokenKind::boolean, .text = text, .integer = text == "true" ? 1 : 0};
  }
  return {.kind = TokenKind::symbol, .text = text};
}

bool EdnScanner::skip(const Token& first, int depth) {
  if (depth > kDepthMax) return false;
  if (first.kind == TokenKind::tag) return skip(next(), depth + 1);
  if (!is_open(first.kind)) {
    return first.kind != TokenKind::end && first.kind != TokenKind::bad &&
           first.kind != TokenKind::close;
  }
  while (true) {
    const Token token = next();
    if (token.kind == TokenKind::close) return token.text[0] == closer(first.kind);
    if (!skip(token, depth + 1)) return false;
  }
}

bool EdnScanner::spell(std::string& out, const Token& first, int depth) {
  if (depth > kDepthMax) return false;
  switch (first.kind) {
    case TokenKind::nil:
      out += "nil";
      return true;
    case TokenKind::integer:
      out += std::to_string(first.integer);
      return true;
    case TokenKind::keyword:
      out.append(":").append(first.text);
      return true;
    case TokenKind::boolean:
    case TokenKind::number:
    case TokenKind::symbol:
    case TokenKind::character:
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
    case TokenKind::tag:
      out.append("#").append(first.text).append(" ");
      return spell(out, next(), depth + 1);
    case TokenKind::open_vector:
    case TokenKind::open_list:
      return spell_sequence(out, first, depth);
    case TokenKind::open_set:
    case TokenKind::open_map:
      return spell_sorted(out, first, depth);
    default:
      return false;
  }
}

// A list is spelled as a vector: EDN calls them equal.
bool EdnScanner::spell_sequence(std::string& out, const Token& first, int depth) {
  out += '[';
  for (bool begun = false;; begun = true) {
    const Token token = next();
    if (token.kind == TokenKind::close) {
      out += ']';
      return token.text[0] == closer(first.kind);
    }
    if (begun) out += ' ';
    if (!spell(out, token, depth + 1)) return false;
  }
}

bool EdnScanner::spell_sorted(std::string& out, const Token& first, int depth) {
  const bool map = first.kind == TokenKind::open_map;
  std::vector<std::string> members;
  while (true) {
    Token token = next();
    if (token.kind == TokenKind::close) {
      if (token.text[0] != '}') return false;
      break;
    }
    std::string& member = members.emplace_back();
    if (!spell(member, token, depth + 1)) return false;
    if (!map) continue;
    member += ' ';
    if (!spell(member, next(), depth + 1)) return false;
  }
  std::ranges::sort(members);
  out += map ? "{" : "#{";
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (i > 0) out += ' ';
    out += members[i];
  }
  out += '}';
  return true;
}

}  // namespace raftkv::linearizability
