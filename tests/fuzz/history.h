// What must hold of any history that a reader takes, whatever the bytes were.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "linearizability/readers/reader.h"
#include "src/base/check.h"

namespace raftkv::linearizability {

inline void read_and_check(std::string_view text, Format format, bool independent) {
  auto reading = read_history(text, {.format = format, .independent = independent});
  if (!reading) {
    CHECK(reading.error().message.starts_with("line "));
    return;
  }
  History& history = reading->history;
  CHECK(reading->lines.size() == history.size());
  CHECK(!reading->model.empty());
  Position last = 0;
  for (OperationId id = 0; id < history.size(); ++id) {
    const Operation& operation = history[id];
    CHECK(id == 0 || operation.invoked > last);
    last = operation.invoked;
    CHECK(operation.returned > operation.invoked);
    CHECK(operation.invoked < history.events());
    CHECK((operation.end == End::info) == (operation.returned == kOpen));
    CHECK(reading->lines[id] >= 1);
    CHECK(!history.print(id).empty());
  }
  if (reading->initial) static_cast<void>(read_initial(history, *reading->initial));
}

}  // namespace raftkv::linearizability
