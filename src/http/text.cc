#include "src/http/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

#include "src/base/check.h"

namespace raftkv::http {
namespace {

constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

constexpr int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

constexpr bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z');
}

constexpr std::array<bool, 256> table_of(std::string_view others) {
  std::array<bool, 256> table{};
  for (int c = 0; c < 128; ++c) table[static_cast<std::size_t>(c)] = is_alnum(static_cast<char>(c));
  for (const char c : others) table[static_cast<unsigned char>(c)] = true;
  return table;
}
constexpr auto kUnreservedOrSlash = table_of("-._~/");
constexpr auto kTargetChars = table_of("-._~!$&'()*+,;=:@/?%");  // '?' after the first one too
constexpr auto kHostChars = table_of("-._");
constexpr auto kIpv6Chars = table_of(":.");

// Everything but control characters, '"' and '\\'.
constexpr std::array<bool, 256> plain_in_json() {
  std::array<bool, 256> table{};
  for (std::size_t c = 0x20; c < table.size(); ++c) table[c] = c != '"' && c != '\\';
  return table;
}
constexpr auto kPlainInJson = plain_in_json();

bool in(const std::array<bool, 256>& table, char c) {
  return table[static_cast<unsigned char>(c)];
}

// The two digits after a '%' at the front of `text`; -1 if they are not there.
int escape_value(std::string_view text) {
  if (text.size() < 3) return -1;
  const int high = hex_value(text[1]);
  const int low = hex_value(text[2]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

// The length of the well-formed sequence at the front of `bytes`, which starts with a byte above
// 0x7f; 0 if there is none. The bounds of the second byte are those of RFC 3629, section 4.
std::size_t utf8_sequence(std::string_view bytes) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned char lead = byte(0);
  std::size_t length = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xbf;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
  }
  if (length == 0 || bytes.size() < length || byte(1) < low || byte(1) > high) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xbf) return 0;
  }
  return length;
}

bool is_port(std::string_view text, bool any) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return !text.empty() && text.size() <= 5 && error == std::errc() &&
         end == text.data() + text.size() && port <= 65535 && (any || port > 0);
}

void append_json_escape(std::string& out, char c) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      out += "\\u00";
      out += kDigits[static_cast<unsigned char>(c) >> 4];
      out += kDigits[static_cast<unsigned char>(c) & 15];
  }
}

}  // namespace

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string_view cut(std::string_view& text, char separator) {
  const std::size_t at = std::min(text.find(separator), text.size());
  const std::string_view before = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return before;
}

bool is_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    std::size_t length = 1;
    if (static_cast<unsigned char>(bytes.front()) > 0x7f) length = utf8_sequence(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

std::optional<std::string> percent_decoded(std::string_view text) {
  const std::size_t plain = text.find('%');
  if (plain == std::string_view::npos) return std::string(text);
  std::string out;
  out.reserve(text.size());
  out.append(text, 0, plain);
  for (std::size_t i = plain; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const int value = escape_value(text.substr(i));
    if (value < 0) return std::nullopt;
    out.push_back(static_cast<char>(value));
    i += 2;
  }
  return out;
}

std::string percent_encoded(std::string_view bytes) {
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : bytes) {
    if (in(kUnreservedOrSlash, c)) {
      out.push_back(c);
    } else {
      out.push_back('%');
      out.push_back(kDigits[static_cast<unsigned char>(c) >> 4]);
      out.push_back(kDigits[static_cast<unsigned char>(c) & 15]);
    }
  }
  return out;
}

bool is_origin_form(std::string_view target) {
  if (!target.starts_with('/')) return false;
  for (std::size_t i = 0; i < target.size(); ++i) {
    if (!in(kTargetChars, target[i])) return false;
    if (target[i] == '%' && escape_value(target.substr(i)) < 0) return false;
  }
  return true;
}

bool is_host_and_port(std::string_view address, bool any_port) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || !is_port(address.substr(colon + 1), any_port))
    return false;
  std::string_view host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']') && host.size() > 2) {
    host = host.substr(1, host.size() - 2);
    return std::ranges::all_of(host, [](char c) { return in(kIpv6Chars, c); });
  }
  return !host.empty() && std::ranges::all_of(host, [](char c) { return in(kHostChars, c); });
}

void append_json_string(std::string& out, std::string_view text) {
  out.push_back('"');
  std::size_t plain = 0;  // everything from here is copied as it is
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in(kPlainInJson, c)) continue;
    out.append(text, plain, i - plain);
    append_json_escape(out, c);
    plain = i + 1;
  }
  out.append(text, plain);
  out.push_back('"');
}

void append_json_text(std::string& out, std::string_view text) {
  if (is_utf8(text)) return append_json_string(out, text);
  std::string ascii(text);
  std::ranges::replace_if(ascii, [](char c) { return static_cast<unsigned char>(c) > 0x7f; }, '?');
  append_json_string(out, ascii);
}

void append_field_value(std::string& out, std::string_view text) {
  const std::size_t at = out.size();
  out.append(text);
  for (char& c : std::span(out).subspan(at)) {
    if (c < 0x20 || c >= 0x7f) c = '?';
  }
}

void append_number(std::string& out, std::uint64_t number) {
  std::array<char, 20> digits;
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  CHECK(error == std::errc());
  out.append(digits.data(), end);
}

std::pair<std::string, std::string> split_address(std::string_view address) {
  CHECK(is_host_and_port(address, true));
  const std::size_t colon = address.rfind(':');
  std::string_view host = address.substr(0, colon);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  return {std::string(host), std::string(address.substr(colon + 1))};
}

}  // namespace raftkv::http
