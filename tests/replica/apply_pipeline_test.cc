#include "src/replica/apply_pipeline.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "src/kv/command.h"
#include "tests/replica/hand_worker.h"

namespace raftkv::replica {
namespace {

using raft::Index;
using raft::Term;
using std::chrono_literals::operator""s;

class SyncedStore final : public kv::ReplaceableStore {
 public:
  int syncs = 0;
  Status answer;
  bool wants = false;

  [[nodiscard]] Result<std::optional<std::string>> get(std::string_view key) override {
    return memory_.get(key);
  }
  [[nodiscard]] Status write(const kv::Batch& batch) override { return memory_.write(batch); }
  [[nodiscard]] Status sync() override {
    ++syncs;
    return answer;
  }
  [[nodiscard]] bool wants_sync() override { return wants; }
  [[nodiscard]] std::unique_ptr<kv::View> view() override { return memory_.view(); }
  [[nodiscard]] Result<kv::OrderedStore*> begin_incoming() override {
    return memory_.begin_incoming();
  }
  [[nodiscard]] Status discard_incoming() override { return memory_.discard_incoming(); }
  [[nodiscard]] Status adopt_incoming() override { return memory_.adopt_incoming(); }

 private:
  kv::MemoryStore memory_;
};

class ApplyPipelineTest : public testing::Test {
 protected:
  // Entries of 100 bytes and a little.
  void push(std::size_t count) {
    std::vector<raft::Entry> entries;
    for (; count > 0; --count) {
      entries.push_back(raft::Entry::seal(
          raft::EntryDraft(raft::EntryKind::command, kv::encode_set("k", std::string(100, 'x'))),
          Term(1), Index(++last_)));
    }
    pipeline_.push(entries);
    pipeline_.start(now_);
  }
  // Everything that the apply worker has, and what comes of it.
  void apply() {
    while (!worker_.jobs.empty()) {
      EXPECT_TRUE(worker_.pump());
      pipeline_.start(now_);
    }
  }
  void sync() {
    EXPECT_TRUE(upkeep_.pump());
    pipeline_.start(now_);
  }

  SyncedStore store_;
  StateStore states_{store_};
  HandWorker worker_;
  HandWorker upkeep_;
  Time now_{10s};
  std::uint64_t last_ = 0;
  std::vector<std::uint64_t> applied_;  // as reported
  std::vector<std::pair<bool, std::uint64_t>> synced_;
  ApplyPipeline pipeline_{
      states_,
      worker_,
      upkeep_,
      {.batch_bytes_max = 1 << 20, .sync_bytes = 1000, .sync_interval = 5s},
      [this](const Status&, std::span<const raft::Entry> entries, ApplyResult&) {
        applied_.push_back(entries.back().index().value);
      },
      [this](const Status& status, Index through) {
        synced_.emplace_back(status.has_value(), through.value);
      }};
};

TEST_F(ApplyPipelineTest, AfterSoManyBytesTheStateIsSyncedWhileMoreIsApplied) {
  push(20);
  EXPECT_TRUE(upkeep_.jobs.empty()) << "nothing of it is applied yet";
  apply();
  ASSERT_EQ(upkeep_.jobs.size(), 1u);
  push(1);
  apply();
  EXPECT_EQ(applied_, (std::vector<std::uint64_t>{20, 21})) << "a sync holds nobody up";
  sync();
  EXPECT_EQ(synced_, (std::vector<std::pair<bool, std::uint64_t>>{{true, 20}}))
      << "what was applied when it was asked for";
  EXPECT_TRUE(upkeep_.jobs.empty());
}

TEST_F(ApplyPipelineTest, AStoreThatIsFullIsSyncedBefore) {
  store_.wants = true;
  pipeline_.start(now_);
  EXPECT_TRUE(upkeep_.jobs.empty()) << "nothing was applied";
  push(1);
  apply();
  EXPECT_EQ(upkeep_.jobs.size(), 1u);
  sync();
  EXPECT_EQ(synced_.back(), std::pair(true, std::uint64_t{1}));
  EXPECT_TRUE(upkeep_.jobs.empty());
}

TEST_F(ApplyPipelineTest, OneSyncAtATime) {
  push(20);
  apply();
  push(20);
  apply();
  EXPECT_EQ(upkeep_.jobs.size(), 1u);
  sync();
  ASSERT_EQ(upkeep_.jobs.size(), 1u) << "what came meanwhile is enough for the next one";
  sync();
  EXPECT_EQ(synced_.back(), std::pair(true, std::uint64_t{40}));
}

TEST_F(ApplyPipelineTest, ALittleIsSyncedAfterAWhile) {
  EXPECT_EQ(pipeline_.next_deadline(), kNever);
  push(1);
  apply();
  EXPECT_EQ(pipeline_.next_deadline(), Time(15s));
  now_ = Time(14s);
  push(1);
  apply();
  EXPECT_EQ(pipeline_.next_deadline(), Time(15s)) << "the oldest counts";
  EXPECT_TRUE(upkeep_.jobs.empty());
  now_ = Time(15s);
  pipeline_.start(now_);
  ASSERT_EQ(upkeep_.jobs.size(), 1u);
  sync();
  EXPECT_EQ(synced_.back(), std::pair(true, std::uint64_t{2}));
  EXPECT_EQ(pipeline_.next_deadline(), kNever) << "nothing is left to be synced";
}

TEST_F(ApplyPipelineTest, AStopEndsWithASyncOfAllThatIsApplied) {
  push(20);
  apply();
  push(1);  // under way, and a sync, too
  pipeline_.finish();
  pipeline_.start(now_);
  sync();
  EXPECT_TRUE(upkeep_.jobs.empty());
  EXPECT_FALSE(pipeline_.idle());
  apply();
  EXPECT_FALSE(pipeline_.idle());
  ASSERT_EQ(upkeep_.jobs.size(), 1u);
  sync();
  EXPECT_TRUE(pipeline_.idle());
  EXPECT_EQ(synced_.back(), std::pair(true, std::uint64_t{21}));
}

TEST_F(ApplyPipelineTest, AFailedSyncIsReported) {
  store_.answer = failure(ErrorCode::fatal, "the disk is gone");
  push(20);
  apply();
  sync();
  ASSERT_EQ(synced_.size(), 1u);
  EXPECT_FALSE(synced_.front().first);
}

}  // namespace
}  // namespace raftkv::replica
