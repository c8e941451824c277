#include "src/storage/fail_stop_env.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <thread>

#include "src/storage/database.h"
#include "tests/storage/test_disk.h"

namespace raftkv::storage {
namespace {

class FailStopEnvTest : public testing::Test {
 protected:
  std::unique_ptr<leveldb::WritableFile> create(const std::string& name) {
    leveldb::WritableFile* file = nullptr;
    (void)env_.NewWritableFile(name, &file);
    return std::unique_ptr<leveldb::WritableFile>(file);
  }
  // Nothing that writes or removes works, or reaches the disk.
  void expect_stopped() {
    EXPECT_TRUE(flag_.tripped());
    EXPECT_EQ(flag_.check().error().code, ErrorCode::fatal);
    const std::uint64_t before = disk_.operations();
    EXPECT_EQ(create("/new"), nullptr);
    leveldb::WritableFile* appended = nullptr;
    EXPECT_FALSE(env_.NewAppendableFile("/new", &appended).ok());
    EXPECT_FALSE(env_.RenameFile("/old", "/new").ok());
    EXPECT_FALSE(env_.RemoveFile("/old").ok());
    EXPECT_FALSE(env_.CreateDir("/dir").ok());
    EXPECT_FALSE(open_->Append("x").ok());
    EXPECT_FALSE(open_->Flush().ok());
    EXPECT_FALSE(open_->Sync().ok());
    EXPECT_FALSE(open_->Close().ok());
    EXPECT_EQ(disk_.operations(), before);
    EXPECT_TRUE(disk_.FileExists("/old"));
  }

