// A SIGKILL loses nothing that was written; with the interposed library, what was not synced is
// lost, and nothing else.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

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
    const auto finished = process::run(
        {"/usr/bin/env", "LD_PRELOAD=" + library(), std::string(kJournalVariable) + "=" + journal(),
         std::string(kBelowVariable) + "=" + data(), RAFTKV_BIN_DIR "/raftkv-unsynced-writer",
         data() + "/file", data() + "/never"});
    ASSERT_EQ(finished.exit_code, 137) << finished.output;
  }
  [[nodiscard]] static std::string library() { return RAFTKV_BIN_DIR "/libraftkv-unsynced.so"; }
  [[nodiscard]] std::string data() const { return dir_.path() + "/data"; }
  [[nodiscard]] std::string journal() const { return dir_.path() + "/journal"; }
  [[nodiscard]] std::string file() const { return read_file(data() + "/file"); }

  process::TempDir dir_;
  Prng prng_{1};
};

TEST_F(Unsynced, AKillAloneLosesNothing) {
  EXPECT_EQ(file(), "SYnced\nappended\n");
  EXPECT_EQ(read_file(data() + "/never"), "never synced\n");
}

TEST_F(Unsynced, WhatWasNotSyncedIsLostAndNothingElse) {
  const Lost lost = lose_unsynced(journal(), data(), Keep::nothing, prng_);
  EXPECT_EQ(file(), "synced\n");
  EXPECT_EQ(read_file(data() + "/never"), "");
  EXPECT_EQ(lost.writes, 3);
  EXPECT_EQ(lost.synced_files, 1);
}

// Of each file a first part of what was not synced stays.
TEST_F(Unsynced, ADrawnPartStays) {
  (void)lose_unsynced(journal(), data(), Keep::drawn, prng_);
  const std::string left = file();
  EXPECT_TRUE(left == "SYnced\nappended\n" || left == "Synced\nappended\n" ||
              left == "synced\nappended\n" || std::string("synced\nappended\n").starts_with(left))
      << left;
  EXPECT_GE(left.size(), 7u);
}

}  // namespace
}  // namespace raftkv::chaos
