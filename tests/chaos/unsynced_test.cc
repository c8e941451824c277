// A SIGKILL loses nothing that was written; with the interposed library, what was not synced is
// lost, and nothing else. The same library makes syncs slow or fail.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "tests/chaos/disk_control.h"
#include "tests/chaos/unsynced.h"
#include "tests/process/child.h"
#include "tests/process/files.h"

namespace raftkv::chaos {
namespace {

using process::read_file;

class Unsynced : public testing::Test {
 protected:
  void SetUp() override {
    if (::access(library().c_str(), R_OK) != 0)
      GTEST_SKIP() << "the interposed library is not built with sanitizers";
    std::filesystem::create_directory(data());
    disk_ = map_disk_control(page(), true);
    ASSERT_NE(disk_, nullptr);
  }
  void write_and_die() {
    const auto finished = run();
    ASSERT_EQ(finished.exit_code, 137) << finished.output;
  }
  [[nodiscard]] process::Finished run() const {
    return process::run(
        {"/usr/bin/env", "LD_PRELOAD=" + library(), std::string(kJournalVariable) + "=" + journal(),
         std::string(kBelowVariable) + "=" + data(), std::string(kControlVariable) + "=" + page(),
         RAFTKV_BIN_DIR "/raftkv-unsynced-writer", data() + "/file", data() + "/never"});
  }
  [[nodiscard]] static std::string library() { return RAFTKV_BIN_DIR "/libraftkv-unsynced.so"; }
  [[nodiscard]] std::string data() const { return dir_.path() + "/data"; }
  [[nodiscard]] std::string page() const { return dir_.path() + "/disk"; }
  [[nodiscard]] std::string journal() const { return dir_.path() + "/journal"; }
  [[nodiscard]] std::string file() const { return read_file(data() + "/file"); }

  process::TempDir dir_;
  Prng prng_{1};
  DiskControl* disk_ = nullptr;
};

TEST_F(Unsynced, AKillAloneLosesNothing) {
  write_and_die();
  EXPECT_EQ(file(), "SYnced\nappended\n");
  EXPECT_EQ(read_file(data() + "/never"), "never synced\n");
}

TEST_F(Unsynced, WhatWasNotSyncedIsLostAndNothingElse) {
  write_and_die();
  const Lost lost = lose_unsynced(journal(), data(), Keep::nothing, prng_);
  EXPECT_EQ(file(), "synced\n");
  EXPECT_EQ(read_file(data() + "/never"), "");
  EXPECT_EQ(lost.writes, 3);
  EXPECT_EQ(lost.synced_files, 1);
}

// Of each file a first part of what was not synced stays.
TEST_F(Unsynced, ADrawnPartStays) {
  write_and_die();
  (void)lose_unsynced(journal(), data(), Keep::drawn, prng_);
  const std::string left = file();
  EXPECT_TRUE(left == "SYnced\nappended\n" || left == "Synced\nappended\n" ||
              left == "synced\nappended\n" || std::string("synced\nappended\n").starts_with(left))
      << left;
  EXPECT_GE(left.size(), 7u);
}

TEST_F(Unsynced, AFailedSyncSyncsNothing) {
  disk_->failing = 1;
  EXPECT_EQ(run().exit_code, 3);
  EXPECT_EQ(disk_->failures, 1u);
  EXPECT_EQ(file(), "synced\n");
  const Lost lost = lose_unsynced(journal(), data(), Keep::nothing, prng_);
  EXPECT_EQ(file(), "");
  EXPECT_EQ(lost.synced_files, 0);
}

TEST_F(Unsynced, ASlowSyncTakesItsTimeAndIsHealedAtOnce) {
  const auto began = std::chrono::steady_clock::now();
  disk_->sync_ms = 300;
  write_and_die();
  EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(300));
  disk_->sync_ms = 1'000'000;
  std::thread heals([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    disk_->sync_ms = 0;
  });
  write_and_die();
  heals.join();
  EXPECT_EQ(disk_->failures, 0u);
}

TEST_F(Unsynced, ALongSyncIsNotedWithoutWhatIsAdded) {
  const auto began = std::chrono::steady_clock::now().time_since_epoch();
  disk_->sync_ms = 300;
  write_and_die();
  EXPECT_EQ(disk_->noted_syncs, 1u);
  const LongSync& noted = disk_->noted[0];
  EXPECT_GE(std::chrono::nanoseconds(noted.began) - began, std::chrono::milliseconds(300));
  EXPECT_GT(noted.ended, noted.began);

  disk_->noted_from_ms = 1'000'000;
  write_and_die();
  EXPECT_EQ(disk_->noted_syncs, 1u);
}

}  // namespace
}  // namespace raftkv::chaos
