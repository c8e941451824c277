// Logs: one line an event, key=value, to standard error; as text or as JSON.
#pragma once

#include <string>
#include <string_view>

namespace raftkv::app {

// Makes spdlog's default logger write so. Level: debug, info, warn or error.
void set_up_logs(bool json, const std::string& level);

// A value that may hold anything, in double quotes, on one line.
[[nodiscard]] std::string quoted(std::string_view text);

// {"time":…,"level":…,"event":…}: the pairs of a line `key=value other="with blanks"` as members of
// an object; what is no pair becomes the member "message".
[[nodiscard]] std::string json_line(std::string_view time, std::string_view level,
                                    std::string_view line);

}  // namespace raftkv::app
