#include "src/storage/log_store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "src/base/checksum.h"
#include "tests/storage/log_fixture.h"

namespace raftkv::storage {
namespace {

using raft::Index;
using raft::Term;
using raft::TermRun;

class LogStoreTest : public testing::Test {
 protected:
  LogStoreTest() {
    make_log(disk_);
    start();
  }
  // Ends the run without any goodbye, and starts anew on what is left.
  void start() {
    run_.reset();
    run_ = start_on(disk_);
  }
  void append(const raft::LogWrite& write) {
    const Status appended = run_->append(write);
    ASSERT_TRUE(appended) << appended.error().message;
  }
  Log all() { return run_->all(); }

  TestDisk disk_;
  std::unique_ptr<LogRun> run_;
};

TEST_F(LogStoreTest, StartsEmpty) {
  EXPECT_EQ(run_->log().first(), Index(1));
  EXPECT_EQ(run_->log().last(), Index());
  EXPECT_EQ(run_->log().term(Index()).value(), Term());
  EXPECT_EQ(run_->log().term_runs().value(), std::vector<TermRun>{});
  EXPECT_EQ(run_->log().read(Index(1), Index(1), 100).error().code, ErrorCode::not_found);
}

TEST_F(LogStoreTest, ReadsBackTheVeryBytes) {
  const raft::LogWrite write = write_of(0, {1, 1, 2});
  append(write);
  start();
  const auto entries = run_->log().read(Index(1), Index(3), 1 << 20);
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ((*entries)[i].bytes().view(), write.entries[i].bytes().view());
  }
}

TEST_F(LogStoreTest, ReadStopsAtTheBytesAskedForButGivesOneEntry) {
  append(write_of(0, {1, 1, 1, 1}));
  const std::size_t size = entry_of(1, 1).size();
  const auto count = [&](std::size_t bytes_max) {
    return run_->log().read(Index(1), Index(4), bytes_max).value().size();
  };
  EXPECT_EQ(count(0), 1u);
  EXPECT_EQ(count(2 * size - 1), 1u);
  EXPECT_EQ(count(2 * size), 2u);
  EXPECT_EQ(count(4 * size), 4u);
  EXPECT_EQ(log_of(run_->log().read(Index(2), Index(3), 1000).value()), (Log{{2, 1}, {3, 1}}));
  EXPECT_EQ(run_->log().read(Index(4), Index(5), 1000).error().code, ErrorCode::not_found);
}

TEST_F(LogStoreTest, KeepsWhatWasAppendedOverALossOfPower) {
  append(write_of(0, {1, 1}));
  append(vote_of(3, 7));
  append(write_of(2, {3}));
  const auto image = disk_.after_power_loss();
  const auto run = start_on(*image);
  EXPECT_EQ(run->all(), (Log{{1, 1}, {2, 1}, {3, 3}}));
  EXPECT_EQ(run->promise().hard_state.current_term, Term(3));
  EXPECT_EQ(run->promise().hard_state.voted_for, raft::MemberId(7));
}

TEST_F(LogStoreTest, WritesThatCameTogetherAreOneSync) {
  append(write_of(0, {1}));
  const std::uint64_t before = disk_.operations();
  append(write_of(1, {1}));
  const std::uint64_t single = disk_.operations() - before;
  const std::vector<raft::LogWrite> writes = {write_of(2, {1, 1}), write_of(4, {1}),
                                              write_of(5, {1, 1, 1})};
  ASSERT_TRUE(run_->log().append(writes));
  EXPECT_EQ(disk_.operations() - before - single, single);
  EXPECT_EQ(all().size(), 8u);
}

TEST_F(LogStoreTest, AHardStateIsDurableBeforeTheEntriesOfItsWrite) {
  append(write_of(0, {1}));
  raft::LogWrite write = write_of(1, {4, 4});
  write.hard_state = raft::HardState{.current_term = Term(4), .voted_for = raft::MemberId(2)};
  bool had_entries = false;
  disk_.on_operation([&] {
    for (const bool power : {false, true}) {
      const auto image = power ? disk_.after_power_loss() : disk_.after_kill();
      const auto run = start_on(*image);
      if (run->log().last() < Index(2)) continue;
      had_entries = true;
      EXPECT_EQ(run->promise().hard_state, *write.hard_state);
    }
  });
  append(write);
  disk_.on_operation({});
  EXPECT_TRUE(had_entries);  // written, while the sync was still to come
}

TEST_F(LogStoreTest, AHardStateThatIsKnownCostsNothing) {
  append(vote_of(2, 3));
  const std::uint64_t before = disk_.operations();
  append(vote_of(2, 3));
  EXPECT_EQ(disk_.operations(), before);
}

TEST_F(LogStoreTest, TruncationEndsTheLogThere) {
  append(write_of(0, {1, 1, 1, 1, 1}));
  raft::LogWrite write;
  write.truncate_from = Index(3);
  append(write);
  EXPECT_EQ(all(), (Log{{1, 1}, {2, 1}}));
  start();
  EXPECT_EQ(all(), (Log{{1, 1}, {2, 1}}));
  EXPECT_EQ(run_->log().read(Index(3), Index(3), 100).error().code, ErrorCode::not_found);
}

TEST_F(LogStoreTest, TruncationOfEverythingLeavesAnEmptyLog) {
  append(write_of(0, {1, 1, 1}));
  append(overwrite_of(0, {}));
  EXPECT_EQ(all(), Log{});
  start();
  EXPECT_EQ(run_->log().last(), Index());
  append(write_of(0, {2}));
  start();
  EXPECT_EQ(all(), (Log{{1, 2}}));
}

// Index  1 2 3 4 5 6      an old leader's log ends with 6; the new one's grows slowly over it
// Term   1 1 1 1 1 1
//            2 2 3 3 3
TEST_F(LogStoreTest, WhatWasTruncatedStaysAwayWhileTheLogGrowsOverIt) {
  append(write_of(0, {1, 1, 1, 1, 1, 1}));
  append(overwrite_of(2, {2}));
  Log expected = {{1, 1}, {2, 1}, {3, 2}};
  for (std::uint64_t index = 4; index <= 8; ++index) {
    start();
    ASSERT_EQ(all(), expected);
    append(write_of(index - 1, {index < 5 ? 2u : 3u}));
    expected.emplace_back(index, index < 5 ? 2 : 3);
    ASSERT_EQ(all(), expected);
  }
  start();
  EXPECT_EQ(all(), expected);
}

TEST_F(LogStoreTest, WritesThatOverwriteEachOtherInOneBatchLeaveTheLast) {
  append(write_of(0, {1}));
  const std::vector<raft::LogWrite> writes = {write_of(1, {2, 2, 2, 2}), overwrite_of(3, {3}),
                                              overwrite_of(2, {4})};
  ASSERT_TRUE(run_->log().append(writes));
  const Log expected = {{1, 1}, {2, 2}, {3, 4}};
  EXPECT_EQ(all(), expected);
  start();
  EXPECT_EQ(all(), expected);
  EXPECT_EQ(run_->log().term_runs().value(),
            (std::vector<TermRun>{{Term(1), Index(1)}, {Term(2), Index(2)}, {Term(4), Index(3)}}));
}

// How many keys a batch writes and deletes shows by the sequence.
TEST_F(LogStoreTest, ABatchInSteadyStateHoldsOneGroupOnly) {
  append(write_of(0, {1, 1}));
  const std::uint64_t before = run_->env().synced_sequence();
  append(write_of(2, {1, 1, 1}));
  EXPECT_EQ(run_->env().synced_sequence(), before + 1);
  append(overwrite_of(2, {2}));
  EXPECT_EQ(run_->env().synced_sequence(), before + 3) << "a group goes, another comes";
  append(write_of(3, {2, 2, 2}));
  EXPECT_EQ(run_->env().synced_sequence(), before + 4);
  append(overwrite_of(4, {3}));
  EXPECT_EQ(run_->env().synced_sequence(), before + 7) << "a group goes but for its beginning";
  ASSERT_TRUE(run_->log().cut_before(Index(3), Term(1)));
  EXPECT_EQ(run_->env().synced_sequence(), before + 8) << "the bounds";
}

// Index  1 2 3 4 5 6 7 8      groups: 1 to 3, 4 to 6, 7 and 8
// Term   1 1 1 1 1 1 1 1
//                2            from 5 on
TEST_F(LogStoreTest, ATruncationWithinAGroupKeepsItsBeginning) {
  append(write_of(0, {1, 1, 1}));
  append(write_of(3, {1, 1, 1}));
  append(write_of(6, {1, 1}));
  const auto kept = run_->log().read(Index(1), Index(4), 1 << 20).value();
  append(overwrite_of(4, {2}));
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(all(), (Log{{1, 1}, {2, 1}, {3, 1}, {4, 1}, {5, 2}}));
    const auto entries = run_->log().read(Index(1), Index(4), 1 << 20).value();
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_EQ(entries[i].bytes().view(), kept[i].bytes().view());
      EXPECT_EQ(run_->log().term(Index(i + 1)).value(), Term(1));
    }
    start();
  }
}

