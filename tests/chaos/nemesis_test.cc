// What nemeses themselves find wrong: a node that lives on when it must end, or ends without a
// word. The nodes here are programs that do just that.
#include "tests/chaos/nemesis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/chaos/belongings.h"
#include "tests/chaos/no_ground.h"
#include "tests/process/files.h"

namespace raftkv::chaos {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;  // NOLINT: 500ms reads better than any helper
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Found : public testing::Test {
 protected:
  // Five nodes that do what these lines of a shell say. With a preloaded library that is not there
  // the loader complains in their logs, and goes on.
  void nodes_that(const std::string& lines, const std::string& interposed = "/nonexistent.so") {
    const std::string program = dir_.path() + "/node";
    std::ofstream(program) << "#!/bin/sh\n" << lines << "\n";
    fs::permissions(program, fs::perms::owner_all);
    cluster_ = std::make_unique<Cluster>(
        ClusterOptions{.nodes = 5, .raftkv = program, .interposed = interposed}, ground_,
        belongings_);
    for (int i = 0; i < 5; ++i) {
      fs::create_directory(cluster_->data(i));
      std::ofstream(cluster_->data(i) + "/file") << "something";
      cluster_->start(i);
    }
    world_ = std::make_unique<World>(World{*cluster_, prng_, Links(5), -1, 300ms});
  }
  std::string found_by(std::string_view name, bool a_sync_fails) {
    const auto nemesis = find_nemesis(name)->make(*world_);
    (void)nemesis->strike();
    for (int i = 0; i < 5 && a_sync_fails; ++i) ++cluster_->disk(i).failures;
    nemesis->heal();
    for (int i = 0; i < 5; ++i) cluster_->kill(i);
    return nemesis->broken();
  }

  process::TempDir dir_;
  Belongings belongings_;
  NoGround ground_;
  Prng prng_{1};
  std::unique_ptr<Cluster> cluster_;
  std::unique_ptr<World> world_;
};

TEST_F(Found, ANodeThatGoesOnAfterAFailedSync) {
  nodes_that("exec sleep 60");
  EXPECT_THAT(found_by("fail-syncs", true), HasSubstr("goes on after its disk has failed"));
}

TEST_F(Found, NothingWhenItEndsOrNoSyncFailed) {
  nodes_that("exit 1");
  EXPECT_THAT(found_by("fail-syncs", true), IsEmpty());
  nodes_that("exec sleep 60");
  EXPECT_THAT(found_by("fail-syncs", false), IsEmpty());
}

TEST_F(Found, ADamagedNodeThatEndsWithoutAWord) {
  nodes_that("exit 1", "");
  EXPECT_THAT(found_by("corrupt", false), HasSubstr("ended without a word"));
  nodes_that("echo my file is damaged; exit 1", "");
  EXPECT_THAT(found_by("corrupt", false), IsEmpty());
}

}  // namespace
}  // namespace raftkv::chaos
