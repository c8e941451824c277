// A history as a picture: one self-contained page for a browser, a lane per process, a bar from
// each invocation to its return, the witness drawn through them, or the core of a violation and why
// nothing can come next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "linearizability/check.h"
#include "linearizability/history.h"

namespace raftkv::linearizability {

// A page shows at most this many operations: those around the core, else the first ones. It says
// so.
inline constexpr std::size_t kTimelineOperationsMax = 250'000;

struct Timeline {
  std::string_view title;  // the file, the seed
  std::string_view model;
  std::string_view note;  // appended to the summary line
};

// The page. `lines` (by OperationId, may be empty) says where each operation stands in its source;
// `explanation` is that of the report's core, if there is one.
[[nodiscard]] std::string render_timeline(const History& history, const Report& report,
                                          const std::optional<Explanation>& explanation,
                                          std::span<const std::uint32_t> lines,
                                          const Timeline& timeline);

// "cas x 1 → 2: false", without process and end: what stands on a bar, and in the program's output.
[[nodiscard]] std::string label_of(const History& history, OperationId id);

}  // namespace raftkv::linearizability