TEST_F(LogStoreTest, AGroupHasAnEndAndALargeEntryIsOneOfItsOwn) {
  const std::string half(GroupWriter::kBytesMax / 2, 'x');
  const std::string twice(GroupWriter::kBytesMax * 2, 'x');
  append(write_of(0, {1}));
  raft::LogWrite write;
  std::uint64_t index = 1;
  for (const std::string& payload : {half, half, std::string(), twice, twice, half}) {
    write.entries.push_back(entry_of(1, ++index, payload));
  }
  const std::uint64_t before = run_->env().synced_sequence();
  append(write);
  EXPECT_EQ(run_->env().synced_sequence(), before + 5) << "2 | 3 and 4 | 5 | 6 | 7";
  for (int round = 0; round < 2; ++round) {
    for (std::uint64_t from = 2; from <= index; ++from) {
      const auto entries = run_->log().read(Index(from), Index(index), ~std::size_t{0}).value();
      ASSERT_EQ(entries.size(), index - from + 1);
      for (std::size_t i = 0; i < entries.size(); ++i) {
        EXPECT_EQ(entries[i].bytes().view(), write.entries[from - 2 + i].bytes().view());
      }
    }
    start();
  }
}

// An older build had a key for each entry, and an end in the bounds.
TEST_F(LogStoreTest, RefusesALogOfAnotherVersionAndSaysWhatToDo) {
  const auto refusal = [&](std::uint8_t version, ErrorCode code) {
    TestDisk disk;
    make_log(disk);
    FailFlag flag;
    FailStopEnv env(disk, flag);
    {
      auto database = Database::open(env, "log", "/d/log", LevelDbLogStore::kOptions);
      const std::string key(8, '\0');
      std::string bounds = database->get(key).value().value();
      bounds[8] = static_cast<char>(version);
      put_u64(bounds.data(), checksum64(std::string_view(bounds).substr(8)));
      leveldb::WriteBatch batch;
      batch.Put(key, bounds);
      EXPECT_TRUE(database->write(batch, /*sync=*/true));
    }
    disk.run_background_work();
    const auto run = LogRun::open(disk);
    EXPECT_EQ(run.error().code, code);
    return run.error().message;
  };
  EXPECT_NE(refusal(1, ErrorCode::invalid).find("backup with that version"), std::string::npos);
  EXPECT_NE(refusal(3, ErrorCode::unsupported).find("a newer version"), std::string::npos);
}

