#include "linearizability/check.h"

#include <algorithm>

#include "linearizability/core.h"
#include "linearizability/search/contest.h"
#include "src/base/check.h"

namespace raftkv::linearizability {

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::linearizable:
      return "linearizable";
    case Verdict::not_linearizable:
      return "not-linearizable";
    case Verdict::unknown:
      return "unknown";
  }
  return "?";
}

std::string_view to_string(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::automatic:
      return "automatic";
    case Algorithm::zones:
      return "zones";
    case Algorithm::version_chains:
      return "version-chains";
    case Algorithm::just_in_time:
      return "just-in-time";
    case Algorithm::depth_first:
      return "depth-first";
  }
  return "?";
}

namespace {

// Orders of parts into one of all: each operation takes effect as early as its part's order lets
// it, which is never before its invocation and never after its return; by these moments they
// interleave (Herlihy and Wing 1990, theorem 1).
std::vector<OperationId> merge(const History& history,
                               std::vector<std::vector<OperationId>> orders) {
  if (orders.size() == 1) return std::move(orders[0]);
  std::vector<std::uint32_t> begin(std::size_t{history.events()} + 1, 0);
  const auto each = [&](auto visit) {
    for (const auto& order : orders) {
      Position now = 0;
      for (const OperationId id : order) {
        now = std::max(now, history[id].invoked);
        visit(now, id);
      }
    }
  };
  each([&](Position at, OperationId) { ++begin[at + 1]; });
  for (std::size_t p = 1; p < begin.size(); ++p) begin[p] += begin[p - 1];
  std::vector<OperationId> merged(begin.back());
  each([&](Position at, OperationId id) { merged[begin[at]++] = id; });
  return merged;
}

}  // namespace

Result<Report> check(const History& history, const Options& options) {
  CHECK(options.model != nullptr);
  if (const Status status = options.model->accepts(history); !status) return failure(status);
  Meter meter(options);
  meter.progress().phase = "search";
  const std::vector<Part> parts = options.model->partition(history);
  for (const Part& part : parts) meter.hold(0, part.capacity() * sizeof(OperationId));
  Outcome outcome = judge(history, parts, options, options.want_witness, meter);

  Report report;
  report.verdict = outcome.verdict;
  report.reason = std::move(outcome.reason);
  report.deciders = std::move(outcome.deciders);
  if (report.verdict == Verdict::linearizable && options.want_witness) {
    report.witness = merge(history, std::move(outcome.witnesses));
  }
  if (report.verdict == Verdict::not_linearizable && options.want_core) {
    meter.progress().phase = "core";
    report.core = minimal_core(history, options, outcome, meter);
  }
  report.steps = meter.steps();
  report.memory_bytes_max = meter.most_held();
  return report;
}

}  // namespace raftkv::linearizability
