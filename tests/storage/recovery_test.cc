// Log, state and promise held against each other.

#include "src/storage/recovery.h"

#include <gtest/gtest.h>

#include "tests/storage/log_fixture.h"

namespace raftkv::storage {
namespace {

using raft::Index;
using raft::Term;
using raft::TermRun;

// A log of the terms 1 1 2 2 3, checkpointed, in term 3.
class RecoveryTest : public testing::Test {
 protected:
  RecoveryTest() {
    make_log(disk_);
    const auto run = start_on(disk_);
    before_ = disk_.after_kill();
    raft::LogWrite write = write_of(0, {1, 1, 2, 2, 3});
    write.hard_state = raft::HardState{.current_term = Term(3), .voted_for = raft::MemberId(9)};
    EXPECT_TRUE(run->append(write));
    EXPECT_TRUE(run->log().checkpoint());
  }
  static replica::StateMeta applied(std::uint64_t index, std::uint64_t term) {
    replica::StateMeta state;
    state.applied = Index(index);
    state.applied_term = Term(term);
    state.configuration =
        raft::bootstrap_configuration("node01", raft::InstanceId(5), "h:1", "h:2");
    state.configuration_index = Index(1);
    return state;
  }
  Result<raft::Recovered> recover(const replica::StateMeta& state) {
    return start_on(disk_)->recover(state);
  }
  void save(const std::function<void(Promise&)>& change) {
    FailFlag flag;
    FailStopEnv env(disk_, flag);
    auto file = PromiseFile::open(env, "/d");
    ASSERT_TRUE(file);
    Promise promise = file->get();
    change(promise);
    ASSERT_TRUE(file->save(promise));
  }

