#include "src/storage/write_back_store.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>
#include <thread>
#include <vector>

#include "src/base/prng.h"
#include "src/kv/state_machine.h"
#include "tests/storage/test_disk.h"

namespace raftkv::storage {
namespace {

std::unique_ptr<WriteBackStore> open_on(FailStopEnv& env, const std::string& path,
                                        std::size_t bytes_max = WriteBackStore::kBytesMax) {
  auto under = LevelDbStore::open(env, path);
  EXPECT_TRUE(under);
  return std::make_unique<WriteBackStore>(std::move(*under), bytes_max);
}

kv::MemoryStore::Contents contents(kv::View& view) {
  kv::MemoryStore::Contents found;
  for (; view.valid(); view.next()) found.emplace(view.key(), view.value());
  EXPECT_TRUE(view.status());
  return found;
}

class WriteBackStoreTest : public testing::Test {
 protected:
  WriteBackStoreTest() {
    EXPECT_TRUE(LevelDbStore::create(env_, "/state-1"));
    store_ = open_on(env_, "/state-1");
  }
  Status put(std::string_view key, std::string_view bytes, std::uint64_t index) {
    kv::Batch batch;
    batch.put(kv::kUserSpace, key, bytes, index);
    return store_->write(batch);
  }
  // What a start on this image finds.
  static std::string found(TestDisk& image) {
    FailFlag flag;
    FailStopEnv env(image, flag);
    std::string out;
    EXPECT_TRUE(open_on(env, "/state-1")->scan("", "", [&](std::string_view key, auto stored) {
      const auto value = kv::parse_stored_value(stored);
      out += fmt::format("{}={}@{} ", key, value->bytes, value->index);
      return true;
    }));
    return out;
  }

