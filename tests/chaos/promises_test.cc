// Each rule of promises.h: kept, and broken.
#include "tests/chaos/promises.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "linearizability/check.h"
#include "linearizability/model.h"
#include "linearizability/readers/reader.h"
#include "tests/chaos/clients.h"
#include "tests/chaos/figures.h"
#include "tests/chaos/ground.h"
#include "tests/chaos/nemesis.h"
#include "tests/process/files.h"

namespace raftkv::chaos {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A record by hand: every operation takes one tick and follows the one before.
class Record {
 public:
  Operation& write(Kind kind, const std::string& key, std::uint64_t value, std::uint64_t index) {
    Operation& op = add(key);
    op.kind = kind;
    op.value = value;
    op.index = index;
    op.term = 1;
    return op;
  }
  Operation& read(Level level, const std::string& key, std::uint64_t value, std::uint64_t index) {
    Operation& op = add(key);
    op.level = level;
    op.value = value;
    op.index = index;
    op.found = value != 0;
    op.term = 1;
    op.leads = level != Level::stale;
    op.same_epoch = true;
    return op;
  }
  [[nodiscard]] std::vector<std::string> broken() const { return broken_promises(operations_); }
  [[nodiscard]] const std::vector<Operation>& operations() const { return operations_; }
  void forget() { operations_.clear(); }

