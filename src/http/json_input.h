// JSON as this interface takes it: one object whose members are strings. What other parsers forgive
// is refused, because two programs that forgive differently disagree on what was written.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace raftkv::http {

using JsonMembers = std::vector<std::pair<std::string, std::string>>;

// The members in the order of the text, with escapes decoded. The error says in plain words what is
// refused: text that is no JSON (RFC 8259) in well-formed UTF-8, or anything behind it; a value
// that is no object; an empty object; a member twice; a member that is no string; an escape that is
// half of a surrogate pair.
[[nodiscard]] std::expected<JsonMembers, std::string> parse_json_members(std::string_view text);

}  // namespace raftkv::http