TEST_F(LogStoreTest, FollowsTheSequenceOverBlocksOfTheWalAndRestarts) {
  std::uint64_t index = 0;
  std::uint64_t expected = 1;  // the bounds
  Prng prng(5);
  for (int round = 0; round < 200; ++round) {
    raft::LogWrite write;
    const std::uint64_t count = prng.between(1, 3);
    std::size_t group = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
      // Now and then a record that ends within a few bytes of a block's end, or spans blocks.
      const std::size_t size = prng.chance(1, 20) ? 70000 : prng.below(4000);
      write.entries.push_back(entry_of(1, ++index, std::string(size, 'x')));
      const std::size_t encoded = write.entries.back().size();
      if (group == 0 || group + encoded > GroupWriter::kBytesMax) {
        group = 0;
        ++expected;
      }
      group += encoded;
    }
    append(write);
    ASSERT_EQ(run_->env().synced_sequence(), expected) << round;
    if (round % 50 == 49) start();
  }
}

TEST_F(LogStoreTest, CheckpointNotesHowFarTheLogIsSynced) {
  append(write_of(0, {1, 1, 2}));
  EXPECT_EQ(run_->promise().through, Through{});
  ASSERT_TRUE(run_->log().checkpoint());
  const Through through{.index = Index(3), .term = Term(2), .sequence = 2};
  EXPECT_EQ(run_->promise().through, through);
  const std::uint64_t before = disk_.operations();
  ASSERT_TRUE(run_->log().checkpoint());
  EXPECT_EQ(disk_.operations(), before) << "nothing new, nothing written";
  start();
  EXPECT_EQ(run_->promise().through, through);
  ASSERT_TRUE(run_->log().checkpoint());
  EXPECT_EQ(run_->promise().through, through);
}

