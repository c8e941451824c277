// The checker against all orders, on small random histories with unknown ends: a hundred thousand
// for each model (fewer under a sanitizer).
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>

#include "linearizability/check.h"
#include "linearizability/core.h"
#include "linearizability/verify.h"
#include "tests/linearizability/random_history.h"

namespace raftkv::linearizability {
namespace {

using Tape = std::vector<std::uint8_t>;

// RC_ASSERT wants to throw; a plain failure shows the history.
[[nodiscard]] std::string print(const History& history) {
  std::string out = "\n";
  for (OperationId id = 0; id < history.size(); ++id) {
    out += std::to_string(history[id].invoked) + ".." +
           (history[id].returned == kOpen ? "" : std::to_string(history[id].returned)) + " " +
           history.print(id) + "\n";
  }
  return out;
}

template <typename Law>
void holds_for(int histories, Law law) {
  rc::detail::TestParams params;
  params.seed = 20250611;
  params.maxSuccess = histories;
  params.maxSize = 160;
  const auto result = rc::detail::checkTestable(law, rc::detail::TestMetadata(), params);
  EXPECT_TRUE(result.template is<rc::detail::SuccessResult>()) << [&] {
    std::ostringstream out;
    rc::detail::printResultMessage(result, out);
    return out.str();
  }();
}

Report checked(const History& history, const Options& options) {
  Result<Report> report = check(history, options);
  RC_ASSERT(report.has_value());
  return *report;
}

History restricted(const History& history, const Core& core) {
  return history.restricted_to(core.operations, core.weakened);
}

Verdict verdict_of(const History& history, Options options) {
  options.want_core = options.want_witness = false;
  return checked(history, options).verdict;
}

// No single operation can be dropped from the core (with its readers), or weakened.
void expect_minimal(const History& history, const Core& core, const Options& options) {
  const History small = restricted(history, core);
  RC_ASSERT(core.minimal);
  RC_ASSERT(verdict_of(small, options) == Verdict::not_linearizable);
  std::vector<OperationId> all(small.size());
  for (OperationId id = 0; id < small.size(); ++id) all[id] = id;
  for (OperationId id = 0; id < small.size(); ++id) {
    const OperationId seed[] = {id};
    const std::vector<OperationId> gone = with_readers(small, *options.model, seed);
    std::vector<OperationId> kept;
    std::set_difference(all.begin(), all.end(), gone.begin(), gone.end(), std::back_inserter(kept));
    RC_ASSERT(verdict_of(small.restricted_to(kept), options) == Verdict::linearizable);
    if (small[id].end == End::ok) {
      RC_ASSERT(verdict_of(small.restricted_to(all, seed), options) == Verdict::linearizable);
    }
  }
}

class EveryModel : public testing::TestWithParam<std::string_view> {};

TEST_P(EveryModel, AgreesWithAllOrders) {
  const Model& model = *find_model(GetParam());
  int linearizable = 0, violated = 0;
  holds_for(RAFTKV_RANDOM_HISTORIES, [&](const Tape& tape) {
    const History history = random_history(GetParam(), tape);
    RC_LOG() << print(history);
    const bool fits = some_order_fits(history, model, kUnsaid);
    (fits ? linearizable : violated) += 1;
    const Options options{.model = &model};
    const Report report = checked(history, options);
    RC_ASSERT(report.verdict == (fits ? Verdict::linearizable : Verdict::not_linearizable));
    if (fits) {
      const Status status = verify_witness(history, GetParam(), kUnsaid, report.witness);
      RC_ASSERT(status.has_value());
    } else {
      expect_minimal(history, report.core, options);
    }
    for (const Algorithm algorithm : {Algorithm::zones, Algorithm::version_chains,
                                      Algorithm::just_in_time, Algorithm::depth_first}) {
      Options one = options;
      one.algorithm = algorithm;
      one.want_core = false;
      const Report other = checked(history, one);
      const bool search =
          algorithm == Algorithm::just_in_time || algorithm == Algorithm::depth_first;
      RC_ASSERT((!search && other.verdict == Verdict::unknown) || other.verdict == report.verdict);
      if (other.verdict == Verdict::linearizable) {
        RC_ASSERT(verify_witness(history, GetParam(), kUnsaid, other.witness).has_value());
      }
    }
  });
  // The histories are worth something only if both kinds are common.
  EXPECT_GT(linearizable, RAFTKV_RANDOM_HISTORIES / 5);
  EXPECT_GT(violated, RAFTKV_RANDOM_HISTORIES / 20);
}

// All orders, judged by the verifier alone: its idea of the model is its own.
TEST_P(EveryModel, AgreesWithTheVerifier) {
  const Model& model = *find_model(GetParam());
  holds_for(RAFTKV_RANDOM_HISTORIES / 20, [&](const Tape& tape) {
    const History history = random_history(GetParam(), tape);
    RC_LOG() << print(history);
    const bool fits = some_order_verifies(history, GetParam(), kUnsaid);
    RC_ASSERT(verdict_of(history, {.model = &model}) ==
              (fits ? Verdict::linearizable : Verdict::not_linearizable));
  });
}

// What a core may leave out never makes a linearizable history look wrong: so a core proves
// something.
TEST_P(EveryModel, LosesNothingToCores) {
  const Model& model = *find_model(GetParam());
  holds_for(RAFTKV_RANDOM_HISTORIES / 5, [&](const Tape& tape) {
    const History history = random_history(GetParam(), tape, false);
    RC_LOG() << print(history);
    const Options options{.model = &model};
    RC_PRE(verdict_of(history, options) == Verdict::linearizable);
    std::vector<OperationId> all;
    for (OperationId id = 0; id < history.size(); ++id) {
      if (history[id].end != End::fail) all.push_back(id);
    }
    const History happened = history.restricted_to(all);
    for (OperationId seed = 0; seed < happened.size(); ++seed) {
      const OperationId seeds[] = {seed};
      const std::vector<OperationId> gone = with_readers(happened, model, seeds);
      std::vector<OperationId> kept;
      for (OperationId id = 0; id < happened.size(); ++id) {
        if (!std::ranges::binary_search(gone, id)) kept.push_back(id);
      }
      RC_ASSERT(verdict_of(happened.restricted_to(kept), options) == Verdict::linearizable);
    }
  });
}

// More can happen where transactions of unknown end fall to pieces: a search may refute that
// instead.
TEST_P(EveryModel, SplitsTransactionsSafely) {
  const Model& model = *find_model(GetParam());
  if (!model.transactions_split()) return;
  int split = 0;
  holds_for(RAFTKV_RANDOM_HISTORIES / 5, [&](const Tape& tape) {
    const History history = random_history(GetParam(), tape);
    RC_LOG() << print(history);
    const Options options{.model = &model};
    std::vector<OperationId> all;
    for (OperationId id = 0; id < history.size(); ++id) {
      if (history[id].end != End::fail) all.push_back(id);
    }
    const History pieces = history.split(all, {});
    split += pieces.size() != all.size();
    if (verdict_of(history, options) == Verdict::linearizable) {
      RC_ASSERT(verdict_of(pieces, options) == Verdict::linearizable);
    }
  });
  EXPECT_GT(split, RAFTKV_RANDOM_HISTORIES / 100);
}

INSTANTIATE_TEST_SUITE_P(Models, EveryModel,
                         testing::ValuesIn(model_names().begin(), model_names().end()),
                         [](const auto& model) {
                           std::string name(model.param);
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace raftkv::linearizability
