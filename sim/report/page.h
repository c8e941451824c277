// The page of a run: one self-contained text for a browser.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sim/report/recorder.h"
#include "sim/simulate.h"

namespace raftkv::sim {

struct PageText {
  std::string title;      // "seed 7", the file's name
  std::string reproduce;  // the command
  std::string history;    // a page of lincheck's beside this one, by its file name; empty: none
};

[[nodiscard]] std::string render_page(const Record& record, const Options& options,
                                      const std::optional<Failure>& failure, const PageText& text);

// The page without its data. Holds the marks @TITLE@ and @DATA@ once each.
[[nodiscard]] std::string_view empty_page();

}  // namespace raftkv::sim
