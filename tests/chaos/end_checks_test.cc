// Each check of the end: passed, and failed.
#include "tests/chaos/end_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/chaos/belongings.h"
#include "tests/chaos/cluster.h"
#include "tests/chaos/no_ground.h"

namespace raftkv::chaos {
namespace {

using namespace std::chrono_literals;  // NOLINT: 500ms reads better than any helper
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

process::Status status(std::uint64_t applied, const std::string& digest) {
  process::Status status;
  status.role = "follower";
  status.applied_index = status.commit_index = applied;
  status.digest = digest;
  return status;
}

TEST(NodesAgree, WithTheSameIndexAndDigest) {
  std::string why;
  EXPECT_TRUE(nodes_agree({status(7, "aa"), status(7, "aa"), status(7, "aa")}, why));
  EXPECT_THAT(why, HasSubstr("node03: follower"));
}

TEST(NodesAgree, NotWhenADigestDiffers) {
  std::string why;
  EXPECT_FALSE(nodes_agree({status(7, "aa"), status(7, "ab"), status(7, "aa")}, why));
  EXPECT_THAT(why, HasSubstr("node02: follower, term 0, commit 7, applied 7, digest ab"));
}

TEST(NodesAgree, NotWhenOneIsBehind) {
  std::string why;
  EXPECT_FALSE(nodes_agree({status(7, "aa"), status(6, "aa"), status(7, "aa")}, why));
  process::Status behind = status(7, "aa");
  behind.commit_index = 8;
  EXPECT_FALSE(nodes_agree({behind, behind}, why));
}

TEST(NodesAgree, NotWhenOneDoesNotAnswer) {
  std::string why;
  EXPECT_FALSE(nodes_agree({status(7, "aa"), {}, status(7, "aa")}, why));
  EXPECT_THAT(why, HasSubstr("node02: no answer"));
}

TEST(CountKeys, TellsWhatIsMissingAndWhoDoesNotAnswer) {
  const std::set<std::string> keys = {"a", "b", "c", "d", "e"};
  const auto all = count_keys(keys, 3, [](int, const std::string&) { return true; });
  EXPECT_THAT(all.missing, IsEmpty());
  EXPECT_EQ(all.unanswered, 0);
  const auto lost = count_keys(keys, 3, [](int, const std::string& key) {
    return key == "d" || key == "b" ? std::optional(false) : std::optional(true);
  });
  EXPECT_THAT(lost.missing, ElementsAre("b", "d"));
  const auto silent = count_keys(keys, 3, [](int node, const std::string&) {
    return node == 1 ? std::optional<bool>() : std::optional(true);
  });
  EXPECT_EQ(silent.unanswered, 2);  // b and e are asked there
}

class Deaths : public testing::Test {
 protected:
  // Nodes of a program that ends at once.
  void start_and_wait(int node) {
    cluster_.start(node);
    ASSERT_TRUE(process::eventually([&] { return !cluster_.running(node); }));
  }
  Belongings belongings_;
  NoGround ground_;
  Cluster cluster_{{.nodes = 3, .raftkv = "/bin/false"}, ground_, belongings_};
};

TEST_F(Deaths, OfANodeThatShouldLiveIsToldOnce) {
  start_and_wait(1);
  EXPECT_THAT(cluster_.unexpected_deaths(),
              ElementsAre(HasSubstr("node02 is dead and should not be")));
  EXPECT_THAT(cluster_.unexpected_deaths(), IsEmpty());
}

TEST_F(Deaths, OfNodesThatWereKilledAreNoSurprise) {
  start_and_wait(0);
  cluster_.kill(0);
  start_and_wait(1);
  cluster_.may_die(1);
  EXPECT_THAT(cluster_.unexpected_deaths(), IsEmpty());
}

// It has found its damage: it is wiped and started anew.
TEST_F(Deaths, OfADamagedNodeBringItBackEmpty) {
  start_and_wait(2);
  std::filesystem::create_directory(cluster_.data(2));
  cluster_.files_were_damaged(2);
  EXPECT_THAT(cluster_.unexpected_deaths(), IsEmpty());
  EXPECT_EQ(cluster_.wiped_for_damage(), 1);
  EXPECT_FALSE(std::filesystem::exists(cluster_.data(2)));
  EXPECT_FALSE(cluster_.is_doubtful(2));
}

}  // namespace
}  // namespace raftkv::chaos