TEST_F(LogStoreTest, ANewWalIsACheckpoint) {
  const std::string megabyte(1 << 20, 'x');
  std::uint64_t index = 0;
  while (run_->promise().through == Through{}) {
    ASSERT_LT(index, 40u);
    raft::LogWrite write;
    write.entries.push_back(entry_of(1, ++index, megabyte));
    append(write);
  }
  EXPECT_GT(index, 30u);
  EXPECT_EQ(run_->promise().through.index, Index(index));
  disk_.run_background_work();
  start();
  EXPECT_EQ(run_->log().last(), Index(index));
}

// The promise file never says more than the log holds, whenever the power goes.
TEST_F(LogStoreTest, NoCrashDuringATruncationLooksLikeALostPromise) {
  append(write_of(0, {1, 1, 1, 1, 1, 1}));
  ASSERT_TRUE(run_->log().checkpoint());
  const Log before = {{1, 1}, {2, 1}, {3, 1}, {4, 1}, {5, 1}, {6, 1}};
  const Log after = {{1, 1}, {2, 1}, {3, 2}};
  int images = 0;
  disk_.on_operation([&] {
    for (const bool power : {false, true}) {
      const auto image = power ? disk_.after_power_loss() : disk_.after_kill();
      const auto run = start_on(*image);
      ++images;
      EXPECT_TRUE(run->all() == before || run->all() == after);
      EXPECT_FALSE(run->recover()->promise_lost);
    }
  });
  raft::LogWrite write = overwrite_of(2, {2});
  write.hard_state = raft::HardState{.current_term = Term(2), .voted_for = {}};
  append(write);
  ASSERT_TRUE(run_->log().checkpoint());
  disk_.on_operation({});
  EXPECT_GT(images, 20);
  start();
  EXPECT_EQ(all(), after);
  EXPECT_EQ(run_->promise().through.index, Index(3));
}

TEST_F(LogStoreTest, FindsTermsWithoutReadingTheLog) {
  raft::LogWrite write;
  std::vector<TermRun> expected;
  std::uint64_t index = 0;
  for (const std::uint64_t length : {1, 1, 700, 2, 9000, 3, 9000}) {
    const Term term(expected.empty() ? 1 : expected.back().term.value + 2);
    expected.push_back({.term = term, .first = Index(index + 1)});
    for (std::uint64_t i = 0; i < length; ++i) {
      write.entries.push_back(entry_of(term.value, ++index, std::string(1000, 'x')));
    }
  }
  append(write);
  start();  // the log is in a table now
  const std::uint64_t before = disk_.bytes_read();
  EXPECT_EQ(run_->log().term_runs().value(), expected);
  EXPECT_LT(disk_.bytes_read() - before, index * 1000 / 10);
}

TEST_F(LogStoreTest, FindsThousandsOfTerms) {
  raft::LogWrite write;
  std::vector<TermRun> expected;
  for (std::uint64_t index = 1; index <= 5000; ++index) {
    write.entries.push_back(entry_of(index / 2 + 1, index, ""));
    if (index % 2 == 0 || index == 1) expected.push_back({Term(index / 2 + 1), Index(index)});
  }
  append(write);
  EXPECT_EQ(run_->log().term_runs().value(), expected);
}