  TestDisk disk_;
  FailFlag flag_;
  FailStopEnv env_{disk_, flag_};
  std::unique_ptr<WriteBackStore> store_;
};

// Batches of few keys, so that memory and LevelDB hold the same ones, erased or not; views that
// stay open while it goes on; a store that hands on by itself every now and then.
TEST_F(WriteBackStoreTest, DoesWhatTheMemoryStoreDoes) {
  Prng prng(7);
  store_.reset();
  store_ = open_on(env_, "/state-1", 2000);
  kv::MemoryStore memory;
  struct Open {
    std::unique_ptr<kv::View> view;
    kv::MemoryStore::Contents contents;
  };
  std::vector<Open> views;
  std::uint64_t index = 0;
  for (int step = 0; step < 3000; ++step) {
    kv::Batch batch;
    std::vector<std::string> kept(8);  // the batch borrows
    for (std::string& text : kept) {
      text = fmt::format("{}", prng.below(30));
      if (prng.chance(1, 4)) {
        batch.erase(kv::kUserSpace, text);
      } else {
        batch.put(kv::kUserSpace, text, text, ++index);
      }
    }
    batch.put(kv::kMetaSpace, "", "meta", ++index);
    ASSERT_TRUE(memory.write(batch));
    ASSERT_TRUE(store_->write(batch));
    if (prng.chance(1, 20)) {
      ASSERT_TRUE(store_->sync());
    }
    if (prng.chance(1, 20)) disk_.run_background_work();
    const std::string key = fmt::format("k{}", prng.below(30));
    if (std::optional<std::string> value; store_->get_at_once(key, value)) {
      ASSERT_EQ(value, memory.get(key).value()) << step;
    }
    ASSERT_EQ(store_->get(key).value(), memory.get(key).value()) << step;
    if (std::optional<std::string> value; store_->get_at_once(key, value)) {
      ASSERT_EQ(value, memory.get(key).value()) << step;
    }
    if (prng.chance(1, 30)) views.push_back({store_->view(), memory.contents()});
    if (prng.chance(1, 30)) {
      const std::string from = fmt::format("k{}", prng.below(30));
      const auto view = store_->view();
      view->seek(from);
      const auto expected = memory.contents().lower_bound(from);
      ASSERT_EQ(view->valid(), expected != memory.contents().end());
      if (view->valid()) {
        ASSERT_EQ(view->key(), expected->first);
        ASSERT_EQ(view->value(), expected->second);
      }
    }
    if (views.size() > 3) {
      ASSERT_EQ(contents(*views.front().view), views.front().contents) << step;
      views.erase(views.begin());
    }
  }
  EXPECT_EQ(kv::contents_digest(*store_).value(), kv::contents_digest(memory).value());
  views.clear();
}

// What was written since the sync before the last one is in memory.
TEST_F(WriteBackStoreTest, WhatWasWrittenLatelyIsReadAtOnce) {
  std::optional<std::string> value;
  const auto at_once = [&](std::string_view key) { return store_->get_at_once(key, value); };
  EXPECT_FALSE(at_once("ka"));
  ASSERT_TRUE(put("a", "1", 1));
  EXPECT_TRUE(at_once("ka"));
  EXPECT_EQ(value, store_->get("ka").value());
  ASSERT_TRUE(store_->sync());
  EXPECT_TRUE(at_once("ka"));
  kv::Batch batch;
  batch.erase(kv::kUserSpace, "a");
  const std::string large(WriteBackStore::kBytesAtOnce, 'x');
  batch.put(kv::kUserSpace, "large", large, 2);
  ASSERT_TRUE(store_->write(batch));
  EXPECT_FALSE(at_once("klarge"));
  EXPECT_TRUE(at_once("ka"));
  EXPECT_EQ(value, std::nullopt) << "the erasure, not what left before it";
  ASSERT_TRUE(store_->sync());
  ASSERT_TRUE(put("b", "3", 3));
  EXPECT_TRUE(at_once("ka"));
  ASSERT_TRUE(store_->sync());
  EXPECT_FALSE(at_once("ka"));
  EXPECT_EQ(store_->get("ka").value(), std::nullopt);
  EXPECT_TRUE(at_once("kb"));
}

TEST_F(WriteBackStoreTest, WhatWasReadOnceIsReadAtOnceUntilItIsWritten) {
  ASSERT_TRUE(put("a", "1", 1));
  ASSERT_TRUE(store_->sync());
  store_.reset();
  store_ = open_on(env_, "/state-1");
  std::optional<std::string> value;
  const auto at_once = [&](std::string_view key) { return store_->get_at_once(key, value); };
  EXPECT_FALSE(at_once("ka"));
  const auto stored = store_->get("ka").value();
  ASSERT_TRUE(stored);
  EXPECT_TRUE(at_once("ka"));
  EXPECT_EQ(value, stored);
  EXPECT_FALSE(at_once("kb"));
  EXPECT_EQ(store_->get("kb").value(), std::nullopt);
  EXPECT_TRUE(at_once("kb"));
  EXPECT_EQ(value, std::nullopt);

  ASSERT_TRUE(put("a", "2", 2));
  EXPECT_TRUE(at_once("ka"));
  EXPECT_NE(value, stored);
  for (int i = 0; i < 2; ++i) {  // until nothing of it is in memory
    ASSERT_TRUE(put("other", "x", 3));
    ASSERT_TRUE(store_->sync());
  }
  EXPECT_FALSE(at_once("ka")) << "the old value does not come back";
}

// LevelDB is being read while the key is written, synced, and leaves memory.
TEST_F(WriteBackStoreTest, AReadThatAWriteOvertakesIsNotKept) {
  ASSERT_TRUE(put("a", "1", 1));
  ASSERT_TRUE(store_->sync());
  store_.reset();  // opening it makes a table of what is in the WAL
  store_ = open_on(env_, "/state-1");
  bool overtaken = false;
  disk_.on_read([&] {
    if (std::exchange(overtaken, true)) return;
    for (const char* key : {"a", "b", "c"}) {
      ASSERT_TRUE(put(key, "2", 2));
      ASSERT_TRUE(store_->sync());
    }
  });
  const auto before = store_->get("ka").value();
  disk_.on_read({});
  ASSERT_TRUE(overtaken);
  std::optional<std::string> value;
  EXPECT_FALSE(store_->get_at_once("ka", value));
  EXPECT_NE(store_->get("ka").value(), before);
}

TEST_F(WriteBackStoreTest, OnlyWhatWasSyncedSurvivesTheProcessAndThePower) {
  ASSERT_TRUE(put("a", "1", 1));
  ASSERT_TRUE(store_->sync());
  ASSERT_TRUE(put("a", "2", 2));
  ASSERT_TRUE(put("b", "3", 3));
  EXPECT_EQ(found(*disk_.after_kill()), "ka=1@1 ");
  EXPECT_EQ(found(*disk_.after_power_loss()), "ka=1@1 ");
  ASSERT_TRUE(store_->sync());
  EXPECT_EQ(found(*disk_.after_power_loss()), "ka=2@2 kb=3@3 ");
}

// At each operation of a sync the disk may be all that is left: the old state or the new one.
TEST_F(WriteBackStoreTest, ACrashWithinASyncLeavesAllOfItOrNothing) {
  ASSERT_TRUE(put("a", "1", 1));
  ASSERT_TRUE(put("z", "1", 1));
  ASSERT_TRUE(store_->sync());
  ASSERT_TRUE(put("a", std::string(100'000, 'x'), 2));
  ASSERT_TRUE(put("z", "2", 2));
  std::vector<std::unique_ptr<TestDisk>> images;
  disk_.on_operation([&] {
    images.push_back(disk_.after_kill());
    images.push_back(disk_.after_power_loss());
  });
  ASSERT_TRUE(store_->sync());
  disk_.on_operation({});
  images.push_back(disk_.after_power_loss());
  const std::string before = "ka=1@1 kz=1@1 ";
  const std::string after = fmt::format("ka={}@2 kz=2@2 ", std::string(100'000, 'x'));
  std::size_t old_ones = 0;
  for (const auto& image : images) {
    const std::string now = found(*image);
    ASSERT_TRUE(now == before || now == after);
    old_ones += now == before ? 1 : 0;
  }
  EXPECT_GT(old_ones, 2u);
  EXPECT_LT(old_ones, images.size());
}

TEST_F(WriteBackStoreTest, AKeyWrittenOftenGoesToTheDiskOnce) {
  for (std::uint64_t i = 1; i <= 1000; ++i)
    ASSERT_TRUE(put("a", std::string(1000, static_cast<char>('a' + i % 26)), i));
  ASSERT_TRUE(store_->sync());
  std::size_t bytes = 0;
  for (const std::string& file : disk_.files()) bytes += disk_.contents(file).size();
  EXPECT_LT(bytes, 10'000u);
}

TEST_F(WriteBackStoreTest, NobodySyncsAndMemoryStaysBounded) {
  store_.reset();
  store_ = open_on(env_, "/state-1", 10'000);
  for (std::uint64_t i = 1; i <= 15; ++i)
    ASSERT_TRUE(put(fmt::format("{:02}", i), std::string(1000, 'x'), i));
  const std::string left = found(*disk_.after_kill());
  EXPECT_NE(left.find("k10="), std::string::npos) << "handed on when it was too much";
  EXPECT_EQ(left.find("k15="), std::string::npos);
}

TEST_F(WriteBackStoreTest, WantsASyncWhenHalfOfTheRoomIsTaken) {
  store_.reset();
  store_ = open_on(env_, "/state-1", 10'000);
  for (std::uint64_t i = 1; i <= 100; ++i) ASSERT_TRUE(put("a", std::string(1000, 'x'), i));
  EXPECT_FALSE(store_->wants_sync()) << "one key";
  for (std::uint64_t i = 1; i <= 5; ++i)
    ASSERT_TRUE(put(fmt::format("{:02}", i), std::string(1000, 'x'), i));
  EXPECT_TRUE(store_->wants_sync());
  ASSERT_TRUE(store_->sync());
  EXPECT_FALSE(store_->wants_sync());
}

TEST_F(WriteBackStoreTest, AFailedDiskIsFatalAndReadersStillFindWhatWasWritten) {
  ASSERT_TRUE(put("a", "1", 1));
  disk_.fail_at(1);
  EXPECT_EQ(store_->sync().error().code, ErrorCode::fatal);
  EXPECT_EQ(put("b", "2", 2).error().code, ErrorCode::fatal);
  EXPECT_EQ(store_->sync().error().code, ErrorCode::fatal);
  EXPECT_EQ(kv::StateMachine::get(*store_, "a").value(), (kv::Value{"1", 1}));
  EXPECT_EQ(found(*disk_.after_kill()), "");
}

// A thread writes, one syncs, two read: each batch writes both keys, and no reader finds one of
// them newer than a view that is opened later.
TEST(WriteBackStoreThreads, ReadersSeeWholeBatchesInOrder) {
  std::string directory = testing::TempDir() + "raftkv-state-XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  FailFlag flag;
  FailStopEnv env(posix_disk(), flag);
  const std::string path = directory + "/state-1";
  ASSERT_TRUE(LevelDbStore::create(env, path));
  auto store = open_on(env, path, 20'000);
  constexpr std::uint64_t kBatches = 3000;
  std::atomic<bool> ended = false;
  const std::string bytes(100, 'x');
  const auto write = [&] {
    for (std::uint64_t i = 1; i <= kBatches; ++i) {
      kv::Batch batch;
      const std::string other = fmt::format("other{}", i % 100);
      batch.put(kv::kUserSpace, "first", "x", i);
      batch.put(kv::kUserSpace, other, bytes, i);
      batch.put(kv::kUserSpace, "last", "x", i);
      ASSERT_TRUE(store->write(batch));
    }
    ended = true;
  };
  const auto index_of = [&](std::string_view key) {
    const auto value = kv::StateMachine::get(*store, key);
    EXPECT_TRUE(value);
    return *value ? (*value)->index : 0;
  };
  const auto read = [&] {
    std::uint64_t seen = 0;
    while (!ended) {
      const std::uint64_t last = index_of("last");
      EXPECT_GE(last, seen);
      seen = index_of("first");
      EXPECT_GE(seen, last);
    }
  };
  const auto look = [&] {
    std::uint64_t seen = 0;
    while (!ended) {
      const std::uint64_t before = index_of("last");
      const auto all = contents(*store->view());
      const auto first = all.find("kfirst");
      if (first == all.end()) continue;
      const auto parts = kv::parse_stored_value(first->second);
      EXPECT_EQ(parts->index, kv::parse_stored_value(all.at("klast"))->index);
      EXPECT_GE(parts->index, std::max(seen, before));
      seen = parts->index;
    }
  };
  const auto sync = [&] {
    while (!ended) EXPECT_TRUE(store->sync());
  };
  {
    const std::jthread writer(write);
    const std::jthread reader(read);
    const std::jthread viewer(look);
    const std::jthread syncer(sync);
  }
  EXPECT_EQ(index_of("last"), kBatches);
  store.reset();
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace raftkv::storage
