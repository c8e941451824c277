// The page around a timeline's data, as one text: style and script are inside, nothing is loaded
// from elsewhere.
#pragma once

#include <string_view>

namespace raftkv::linearizability {

// Holds the marks @TITLE@ and @DATA@ once each.
[[nodiscard]] std::string_view timeline_page();

}  // namespace raftkv::linearizability