TEST_F(LogStoreTest, RefusesAnEntryThatChangedAtRest) {
  append(write_of(0, {1, 1, 1}));
  start();  // the log is in a table now
  run_.reset();
  for (const std::string& path : disk_.files()) {
    if (!path.ends_with(".ldb")) continue;
    std::string bytes = disk_.contents(path);
    const std::size_t at = bytes.find("payload");
    if (at == std::string::npos) continue;
    bytes[at] = 'P';
    disk_.set_contents(path, bytes);
  }
  const auto run = LogRun::open(disk_);
  // Whichever read meets the block first.
  if (run) {
    EXPECT_EQ((*run)->log().read(Index(1), Index(3), 1000).error().code, ErrorCode::corrupt);
  } else {
    EXPECT_EQ(run.error().code, ErrorCode::corrupt);
  }
}

TEST_F(LogStoreTest, BeginsAnewBehindAnIndex) {
  append(write_of(0, {1, 1, 1, 1, 1, 1, 1, 1}));
  append(overwrite_of(3, {2}));  // 4 to 8 keep keys
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(run_->log().begin_behind({Index(6), Term(3)})) << "done twice it is as done once";
    EXPECT_EQ(run_->log().first(), Index(7));
    EXPECT_EQ(run_->log().last(), Index(6));
    EXPECT_EQ(run_->log().term(Index(6)).value(), Term(3));
    EXPECT_EQ(run_->log().read(Index(6), Index(6), 100).error().code, ErrorCode::not_found);
    EXPECT_EQ(all(), Log{});
    start();
  }
  append(write_of(6, {3, 4, 4}));
  start();
  EXPECT_EQ(all(), (Log{{7, 3}, {8, 4}, {9, 4}}));
}

TEST_F(LogStoreTest, ACutMovesTheBeginningAndNothingElse) {
  append(write_of(0, {1, 1, 2, 2, 2}));
  ASSERT_TRUE(run_->log().cut_before(Index(4), Term(2)));
  ASSERT_TRUE(run_->log().cut_before(Index(3), Term(1))) << "cut further already";
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(all(), (Log{{4, 2}, {5, 2}}));
    EXPECT_EQ(run_->log().term(Index(3)).value(), Term(2));
    EXPECT_EQ(run_->log().read(Index(3), Index(4), 100).error().code, ErrorCode::not_found);
    EXPECT_EQ(run_->log().term_runs().value(), (std::vector<raft::TermRun>{{Term(2), Index(4)}}));
    if (round == 1) {
      ASSERT_TRUE(run_->log().prepare_cut());
      ASSERT_TRUE(run_->log().free_cut());
    }
    start();
  }
  ASSERT_TRUE(run_->log().cut_before(Index(6), Term(2))) << "all of it";
  ASSERT_TRUE(run_->log().free_cut());
  start();
  EXPECT_EQ(all(), Log{});
  EXPECT_EQ(run_->log().last(), Index(5));
  append(write_of(5, {3}));
  start();
  EXPECT_EQ(all(), (Log{{6, 3}}));
}

// --- snapshots ---

raft::LogWrite install_of(std::uint64_t index, std::uint64_t term,
                          const std::vector<std::uint64_t>& terms = {}) {
  raft::LogWrite write = write_of(index, terms);
  write.snapshot = raft::SnapshotMeta{.last_included_index = Index(index),
                                      .last_included_term = Term(term),
                                      .configuration_index = Index(1),
                                      .configuration = {}};
  return write;
}

TEST_F(LogStoreTest, ASnapshotThatTheLogHasLeavesWhatFollowsIt) {
  append(write_of(0, {1, 1, 2, 2, 2}));
  ASSERT_TRUE(run_->log().checkpoint());
  append(install_of(3, 2));
  EXPECT_EQ(run_->promise().state_directory, "state-2");
  EXPECT_EQ(run_->promise().through.index, Index(5)) << "it goes on to be promised";
  EXPECT_EQ(run_->promise().begin_behind, LogPosition{});
  start();
  EXPECT_EQ(all(), (Log{{4, 2}, {5, 2}}));
}

TEST_F(LogStoreTest, ASnapshotThatTheLogContradictsLeavesNothing) {
  append(write_of(0, {1, 1, 2, 2, 2}));
  ASSERT_TRUE(run_->log().checkpoint());
  append(install_of(3, 3, {3, 4}));
  EXPECT_EQ(run_->promise().through,
            (Through{Index(3), Term(3), run_->promise().through.sequence}));
  start();
  EXPECT_EQ(all(), (Log{{4, 3}, {5, 4}})) << "5 of term 2 must not come back";
  EXPECT_EQ(run_->log().term(Index(3)).value(), Term(3));
}

