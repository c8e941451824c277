// explain() of check.h.
#include <fmt/format.h>

#include <algorithm>

#include "linearizability/check.h"
#include "linearizability/search/just_in_time.h"
#include "linearizability/search/timeline.h"

namespace raftkv::linearizability {

namespace {

constexpr std::size_t kOperationsToExplainMax = 2000;
constexpr std::uint64_t kStepsMax = 1u << 18;
constexpr std::uint64_t kMemoryMax = 1u << 30;

Explanation explain_part(const History& core, const Part& part, const Options& options) {
  Explanation out;
  const std::unique_ptr<Machine> machine = options.model->machine(core, part, options.initial);
  Patience patience;
  const Timeline timeline(core, *options.model, part, *machine, machine->needs(part), patience);
  JustInTime search(timeline, *machine, true);
  if (search.run(kStepsMax, kMemoryMax) != Search::State::not_linearizable) return out;
  out.failing = timeline.operation(search.failing()).id;
  search.each_possibility([&](std::span<const Word> state, std::span<const OperationId> path) {
    if (out.possibilities.size() >= kPossibilitiesMax) return;
    Explanation::Possibility& possibility = out.possibilities.emplace_back();
    possibility.state = machine->print(state);
    possibility.linearized.assign(path.begin(), path.end());
    for (const OperationId id : part) {
      if (core[id].invoked >= core[out.failing].returned) break;
      if (std::ranges::find(path, id) != path.end()) continue;
      std::vector<Word> next(state.begin(), state.end());
      if (machine->step(next, id)) continue;
      possibility.next.push_back({id, fmt::format("\"{}\" cannot be where the state is {}",
                                                  core.print(id), possibility.state)});
    }
  });
  return out;
}

}  // namespace

Explanation explain(const History& history, const Core& core, const Options& options) {
  if (core.operations.size() > kOperationsToExplainMax) return {};
  const History small = history.restricted_to(core.operations, core.weakened);
  for (const Part& part : options.model->partition(small)) {
    Explanation out = explain_part(small, part, options);
    if (out.possibilities.empty()) continue;
    const auto name = [&](OperationId& id) { id = core.operations[id]; };
    name(out.failing);
    for (Explanation::Possibility& possibility : out.possibilities) {
      for (OperationId& id : possibility.linearized) name(id);
      for (Explanation::Contradiction& contradiction : possibility.next)
        name(contradiction.operation);
    }
    return out;
  }
  return {};
}

}  // namespace raftkv::linearizability