  TestDisk disk_;
  FailFlag flag_;
  FailStopEnv env_{disk_, flag_};
  std::unique_ptr<leveldb::WritableFile> open_ = create("/open");
  std::unique_ptr<leveldb::WritableFile> old_ = create("/old");
};

TEST_F(FailStopEnvTest, WorksUntilSomethingFails) {
  EXPECT_TRUE(open_->Append("abc").ok());
  EXPECT_TRUE(open_->Sync().ok());
  EXPECT_TRUE(env_.RenameFile("/open", "/moved").ok());
  EXPECT_EQ(disk_.contents("/moved"), "abc");
  EXPECT_TRUE(flag_.check());
}

TEST_F(FailStopEnvTest, StopsAfterAFailedAppend) {
  disk_.fail_at(1);
  EXPECT_FALSE(open_->Append("abc").ok());
  expect_stopped();
}

TEST_F(FailStopEnvTest, StopsAfterAFailedFlush) {
  ASSERT_TRUE(open_->Append("abc").ok());
  disk_.fail_at(1);
  EXPECT_FALSE(open_->Flush().ok());
  expect_stopped();
}

TEST_F(FailStopEnvTest, StopsAfterAFailedSync) {
  disk_.fail_at(2);
  EXPECT_FALSE(open_->Sync().ok());
  expect_stopped();
}

TEST_F(FailStopEnvTest, StopsAfterAFailedClose) {
  disk_.fail_at(1);
  EXPECT_FALSE(old_->Close().ok());
  expect_stopped();
}

TEST_F(FailStopEnvTest, StopsAfterAFailedCreate) {
  disk_.fail_at(1);
  EXPECT_EQ(create("/another"), nullptr);
  expect_stopped();
}

TEST_F(FailStopEnvTest, StopsAfterACreateWhoseDirectoryCannotBeSynced) {
  disk_.fail_at(2);
  EXPECT_EQ(create("/another"), nullptr);
  expect_stopped();
}

TEST_F(FailStopEnvTest, StopsAfterAFailedRename) {
  disk_.fail_at(1);
  EXPECT_FALSE(env_.RenameFile("/old", "/new").ok());
  expect_stopped();
}

TEST_F(FailStopEnvTest, GoesOnWhenADirectoryIsThereAlready) {
  EXPECT_TRUE(env_.CreateDir("/dir").ok());
  EXPECT_FALSE(env_.CreateDir("/dir").ok());
  EXPECT_FALSE(flag_.tripped());
}

TEST_F(FailStopEnvTest, NamesTheFirstFailureOnly) {
  flag_.trip(leveldb::Status::IOError("first"));
  flag_.trip(leveldb::Status::IOError("second"));
  const std::string message = flag_.check().error().message;
  EXPECT_NE(message.find("first"), std::string::npos);
  EXPECT_EQ(message.find("second"), std::string::npos);
}

TEST_F(FailStopEnvTest, WhatWasCreatedRenamedOrMadeSurvivesALossOfPower) {
  ASSERT_TRUE(env_.CreateDir("/dir").ok());
  const auto file = create("/dir/a");
  ASSERT_TRUE(file->Append("abc").ok());
  ASSERT_TRUE(file->Sync().ok());
  EXPECT_EQ(disk_.after_power_loss()->contents("/dir/a"), "abc");
  ASSERT_TRUE(env_.RenameFile("/dir/a", "/dir/b").ok());
  const auto image = disk_.after_power_loss();
  EXPECT_EQ(image->contents("/dir/b"), "abc");
  EXPECT_FALSE(image->FileExists("/dir/a"));
}

TEST_F(FailStopEnvTest, SyncsAWalThatIsClosedButNoOtherFile) {
  for (const std::string name : {"/000007.log", "/000008.ldb"}) {
    const auto file = create(name);
    ASSERT_TRUE(file->Append("abc").ok());
    ASSERT_TRUE(file->Flush().ok());
  }
  const auto image = disk_.after_power_loss();
  EXPECT_EQ(image->contents("/000007.log"), "abc");
  EXPECT_EQ(image->contents("/000008.ldb"), "");
  EXPECT_EQ(env_.wal_number(), 7u);
}

TEST_F(FailStopEnvTest, ATableGoesToTheDiskInSteps) {
  const std::string piece(100 << 10, 'x');
  const auto table = create("/000008.ldb");
  const auto durable = [&] {
    return disk_.after_power_loss()->contents("/000008.ldb").size() / piece.size();
  };
  for (const std::size_t expected : {0, 0, 3, 3, 3, 6, 6}) {
    ASSERT_TRUE(table->Append(piece).ok());
    EXPECT_EQ(durable(), expected);
  }
  ASSERT_TRUE(table->Sync().ok());
  EXPECT_EQ(durable(), 7u);
}

TEST_F(FailStopEnvTest, StopsWhenAWalThatIsClosedCannotBeSynced) {
  auto wal = create("/000007.log");
  ASSERT_TRUE(wal->Append("abc").ok());
  ASSERT_TRUE(wal->Flush().ok());
  disk_.fail_at(2);
  wal.reset();
  expect_stopped();
}

TEST_F(FailStopEnvTest, AWalThatIsSyncedIsNotSyncedAgain) {
  auto wal = create("/000007.log");
  ASSERT_TRUE(wal->Append("abc").ok());
  ASSERT_TRUE(wal->Sync().ok());
  const std::uint64_t before = disk_.operations();
  wal.reset();
  EXPECT_EQ(disk_.operations(), before);
}

// LevelDB switches to a new WAL while nobody has synced the old one; then a sync of the new one is
// to cover both (the state's store relies on it).
TEST_F(FailStopEnvTest, ASyncedWriteMakesAllBeforeItDurableAcrossASwitchOfTheWal) {
  DatabaseOptions options{.create = true, .write_buffer = 64 << 10};
  const int count = 70;  // fills one memtable, not two: nobody runs background work meanwhile
  std::unique_ptr<TestDisk> image;
  {
    auto database = Database::open(env_, "db", "/db", options);
    ASSERT_TRUE(database);
    const std::uint64_t first_wal = env_.wal_number();
    leveldb::WriteBatch batch;
    for (int i = 0; i < count; ++i) {
      batch.Clear();
      batch.Put(std::to_string(i), std::string(1000, 'x'));
      ASSERT_TRUE(database->write(batch, /*sync=*/false));
    }
    ASSERT_NE(env_.wal_number(), first_wal);
    batch.Clear();
    ASSERT_TRUE(database->write(batch, /*sync=*/true));
    image = disk_.after_power_loss();
    disk_.run_background_work();
  }
  FailFlag flag;
  FailStopEnv env(*image, flag);
  options.create = false;
  auto database = Database::open(env, "db", "/db", options);
  ASSERT_TRUE(database) << database.error().message;
  for (int i = 0; i < count; ++i) EXPECT_TRUE(database->get(std::to_string(i))->has_value()) << i;
}

TEST(FailStopEnvOnThisMachine, WaitsForItsBackgroundWork) {
  struct Work {
    std::latch may_end{1};
    std::atomic<bool> done = false;
  } work;
  FailFlag flag;
  FailStopEnv env(posix_disk(), flag);
  env.await_background_work();  // there is none
  env.Schedule(
      [](void* given) {
        Work& given_work = *static_cast<Work*>(given);
        given_work.may_end.wait();
        given_work.done = true;
      },
      &work);
  std::latch waits(1);
  bool was_done = false;
  {
    const std::jthread waiter([&] {
      waits.count_down();
      env.await_background_work();
      was_done = work.done;
    });
    waits.wait();
    // Time to return too early: that nothing happens cannot be polled for. A waiter that is late
    // makes the test notice less, not fail.
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    work.may_end.count_down();
  }
  EXPECT_TRUE(was_done);
}

}  // namespace
}  // namespace raftkv::storage