// As long as the log was before, and yet another one: nothing is lost.
TEST_F(LogStoreTest, ASnapshotInPlaceOfTheLastEntryTakesThroughOver) {
  append(write_of(0, {1, 1, 2}));
  ASSERT_TRUE(run_->log().checkpoint());
  append(install_of(3, 4));
  EXPECT_EQ(run_->promise().through,
            (Through{Index(3), Term(4), run_->promise().through.sequence}));
  start();
  EXPECT_EQ(all(), Log{});
}

TEST_F(LogStoreTest, WritesBeforeAndAfterASnapshotKeepTheirPlaces) {
  raft::LogWrite vote = vote_of(5, 2);
  const std::vector<raft::LogWrite> writes = {write_of(0, {1, 1}), install_of(8, 4), vote,
                                              write_of(8, {5, 5})};
  ASSERT_TRUE(run_->log().append(writes));
  start();
  EXPECT_EQ(all(), (Log{{9, 5}, {10, 5}}));
  EXPECT_EQ(run_->promise().hard_state.voted_for, raft::MemberId(2));
}

// At each operation of the disk the power goes or the process dies.
TEST_F(LogStoreTest, ACrashWhileASnapshotIsInstalledLeavesTheOldLogOrTheNew) {
  const Log old = {{1, 1}, {2, 1}, {3, 2}, {4, 2}};
  const std::vector<std::pair<raft::LogWrite, Log>> cases = {
      {install_of(3, 2), {{4, 2}}}, {install_of(3, 3), {}}, {install_of(9, 3), {}}};
  for (const auto& [write, installed] : cases) {
    TestDisk disk;
    make_log(disk);
    int old_ones = 0;
    int new_ones = 0;
    const auto run = start_on(disk);
    ASSERT_TRUE(run->append(write_of(0, {1, 1, 2, 2})));
    ASSERT_TRUE(run->log().checkpoint());
    disk.on_operation([&, expected = installed] {
      for (const auto& image : {disk.after_kill(), disk.after_power_loss()}) {
        const auto again = start_on(*image);
        const bool is_new = again->promise().state_directory == "state-2";
        ++(is_new ? new_ones : old_ones);
        EXPECT_EQ(again->all(), is_new ? expected : old);
        EXPECT_LE(again->promise().through.index, again->log().last()) << "no promise is lost";
      }
    });
    ASSERT_TRUE(run->append(write));
    disk.on_operation({});
    EXPECT_GT(old_ones, 0);
    EXPECT_GT(new_ones, 2);
  }
}

// Every operation of the disk fails once; the disk is well again at once.
TEST_F(LogStoreTest, AfterAnyFailureNothingIsWrittenAndNothingAcknowledgedIsLost) {
  append(write_of(0, {1, 1}));
  ASSERT_TRUE(run_->log().checkpoint());
  run_.reset();
  std::uint64_t failures = 0;
  for (std::uint64_t n = 1;; ++n) {
    const auto disk = disk_.after_kill();
    auto run = start_on(*disk);
    disk->fail_at(n);
    Log acknowledged = {{1, 1}, {2, 1}};
    Log attempted;  // the write that failed
    raft::HardState promised = run->promise().hard_state;
    bool failed = false;
    for (std::uint64_t term = 2; term < 6; ++term) {
      raft::LogWrite write = overwrite_of(term, {term, term});
      write.hard_state = raft::HardState{.current_term = Term(term), .voted_for = {}};
      const Status appended = run->append(write);
      ASSERT_FALSE(failed && appended) << n;
      if (failed) continue;
      attempted.assign(acknowledged.begin(),
                       acknowledged.begin() + static_cast<std::ptrdiff_t>(term));
      attempted.emplace_back(term + 1, term);
      attempted.emplace_back(term + 2, term);
      if (appended) {
        acknowledged = attempted;
        promised = *write.hard_state;
      } else {
        ASSERT_EQ(appended.error().code, ErrorCode::fatal) << n;
      }
      failed = !appended || !run->log().checkpoint();
    }
    EXPECT_EQ(failed, disk->failures() > 0) << n;
    failures += disk->failures();
    const auto image = disk->after_power_loss();
    const auto again = start_on(*image);
    EXPECT_GE(again->promise().hard_state.current_term, promised.current_term) << n;
    EXPECT_FALSE(again->recover()->promise_lost) << n;
    const Log found = again->all();
    EXPECT_TRUE(found == acknowledged || (failed && found == attempted)) << n;
    if (!failed) break;
  }
  EXPECT_GT(failures, 30u);
}

