// The log store against a model, with restarts and losses of power between any two operations.

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/storage/log_fixture.h"

namespace raftkv::storage {
namespace {

using raft::Index;
using raft::Term;

enum class Kind { append, overwrite, vote, install, cut, checkpoint, restart, lose_power };

struct Step {
  Kind kind = Kind::append;
  std::uint64_t at = 0;     // overwrite: where, modulo the length of the log
  std::uint64_t count = 0;  // entries
  bool new_term = false;
};

std::ostream& operator<<(std::ostream& out, const Step& step) {
  static constexpr const char* kNames[] = {"append", "overwrite",  "vote",    "install",
                                           "cut",    "checkpoint", "restart", "lose_power"};
  return out << kNames[static_cast<int>(step.kind)] << " at=" << step.at << " count=" << step.count
             << " new_term=" << step.new_term;
}

rc::Gen<Step> steps() {
  return rc::gen::build<Step>(
      rc::gen::set(&Step::kind, rc::gen::weightedElement<Kind>({{6, Kind::append},
                                                                {3, Kind::overwrite},
                                                                {2, Kind::vote},
                                                                {1, Kind::install},
                                                                {2, Kind::cut},
                                                                {2, Kind::checkpoint},
                                                                {2, Kind::restart},
                                                                {2, Kind::lose_power}})),
      rc::gen::set(&Step::at, rc::gen::inRange<std::uint64_t>(0, 30)),
      rc::gen::set(&Step::count, rc::gen::inRange<std::uint64_t>(0, 6)),
      rc::gen::set(&Step::new_term, rc::gen::arbitrary<bool>()));
}

struct Model {
  std::uint64_t before = 0;  // the entry before the first
  std::uint64_t before_term = 0;
  std::vector<std::uint64_t> terms;
  [[nodiscard]] std::uint64_t last() const { return before + terms.size(); }
  [[nodiscard]] std::uint64_t term(std::uint64_t index) const {
    return index == before ? before_term : terms[index - before - 1];
  }
  void begin_behind(std::uint64_t index, std::uint64_t term_there) {
    if (index <= last() && term(index) == term_there) {
      terms.erase(terms.begin(), terms.begin() + static_cast<std::ptrdiff_t>(index - before));
    } else {
      terms.clear();
    }
    before = index;
    before_term = term_there;
  }
  raft::HardState hard_state{.current_term = Term(1), .voted_for = {}};
};

std::vector<raft::TermRun> runs_of(const Model& model) {
  std::vector<raft::TermRun> runs;
  for (std::size_t i = 0; i < model.terms.size(); ++i) {
    const Term term(model.terms[i]);
    if (runs.empty() || runs.back().term != term)
      runs.push_back({term, Index(model.before + i + 1)});
  }
  return runs;
}

void expect_same(LogRun& run, const Model& model) {
  Log expected;
  for (const std::uint64_t term : model.terms) {
    expected.emplace_back(model.before + expected.size() + 1, term);
  }
  RC_ASSERT(run.all() == expected);
  RC_ASSERT(run.log().term_runs().value() == runs_of(model));
  RC_ASSERT(run.promise().hard_state == model.hard_state);
  RC_ASSERT(run.log().first() == Index(model.before + 1));
  RC_ASSERT(run.log().term(Index(model.before)).value() == Term(model.before_term));
  replica::StateMeta state;
  state.applied = Index(model.before);
  state.applied_term = Term(model.before_term);
  const auto recovered = run.recover(state);
  RC_ASSERT(recovered.has_value());
  RC_ASSERT(!recovered->promise_lost);
  RC_ASSERT(!recovered->state_lost);
  RC_ASSERT(log_of(recovered->tail) == expected);
}

// Writes as a core does: terms do not fall, and a write of a new term carries the hard state.
raft::LogWrite write_for(const Step& step, Model& model) {
  raft::LogWrite write;
  if (step.new_term || step.kind == Kind::vote) {
    ++model.hard_state.current_term;
    model.hard_state.voted_for = raft::MemberId(step.at);
    write.hard_state = model.hard_state;
  }
  if (step.kind == Kind::vote) return write;
  if (step.kind == Kind::install) {
    // Of an entry of the log, or one that contradicts it, or further behind.
    const std::uint64_t index = model.before + 1 + step.at;
    const bool has = index <= model.last() && !step.new_term;
    const std::uint64_t term = has ? model.term(index) : model.hard_state.current_term.value;
    write.snapshot = raft::SnapshotMeta{.last_included_index = Index(index),
                                        .last_included_term = Term(term),
                                        .configuration_index = {},
                                        .configuration = {}};
    model.begin_behind(index, term);
  }
  if (step.kind == Kind::overwrite && !model.terms.empty()) {
    const std::size_t keep = step.at % model.terms.size();
    write.truncate_from = Index(model.before + keep + 1);
    model.terms.resize(keep);
  }
  for (std::uint64_t i = 0; i < step.count; ++i) {
    model.terms.push_back(model.hard_state.current_term.value);
    // Some are so large that a write takes several groups.
    const std::string payload(model.last() % 5 == 0 ? GroupWriter::kBytesMax / 2 : 7, 'x');
    write.entries.push_back(entry_of(model.terms.back(), model.last(), payload));
  }
  return write;
}

RC_GTEST_PROP(LogStoreLaw, IsAListOfEntriesWhateverRestarts, ()) {
  const auto plan = *rc::gen::container<std::vector<Step>>(steps());
  auto disk = std::make_unique<TestDisk>();
  make_log(*disk);
  auto run = start_on(*disk);
  Model model;
  for (const Step& step : plan) {
    switch (step.kind) {
      case Kind::append:
      case Kind::overwrite:
      case Kind::vote:
      case Kind::install:
        RC_ASSERT(run->append(write_for(step, model)).has_value());
        break;
      case Kind::cut: {
        const std::uint64_t index = std::min(model.before + step.at, model.last());
        RC_ASSERT(run->log().cut_before(Index(index + 1), Term(model.term(index))).has_value());
        model.begin_behind(index, model.term(index));
        if (step.new_term) RC_ASSERT(run->log().free_cut().has_value());
        break;
      }
      case Kind::checkpoint:
        RC_ASSERT(run->log().checkpoint().has_value());
        break;
      case Kind::restart:
      case Kind::lose_power: {
        auto image = step.kind == Kind::restart ? disk->after_kill() : disk->after_power_loss();
        run.reset();
        disk = std::move(image);
        run = start_on(*disk);
        break;
      }
    }
    disk->run_background_work();
    expect_same(*run, model);
  }
}

// Several writes at once are the same as one after the other.
RC_GTEST_PROP(LogStoreLaw, WritesMayBePutTogether, ()) {
  const auto plan = *rc::gen::container<std::vector<Step>>(steps());
  TestDisk disk;
  make_log(disk);
  const auto run = start_on(disk);
  Model model;
  std::vector<raft::LogWrite> writes;
  for (const Step& step : plan) {
    if (step.kind <= Kind::install) writes.push_back(write_for(step, model));
    if (step.kind == Kind::checkpoint) {
      RC_ASSERT(run->log().append(writes).has_value());
      RC_ASSERT(run->log().checkpoint().has_value());
      writes.clear();
      expect_same(*run, model);
    }
  }
  RC_ASSERT(run->log().append(writes).has_value());
  expect_same(*run, model);
  const auto image = disk.after_power_loss();
  expect_same(*start_on(*image), model);
}

}  // namespace
}  // namespace raftkv::storage
