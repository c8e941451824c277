// Small pure functions on text that router, server and client share.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace raftkv::http {

// ASCII letters compare without case; other bytes as they are.
[[nodiscard]] bool equals_ignoring_case(std::string_view a, std::string_view b);
// Without spaces and tabs at either end (OWS of RFC 9110, 5.6.3).
[[nodiscard]] std::string_view trimmed(std::string_view text);
// Cuts `text` at the first `separator`: what stands before it, and leaves what follows; all of it
// if there is none.
[[nodiscard]] std::string_view cut(std::string_view& text, char separator);

// Well-formed UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
[[nodiscard]] bool is_utf8(std::string_view bytes);
// Decodes %XX once. nullopt: a % without two hexadecimal digits.
[[nodiscard]] std::optional<std::string> percent_decoded(std::string_view text);
// Escapes every byte but the unreserved ones of RFC 3986 and '/'.
[[nodiscard]] std::string percent_encoded(std::string_view bytes);
// A path and query that may stand in a request line: starts with '/', only characters of RFC 3986,
// escapes whole.
[[nodiscard]] bool is_origin_form(std::string_view target);
// HOST:PORT with a name, an IPv4 or a bracketed IPv6 address and a port of 1 to 65535 (0 too if
// `any_port`).
[[nodiscard]] bool is_host_and_port(std::string_view address, bool any_port = false);

// Appends `text`, which must be UTF-8, as a JSON string with its quotes.
void append_json_string(std::string& out, std::string_view text);
// The same for text of unknown origin: where it is no UTF-8, bytes above 0x7f become '?'.
void append_json_text(std::string& out, std::string_view text);
// Appends `text` so that it cannot leave its header field: anything but printable ASCII becomes
// '?'.
void append_field_value(std::string& out, std::string_view text);
void append_number(std::string& out, std::uint64_t number);
// Splits "HOST:PORT" at its last colon; a bracketed host loses its brackets. The address must be
// is_host_and_port.
[[nodiscard]] std::pair<std::string, std::string> split_address(std::string_view address);

}  // namespace raftkv::http
