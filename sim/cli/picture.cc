#include "sim/cli/picture.h"

#include <cstdint>
#include <optional>

#include "linearizability/check.h"
#include "linearizability/model.h"
#include "linearizability/readers/reader.h"
#include "linearizability/timeline/timeline.h"
#include "sim/cli/file.h"
#include "sim/report/page.h"

namespace raftkv::sim::cli {
namespace {

namespace lin = linearizability;

const std::uint64_t kHistoryStepsMax = SimulateOptions().history_steps_max;

// lincheck's page; nullopt where clients did nothing.
std::optional<std::string> history_page(const std::string& history, const std::string& title) {
  const auto reading = lin::read_history(history);
  if (!reading || reading->history.operations().empty()) return std::nullopt;
  lin::Options options;
  options.model = lin::find_model(reading->model);
  options.keep_going = [](const lin::Progress& progress) {
    return progress.steps < kHistoryStepsMax;
  };
  const auto verdict = lin::check(reading->history, options);
  if (!verdict) return std::nullopt;
  std::optional<lin::Explanation> explanation;
  if (verdict->verdict == lin::Verdict::not_linearizable)
    explanation = lin::explain(reading->history, verdict->core, options);
  return lin::render_timeline(
      reading->history, *verdict, explanation, reading->lines,
      {.title = title, .model = reading->model, .note = "what clients of the run saw"});
}

std::string without_ending(std::string path) {
  if (path.ends_with(".html")) path.resize(path.size() - 5);
  return path;
}

}  // namespace

bool write_pages(const std::string& path, const Record& record, const Options& options,
                 const Run& run, const std::string& title, const std::string& reproduce) {
  PageText text{title, reproduce, {}};
  if (const auto page = history_page(run.history, title)) {
    const std::string beside = without_ending(path) + "-history.html";
    if (!write_file(beside, *page)) return false;
    text.history = beside.substr(beside.find_last_of('/') + 1);
  }
  return write_file(path, render_page(record, options, run.failure, text));
}

}  // namespace raftkv::sim::cli