// On the machine's own disk, where LevelDB's background work has a thread.
class LogStoreOnThisMachine : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(::mkdtemp(directory_.data()), nullptr);
    ASSERT_TRUE(LevelDbLogStore::create(env_, directory_ + "/log", {}));
    ASSERT_TRUE(PromiseFile::create(env_, directory_, Promise{}));
    auto promise = PromiseFile::open(env_, directory_);
    ASSERT_TRUE(promise);
    promise_ = std::make_unique<PromiseFile>(std::move(*promise));
    auto log = LevelDbLogStore::open(env_, directory_ + "/log", *promise_);
    ASSERT_TRUE(log);
    log_ = std::move(*log);
  }
  void TearDown() override {
    log_.reset();
    std::filesystem::remove_all(directory_);
  }
  [[nodiscard]] std::uintmax_t bytes_used() const {
    std::uintmax_t bytes = 0;
    for (const auto& file : std::filesystem::directory_iterator(directory_ + "/log")) {
      bytes += file.file_size();
    }
    return bytes;
  }

  std::string directory_ = testing::TempDir() + "raftkv-log-XXXXXX";
  FailFlag flag_;
  FailStopEnv env_{posix_disk(), flag_};
  std::unique_ptr<PromiseFile> promise_;
  std::unique_ptr<LevelDbLogStore> log_;
};

TEST_F(LogStoreOnThisMachine, GivesTheRoomOfWhatWasCutBack) {
  const std::string payload(64 << 10, 'x');
  std::uint64_t index = 0;
  for (int round = 1; round <= 3; ++round) {
    for (int batch = 0; batch < 16; ++batch) {
      raft::LogWrite write;
      for (int i = 0; i < 32; ++i) write.entries.push_back(entry_of(1, ++index, payload));
      ASSERT_TRUE(log_->append({&write, 1}));
    }
    EXPECT_GT(bytes_used(), 32u << 20);
    ASSERT_TRUE(log_->prepare_cut());
    ASSERT_TRUE(log_->cut_before(Index(index - 15), Term(1)));
    ASSERT_TRUE(log_->free_cut());
    EXPECT_LT(bytes_used(), 4u << 20) << round;
    EXPECT_EQ(log_->read(Index(index - 15), Index(index), ~std::size_t{0})->size(), 16u);
  }
}

// A leader that has just fallen may still be read for a peer while its log is truncated.
TEST_F(LogStoreOnThisMachine, NoReaderTakesATruncationForDamage) {
  std::atomic<bool> done = false;
  std::atomic<int> found = 0;
  std::atomic<int> gone = 0;
  std::jthread reader([&] {
    for (Prng prng(3); !done;) {
      const std::uint64_t from = prng.between(1, 40);
      const auto entries = log_->read(Index(from), Index(from + prng.below(5)), 1 << 20);
      ++(entries ? found : gone);
      if (entries) {
        EXPECT_EQ(entries->front().index(), Index(from));
      } else {
        EXPECT_EQ(entries.error().code, ErrorCode::not_found) << entries.error().message;
      }
    }
  });
  Prng prng(4);
  Index last;
  for (std::uint64_t term = 1; term <= 300 || found < 100 || gone < 100; ++term) {
    const std::uint64_t kept = prng.below(last.value + 1);
    const raft::LogWrite write =
        overwrite_of(kept, std::vector<std::uint64_t>(prng.below(41 - kept), term));
    last = Index(kept + write.entries.size());
    ASSERT_TRUE(log_->append({&write, 1}));
    ASSERT_EQ(log_->last(), last);
  }
  done = true;
}

}  // namespace
}  // namespace raftkv::storage
