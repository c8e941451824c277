#include "src/storage/ordered_store.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "src/kv/state_machine.h"
#include "tests/storage/test_disk.h"

namespace raftkv::storage {
namespace {

class LevelDbStoreTest : public testing::Test {
 protected:
  LevelDbStoreTest() {
    EXPECT_TRUE(LevelDbStore::create(env_, "/state-1"));
    store_ = open_on(env_);
  }
  static std::unique_ptr<LevelDbStore> open_on(FailStopEnv& env) {
    auto store = LevelDbStore::open(env, "/state-1");
    EXPECT_TRUE(store);
    return store ? std::move(*store) : nullptr;
  }
  void put(std::string_view key, std::string_view bytes, std::uint64_t index) {
    kv::Batch batch;
    batch.put(kv::kUserSpace, key, bytes, index);
    ASSERT_TRUE(store_->write(batch));
  }
  // What a start on this image finds.
  static std::string contents(TestDisk& image) {
    FailFlag flag;
    FailStopEnv env(image, flag);
    return contents(*open_on(env));
  }
  static std::string contents(LevelDbStore& store) {
    std::string out;
    EXPECT_TRUE(store.scan("", "", [&](std::string_view key, std::string_view stored) {
      const auto value = kv::parse_stored_value(stored);
      out += fmt::format("{}={}@{} ", key, value->bytes, value->index);
      return true;
    }));
    return out;
  }

  TestDisk disk_;
  FailFlag flag_;
  FailStopEnv env_{disk_, flag_};
  std::unique_ptr<LevelDbStore> store_;
};

TEST_F(LevelDbStoreTest, DoesWhatTheMemoryStoreDoes) {
  kv::MemoryStore memory;
  for (kv::OrderedStore* store :
       {static_cast<kv::OrderedStore*>(store_.get()), static_cast<kv::OrderedStore*>(&memory)}) {
    kv::Batch batch;
    batch.put(kv::kUserSpace, "b", "1", 1);
    batch.put(kv::kUserSpace, "a", std::string_view("\0", 1), 2);
    batch.put(kv::kUserSpace, "b", "2", 3);
    batch.put(kv::kUserSpace, "c", "3", 4);
    batch.erase(kv::kUserSpace, "c");
    batch.erase(kv::kUserSpace, "never");
    batch.put(kv::kMetaSpace, "", "meta", 5);
    ASSERT_TRUE(store->write(batch));
  }
  std::map<std::string, std::string, std::less<>> found;
  ASSERT_TRUE(store_->scan("", "", [&](std::string_view key, std::string_view stored) {
    found.emplace(key, stored);
    return true;
  }));
  EXPECT_EQ(found, memory.contents());
  EXPECT_EQ(kv::contents_digest(*store_).value(), kv::contents_digest(memory).value());
  EXPECT_EQ(store_->get("kb").value(), memory.get("kb").value());
  EXPECT_EQ(store_->get("kc").value(), std::nullopt);
}

TEST_F(LevelDbStoreTest, ScansAHalfOpenRangeUntilTold) {
  for (const std::string_view key : {"a", "b", "c", "d"}) put(key, key, 1);
  std::string seen;
  ASSERT_TRUE(store_->scan("kb", "kd", [&](std::string_view key, std::string_view) {
    seen.append(key);
    return true;
  }));
  EXPECT_EQ(seen, "kbkc");
  int calls = 0;
  ASSERT_TRUE(store_->scan("", "", [&](auto, auto) { return ++calls < 2; }));
  EXPECT_EQ(calls, 2);
}

TEST_F(LevelDbStoreTest, AWriteSurvivesTheProcessAndASyncThePower) {
  put("a", "1", 1);
  ASSERT_TRUE(store_->sync());
  put("b", "2", 2);
  EXPECT_EQ(contents(*disk_.after_kill()), "ka=1@1 kb=2@2 ");
  EXPECT_EQ(contents(*disk_.after_power_loss()), "ka=1@1 ");
  ASSERT_TRUE(store_->sync());
  EXPECT_EQ(contents(*disk_.after_power_loss()), "ka=1@1 kb=2@2 ");
}

TEST_F(LevelDbStoreTest, IsNeverMadeByAccident) {
  FailFlag flag;
  FailStopEnv env(disk_, flag);
  EXPECT_EQ(LevelDbStore::open(env, "/state-2").error().code, ErrorCode::corrupt);
  EXPECT_FALSE(LevelDbStore::create(env, "/state-1"));
}

TEST_F(LevelDbStoreTest, AFailedWriteIsFatalAndTheLast) {
  put("a", "1", 1);
  disk_.fail_at(1);
  kv::Batch batch;
  batch.put(kv::kUserSpace, "b", "2", 2);
  EXPECT_EQ(store_->write(batch).error().code, ErrorCode::fatal);
  EXPECT_EQ(store_->write(batch).error().code, ErrorCode::fatal);
  EXPECT_EQ(store_->sync().error().code, ErrorCode::fatal);
  EXPECT_EQ(contents(*disk_.after_kill()), "ka=1@1 ");
}

}  // namespace
}  // namespace raftkv::storage
