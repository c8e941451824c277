// The JSON that answers consist of (design, section 7; docs/api.md).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "src/replica/request.h"

namespace raftkv::http {

[[nodiscard]] std::string render_written(const replica::Written& written, bool deletes);
// `key` and `value` must be UTF-8.
[[nodiscard]] std::string render_value(std::string_view key, std::string_view value);
[[nodiscard]] std::string render_members(const replica::Members& members);
[[nodiscard]] std::string render_joined(const replica::Joined& joined);
[[nodiscard]] std::string render_index(replica::Index index);
[[nodiscard]] std::string render_transferred(const replica::Transferred& transferred);
[[nodiscard]] std::string render_status(const replica::NodeStatus& status,
                                        const std::optional<replica::LeaderHint>& leader,
                                        std::string_view version);

}  // namespace raftkv::http