  TestDisk disk_;
  std::unique_ptr<TestDisk> before_;  // the disk before the entries
};

const std::vector<TermRun> kTerms = {{Term(1), Index(1)}, {Term(2), Index(3)}, {Term(3), Index(5)}};

TEST_F(RecoveryTest, GivesTheTermsOfTheWholeLogAndTheEntriesBehindTheApplied) {
  const auto state = applied(3, 2);
  const auto recovered = recover(state);
  ASSERT_TRUE(recovered);
  EXPECT_EQ(recovered->hard_state,
            (raft::HardState{.current_term = Term(3), .voted_for = raft::MemberId(9)}));
  EXPECT_EQ(recovered->applied, Index(3));
  EXPECT_EQ(recovered->configuration, state.configuration);
  EXPECT_EQ(recovered->configuration_index, Index(1));
  EXPECT_EQ(recovered->terms, kTerms);
  EXPECT_EQ(log_of(recovered->tail), (Log{{4, 2}, {5, 3}}));
  EXPECT_EQ(recovered->last, Index(5));
  EXPECT_FALSE(recovered->promise_lost);
}

TEST_F(RecoveryTest, GivesNoTailWhenAllIsApplied) {
  const auto recovered = recover(applied(5, 3));
  ASSERT_TRUE(recovered);
  EXPECT_TRUE(recovered->tail.empty());
  EXPECT_EQ(recovered->last, Index(5));
  EXPECT_FALSE(recovered->promise_lost);
}

TEST_F(RecoveryTest, ReadsATailThatIsLargerThanOneRead) {
  const auto run = start_on(disk_);
  raft::LogWrite write;
  for (std::uint64_t index = 6; index <= 20; ++index) {
    write.entries.push_back(entry_of(3, index, std::string(300'000, 'x')));
  }
  ASSERT_TRUE(run->append(write));
  const auto recovered = run->recover();
  ASSERT_TRUE(recovered);
  ASSERT_EQ(recovered->tail.size(), 20u);
  for (std::size_t i = 0; i < 20; ++i) EXPECT_EQ(recovered->tail[i].index(), Index(i + 1));
}

TEST_F(RecoveryTest, APromiseIsLostWhenTheLogEndsBelowThrough) {
  disk_.restore("/d/log", *before_);
  const auto recovered = recover({});
  ASSERT_TRUE(recovered);
  EXPECT_TRUE(recovered->promise_lost);
  EXPECT_EQ(recovered->last, Index());
}

TEST_F(RecoveryTest, APromiseIsLostWhenTheEntryAtThroughIsAnother) {
  save([](Promise& promise) { promise.through.term = Term(2); });
  const auto recovered = recover({});
  ASSERT_TRUE(recovered);
  EXPECT_TRUE(recovered->promise_lost);
}

TEST_F(RecoveryTest, ALogThatGoesOnBehindThroughIsWhole) {
  save([](Promise& promise) { promise.through = {.index = Index(2), .term = Term(1)}; });
  const auto recovered = recover({});
  ASSERT_TRUE(recovered);
  EXPECT_FALSE(recovered->promise_lost);
}

TEST_F(RecoveryTest, APromiseStaysLostUntilItIsRepaired) {
  save([](Promise& promise) { promise.lost = true; });
  const auto run = start_on(disk_);
  EXPECT_TRUE(run->recover()->promise_lost);
  ASSERT_TRUE(run->log().promise_repaired());
  EXPECT_FALSE(run->recover()->promise_lost);
  EXPECT_FALSE(start_on(*disk_.after_power_loss())->recover()->promise_lost);
}

TEST_F(RecoveryTest, APromiseIsLostWhenTheStateHasAppliedMoreThanTheLogHas) {
  const auto recovered = recover(applied(8, 3));
  ASSERT_TRUE(recovered);
  EXPECT_TRUE(recovered->promise_lost);
  EXPECT_EQ(recovered->last, Index(8));
  EXPECT_EQ(recovered->first, Index(9));
  EXPECT_EQ(recovered->prev_term, Term(3));
  EXPECT_TRUE(recovered->terms.empty());
  EXPECT_TRUE(recovered->tail.empty());
}

TEST_F(RecoveryTest, AVoteIsUnknownWhenTheLogIsOfALaterTermThanThePromise) {
  save([](Promise& promise) {
    promise.hard_state = {.current_term = Term(2), .voted_for = raft::MemberId(9)};
  });
  const auto recovered = recover({});
  ASSERT_TRUE(recovered);
  EXPECT_TRUE(recovered->promise_lost);
  EXPECT_EQ(recovered->hard_state, (raft::HardState{.current_term = Term(3), .voted_for = {}}));
}

TEST_F(RecoveryTest, RefusesAStateThatIsNoPrefixOfTheLog) {
  const auto recovered = recover(applied(3, 1));
  ASSERT_FALSE(recovered);
  EXPECT_EQ(recovered.error().code, ErrorCode::corrupt);
}

TEST_F(RecoveryTest, AStateThatEndsBeforeTheLogBeginsIsLost) {
  const auto run = start_on(disk_);
  ASSERT_TRUE(run->log().begin_behind({Index(10), Term(3)}));
  EXPECT_TRUE(run->recover(applied(9, 3))->state_lost);
  EXPECT_TRUE(run->recover({})->state_lost);
  const auto recovered = run->recover(applied(10, 3));
  ASSERT_TRUE(recovered);
  EXPECT_FALSE(recovered->state_lost);
  EXPECT_EQ(recovered->first, Index(11));
  EXPECT_EQ(recovered->prev_term, Term(3));
  EXPECT_TRUE(recovered->terms.empty());
}

TEST_F(RecoveryTest, KnowsTheTermBeforeALogThatDoesNotBeginWithTheFirst) {
  const auto run = start_on(disk_);
  ASSERT_TRUE(run->log().begin_behind({Index(10), Term(3)}));
  ASSERT_TRUE(run->append(write_of(10, {3, 3, 4})));
  const auto recovered = run->recover(applied(11, 3));
  ASSERT_TRUE(recovered);
  EXPECT_EQ(recovered->first, Index(11));
  EXPECT_EQ(recovered->prev_term, Term(3));
  EXPECT_EQ(recovered->terms, (std::vector<TermRun>{{Term(3), Index(11)}, {Term(4), Index(13)}}));
  EXPECT_EQ(log_of(recovered->tail), (Log{{12, 3}, {13, 4}}));
}

TEST_F(RecoveryTest, RefusesAConfigurationThatCannotBeRead) {
  const auto run = start_on(disk_);
  raft::LogWrite write;
  write.entries.push_back(raft::Entry::seal(
      raft::EntryDraft::copy_of(raft::EntryKind::configuration, "junk"), Term(3), Index(6)));
  ASSERT_TRUE(run->append(write));
  EXPECT_EQ(run->recover({}).error().code, ErrorCode::corrupt);
}

}  // namespace
}  // namespace raftkv::storage
