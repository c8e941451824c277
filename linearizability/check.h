// Judges a history: is there an order of its operations, one at a time, that respects real time and
// that the model could have answered? The verdict comes with its proof. docs/linearizability.md
// argues the algorithms behind it.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "linearizability/history.h"
#include "linearizability/model.h"
#include "src/base/result.h"

namespace raftkv::linearizability {

enum class Verdict : std::uint8_t { linearizable, not_linearizable, unknown };
// "linearizable", "not-linearizable", "unknown".
[[nodiscard]] std::string_view to_string(Verdict verdict);

struct Progress {
  std::uint64_t steps = 0;  // so far, of all searches
  std::uint64_t memory_bytes = 0;
  std::size_t parts_done = 0;
  std::size_t parts = 0;
  std::string_view phase;  // "search" or "core"
};

enum class Algorithm : std::uint8_t {
  automatic,       // by the shape of each part
  zones,           // unique writes (zones.h)
  version_chains,  // the order of writes is in the answers (version_chains.h)
  just_in_time,    // configuration sets (just_in_time.h)
  depth_first,     // (depth_first.h)
};
[[nodiscard]] std::string_view to_string(Algorithm algorithm);

struct Options {
  const Model* model = nullptr;  // required
  Value initial = kUnsaid;       // see Model::machine
  // Forces one algorithm on all parts; where it does not apply the verdict is unknown. For tests
  // and measurements.
  Algorithm algorithm = Algorithm::automatic;
  // The library reads no clock: this is asked every millisecond or so of work; false ends the
  // check, verdict unknown (or, once a violation is certain, with a core that may not be minimal).
  // Empty: never ends.
  std::function<bool(const Progress&)> keep_going = {};
  // What the check may hold besides the history, in bytes; beyond it the verdict is unknown.
  std::uint64_t memory_bytes_max = std::numeric_limits<std::uint64_t>::max();
  bool want_witness = true;
  bool want_core = true;
};

// A sub-history that is not linearizable by itself. Closed under reads-from: a write that was
// dropped went together with all that may have read it.
struct Core {
  std::vector<OperationId> operations;  // ascending
  std::vector<OperationId>
      weakened;  // of these, the ones that count as info though they ended with ok; ascending
  bool minimal = false;  // nothing more can be dropped or weakened; false only if a limit struck
};

// Why a core contradicts the model, told along the events: all ways to go on until the return of
// `failing`, before which one of them would have had to take effect.
struct Explanation {
  struct Contradiction {
    OperationId operation = 0;
    std::string why;  // "read x: 1, but the state is 2"
  };
  struct Possibility {
    std::string state;                    // as the model prints it
    std::vector<OperationId> linearized;  // in order, from the beginning
    std::vector<Contradiction>
        next;  // what has been invoked and not taken effect, and why it cannot
  };
  OperationId failing = 0;
  std::vector<Possibility> possibilities;  // at most kPossibilitiesMax
};
inline constexpr std::size_t kPossibilitiesMax = 32;

struct Report {
  Verdict verdict = Verdict::unknown;
  // linearizable: every ok operation, and those of info that took effect, in an order that respects
  // real time.
  std::vector<OperationId> witness;
  // not_linearizable.
  Core core;
  // unknown: which limit struck. Empty otherwise.
  std::string reason;
  std::uint64_t steps = 0;
  std::uint64_t memory_bytes_max = 0;  // the most that was held at once, by the checker's own count
  std::vector<Algorithm> deciders;     // the algorithms that decided parts, without duplicates
};

// Errors: ErrorCode::invalid if the model does not know a function of the history.
[[nodiscard]] Result<Report> check(const History& history, const Options& options);

// Explains a core (or any short history that is not linearizable) of at most a few hundred
// operations. Ids are those of `history`. Empty possibilities if it is too large to explain.
[[nodiscard]] Explanation explain(const History& history, const Core& core, const Options& options);

}  // namespace raftkv::linearizability
