// Histories for lincheck, with and without what only the simulator knows.
#include "sim/history.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "linearizability/check.h"
#include "linearizability/model.h"
#include "sim/schedule.h"

namespace raftkv::sim {
namespace {

using Judged = linearizability::Verdict;

// One key; operations in the order in which they are begun.
class Story {
 public:
  Story() { actions_.reserve(16); }

  // Nobody knows its end.
  void lost_put(const std::string& value) { begin(put("k", value), Outcome::info, 0); }
  void put_at(const std::string& value, std::uint64_t index) {
    begin(put("k", value), Outcome::ok, index);
  }
  void read(const std::string& value, std::uint64_t index) {
    begin(get("k", Level::consistent), Outcome::ok, index);
    operations_.back().value = value;
  }
  [[nodiscard]] const std::vector<Operation>& operations() const { return operations_; }

 private:
  void begin(Action action, Outcome outcome, std::uint64_t index) {
    actions_.push_back(std::move(action));
    Operation operation;
    operation.process = static_cast<std::uint32_t>(operations_.size());
    operation.action = &actions_.back();
    operation.invoked_order = order_++;
    operation.invoked = Instant(operation.invoked_order);
    operation.returned_order = order_++;
    operation.returned = Instant(operation.returned_order);
    operation.outcome = outcome;
    operation.index = index;
    operations_.push_back(std::move(operation));
  }
  std::vector<Action> actions_;
  std::vector<Operation> operations_;
  std::uint32_t order_ = 0;
};

Judged verdict_of(const linearizability::History& history) {
  linearizability::Options options;
  options.model = linearizability::find_model("kv");
  const auto report = linearizability::check(history, options);
  EXPECT_TRUE(report.has_value());
  return report->verdict;
}

Judged told(const Story& story, std::optional<std::uint64_t> where) {
  return verdict_of(
      to_told_history(story.operations(), [where](const Operation&) { return where; }));
}

Story a_write_that_happens_after_its_client_has_given_up() {
  Story story;
  story.lost_put("a");
  story.put_at("b", 5);
  story.read("b", 5);
  story.read("a", 7);
  return story;
}

TEST(ToldHistory, AWriteOfUnknownEndMayHappenAfterItsClientHasGivenUp) {
  const Story story = a_write_that_happens_after_its_client_has_given_up();
  EXPECT_EQ(verdict_of(to_history(story.operations())), Judged::linearizable);
  EXPECT_EQ(told(story, 7), Judged::linearizable);
  EXPECT_EQ(told(story, std::nullopt), Judged::linearizable);
}

TEST(ToldHistory, SaysMoreThanTheHistoryAndSoMayOnlyFailMoreOften) {
  const Story story = a_write_that_happens_after_its_client_has_given_up();
  EXPECT_EQ(told(story, 0), Judged::not_linearizable) << "it was read";
  EXPECT_EQ(told(story, 4), Judged::not_linearizable) << "it was read behind 5";
}

TEST(ToldHistory, WhatIsNotLinearizableIsNotMadeSo) {
  Story story;
  story.lost_put("a");
  story.put_at("b", 5);
  story.read("a", 7);
  story.read("b", 5);
  EXPECT_EQ(verdict_of(to_history(story.operations())), Judged::not_linearizable);
  for (const std::uint64_t where : {0, 4, 5, 7}) {
    EXPECT_EQ(told(story, where), Judged::not_linearizable) << where;
  }
}

}  // namespace
}  // namespace raftkv::sim
