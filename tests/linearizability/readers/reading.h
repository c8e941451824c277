// Helpers of the reader tests: a history as lines for people, and refusals as their message.
#pragma once

#include <gmock/gmock.h>

#include <string>
#include <string_view>
#include <vector>

#include "linearizability/readers/reader.h"

namespace raftkv::linearizability {

// Each operation as History::print says it, by invocation; or one element "refused: …".
inline std::vector<std::string> lines_of(std::string_view text, const ReadOptions& options = {}) {
  const auto reading = read_history(text, options);
  if (!reading) return {"refused: " + reading.error().message};
  std::vector<std::string> lines;
  for (OperationId id = 0; id < reading->history.size(); ++id)
    lines.push_back(reading->history.print(id));
  return lines;
}

// The message of the refusal, or empty.
inline std::string refusal_of(std::string_view text, const ReadOptions& options = {}) {
  const auto reading = read_history(text, options);
  return reading ? "" : reading.error().message;
}

}  // namespace raftkv::linearizability