 private:
  Operation& add(const std::string& key) {
    Operation op;
    op.key = key;
    op.end = End::ok;
    op.process = 1;
    op.invoked = ++time_;
    op.returned = ++time_;
    operations_.push_back(op);
    return operations_.back();
  }
  std::vector<Operation> operations_;
  Nanos time_ = 0;
};

TEST(Promises, AnHonestRecordKeepsThemAll) {
  Record record;
  record.write(Kind::put, "r1", 1, 10);
  record.read(Level::consistent, "r1", 1, 10).applied = 10;
  record.read(Level::default_, "r1", 1, 10).applied = 10;
  record.write(Kind::set, "s1", 2, 11);
  record.read(Level::stale, "s1b", 0, 0).node = 1;
  record.write(Kind::del, "r1", 0, 12).deleted = true;
  record.read(Level::consistent, "r1", 0, 0);
  EXPECT_THAT(record.broken(), IsEmpty());
}

TEST(Promises, WhatIsReadWasWritten) {
  Record record;
  record.read(Level::stale, "r1", 7, 5);
  EXPECT_THAT(record.broken(), ElementsAre(HasSubstr("nobody has written this")));
  record.forget();
  record.write(Kind::put, "r1", 1, 10);
  record.write(Kind::put, "r2", 2, 11);
  record.read(Level::stale, "r2", 1, 10).same_epoch = false;
  EXPECT_THAT(record.broken(), ElementsAre(HasSubstr("another key")));
}

TEST(Promises, WhatWasNotAppliedIsNotRead) {
  Record record;
  record.write(Kind::put, "r1", 1, 0).end = End::fail;
  record.read(Level::stale, "r1", 1, 10);
  EXPECT_THAT(record.broken(), ElementsAre(HasSubstr("it was not applied")));
}

TEST(Promises, IndexesGrowWithTime) {
  Record record;
  record.write(Kind::put, "r1", 1, 10);
  record.write(Kind::put, "r2", 2, 9);
  EXPECT_THAT(record.broken(), ElementsAre(HasSubstr("its index is not above 10")));
}

TEST(Promises, AConsistentReadIsNeverOld) {
  Record record;
  record.write(Kind::put, "r1", 1, 10);
  record.write(Kind::put, "r1", 2, 11);
  record.read(Level::consistent, "r1", 1, 10);
  EXPECT_THAT(record.broken(), ElementsAre(HasSubstr("does not see index 11")));
}

TEST(Promises, ASetIsSeenWhole) {
  Record record;
  record.write(Kind::set, "s1.0", 1, 10);
  record.read(Level::consistent, "s1.0a", 1, 10);
  record.read(Level::consistent, "s1.0b", 0, 0);
  EXPECT_THAT(record.broken(), ElementsAre(HasSubstr("does not see index 10")));
}

TEST(Promises, ADefaultReadSeesWhatItsTermAcknowledged) {
  Record record;
  record.write(Kind::put, "r1", 1, 10);
  record.write(Kind::put, "r1", 2, 11).term = 2;
  record.read(Level::default_, "r1", 1, 10).term = 1;  // a leader that is cut off
  EXPECT_THAT(record.broken(), IsEmpty());
  record.read(Level::default_, "r1", 1, 10).term = 2;
  EXPECT_THAT(record.broken(), ElementsAre(HasSubstr("does not see index 11")));
}

TEST(Promises, AStaleReadDoesNotGoBackWithinAProcess) {
  Record record;
  record.write(Kind::put, "r1", 1, 10);
  record.write(Kind::put, "r1", 2, 11);
  Operation& shows = record.read(Level::stale, "other", 0, 0);
  shows.node = 2;
  shows.applied = 11;
  record.read(Level::stale, "r1", 1, 10).node = 1;  // another node
  EXPECT_THAT(record.broken(), IsEmpty());
  Operation& restarted = record.read(Level::stale, "r1", 1, 10);
  restarted.node = 2;
  restarted.epoch = 1;
  EXPECT_THAT(record.broken(), IsEmpty());
  record.read(Level::stale, "r1", 1, 10).node = 2;
  EXPECT_THAT(record.broken(), ElementsAre(HasSubstr("does not see index 11")));
}

// The checker judges the same, from memory and from the file.
TEST(History, IsJudgedAndReadBack) {
  Record record;
  record.write(Kind::set, "s1.0", 1, 10);
  record.write(Kind::put, "r1.0", 2, 11).end = End::info;
  Operation& read = record.read(Level::consistent, "r1.0", 2, 11);
  read.process = 2;
  record.write(Kind::del, "r1.0", 0, 12).deleted = true;
  record.read(Level::stale, "r1.0", 2, 11);  // not judged
  std::vector<Operation> operations = record.operations();
  for (std::size_t i = 2; i < operations.size(); ++i) operations[i].process = 2;
  const std::vector<Band> bands = {{"kill", "kill n1", 1, 4}};
  linearizability::Options options;
  options.model = linearizability::find_model("kv");
  const auto history = to_history(operations, bands, true);
  EXPECT_EQ(history.size(), 4u);
  EXPECT_EQ(linearizability::check(history, options)->verdict,
            linearizability::Verdict::linearizable);

  const process::TempDir dir;
  ASSERT_TRUE(write_history(dir.path() + "/h", operations, bands));
  const auto reading = linearizability::read_history(process::read_file(dir.path() + "/h"), {});
  ASSERT_TRUE(reading.has_value());
  EXPECT_EQ(reading->history.size(), 4u);
  EXPECT_EQ(reading->history.faults().size(), 1u);
  EXPECT_EQ(linearizability::check(reading->history, options)->verdict,
            linearizability::Verdict::linearizable);

  operations[2].value = 1;  // nobody wrote this here
  EXPECT_EQ(linearizability::check(to_history(operations, bands, true), options)->verdict,
            linearizability::Verdict::not_linearizable);
}

TEST(Figures, CountStrikesAndTheTimeUntilAWrite) {
  Record record;
  for (int i = 1; i <= 4; ++i) {
    Operation& op = record.write(Kind::put, "r", static_cast<std::uint64_t>(i), 0);
    static constexpr std::array kSeconds = {1, 2, 8, 9};
    op.returned = kSeconds[static_cast<std::size_t>(i) - 1] * 1'000'000'000LL;
    op.invoked = op.returned - 5'000'000;
  }
  const auto figures = figures_of(
      record.operations(), {{"kill", "kill n1", 1'500'000'000, 7'500'000'000}}, 10'000'000'000);
  ASSERT_EQ(figures.size(), 3u);
  EXPECT_EQ(figures[0].nemesis, kQuorum);
  EXPECT_DOUBLE_EQ(figures[0].seconds, 10);
  EXPECT_EQ(figures[1].nemesis, kCalm);
  EXPECT_DOUBLE_EQ(figures[1].seconds, 4);
  EXPECT_EQ(figures[2].strikes, 1);
  EXPECT_NEAR(figures[2].latencies.percentile_ms(50), 5, 0.05);
  EXPECT_DOUBLE_EQ(figures[2].longest_without_write_ms, 5500);
  EXPECT_THAT(figures[2].back_after_ms, ElementsAre(500));
}

// What struck a majority is not counted as time with a quorum.
TEST(Figures, KnowTheTimeWithoutAQuorum) {
  Record record;
  record.write(Kind::put, "r", 1, 0);
  const std::vector<Band> bands = {{"kill-majority", "", 2'000'000'000, 5'000'000'000, false},
                                   {"kill", "", 6'000'000'000, 7'000'000'000, true}};
  const auto figures = figures_of(record.operations(), bands, 10'000'000'000);
  EXPECT_DOUBLE_EQ(figures[0].seconds, 7);
  EXPECT_DOUBLE_EQ(figures[1].seconds, 6);
}

TEST(Figures, OfSeveralRunsAddUp) {
  Record record;
  for (int i = 1; i <= 3; ++i) {
    Operation& op = record.write(Kind::put, "r", static_cast<std::uint64_t>(i), 0);
    op.returned = i * 1'000'000'000LL;
    op.invoked = op.returned - i * 1'000'000;
  }
  const Band kill = {"kill", "kill n1", 500'000'000, 1'500'000'000};
  const Band roll = {"roll", "roll", 1'600'000'000, 1'800'000'000};
  auto all = parse_figures(json_of(figures_of(record.operations(), {kill}, 4'000'000'000)));
  ASSERT_TRUE(all.has_value());
  const auto more = figures_of(record.operations(), {kill, roll}, 4'000'000'000);
  add(*all, more);
  ASSERT_EQ(all->size(), 4u);
  const auto found = std::ranges::find(*all, "kill", &Figures::nemesis);
  ASSERT_NE(found, all->end());
  EXPECT_EQ(found->strikes, 2);
  EXPECT_DOUBLE_EQ(found->seconds, 2);
  EXPECT_EQ(found->latencies.count(), 2u);
  EXPECT_THAT(found->back_after_ms, ElementsAre(500, 500));
  EXPECT_EQ(all->front().latencies.count(), 6u);
  EXPECT_NEAR(all->front().latencies.percentile_ms(99), 3, 0.03);
  EXPECT_FALSE(parse_figures("").has_value());
  EXPECT_FALSE(parse_figures("[{\"nemesis\":\"kill\"}]\n").has_value());
}

// Who runs, and which links are cut, decide whether there is a quorum.
TEST(Links, KnowWhetherThereIsAQuorum) {
  Links links(5);
  EXPECT_TRUE(links.quorum({true, true, true, false, false}));
  EXPECT_FALSE(links.quorum({true, true, false, false, false}));
  links.cut_one_way(0, 1);
  EXPECT_TRUE(links.quorum({true, true, true, false, false}));  // 2 connects both
  links.cut_both(2, 1);
  EXPECT_FALSE(links.quorum({true, true, true, false, false}));
  links.cut_both(3, static_cast<int>(links.clients()));  // no matter of theirs
  EXPECT_TRUE(links.quorum({true, true, true, true, false}));
}

TEST(Nemeses, AreFoundByName) {
  for (const NemesisKind& kind : nemesis_kinds()) EXPECT_EQ(find_nemesis(kind.name), &kind);
  EXPECT_EQ(find_nemesis("gremlin"), nullptr);
}

}  // namespace
}  // namespace raftkv::chaos
