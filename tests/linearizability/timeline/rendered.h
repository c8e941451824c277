// Renders the page of a history that is given in the own form, judged as the program would.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>

#include "linearizability/check.h"
#include "linearizability/readers/reader.h"
#include "linearizability/timeline/timeline.h"
#include "src/base/check.h"

namespace raftkv::linearizability {

inline std::string rendered(std::string_view text, std::string_view title = "test") {
  const auto reading = read_history(text);
  CHECK(reading.has_value());
  Options options;
  options.model = find_model(reading->model);
  const auto report = check(reading->history, options);
  CHECK(report.has_value());
  std::optional<Explanation> explanation;
  if (report->verdict == Verdict::not_linearizable) {
    explanation = explain(reading->history, report->core, options);
  }
  return render_timeline(reading->history, *report, explanation, reading->lines,
                         {.title = title, .model = reading->model, .note = {}});
}

// The data inside a page.
inline std::string text_of_data(const std::string& page) {
  const std::string_view begin = "<script type=\"application/json\" id=\"history\">";
  const std::size_t first = page.find(begin) + begin.size();
  return page.substr(first, page.find("</script>", first) - first);
}
inline boost::json::object data_of(const std::string& page) {
  return boost::json::parse(text_of_data(page)).as_object();
}

}  // namespace raftkv::linearizability
