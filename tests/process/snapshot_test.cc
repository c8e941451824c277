// Logs that end and snapshots that stand for what they had, with real nodes.
#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <thread>

#include "tests/process/fixture.h"
#include "tests/process/load.h"

namespace raftkv::process {
namespace {

using ::testing::IsEmpty;

constexpr int kValueBytes = 100'000;

// Nodes that keep next to nothing of their logs.
class Snapshot : public ProcessTest {
 protected:
  Cluster& forgetful(int nodes = 3) { return cluster(nodes, {"--log-kept-bytes", "65536"}); }

  // Big values over `count` keys.
  void write_much(const std::string& prefix, int count) {
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(cluster().put(prefix + std::to_string(i),
                                prefix + std::to_string(i) + std::string(kValueBytes, 'v')));
    }
  }
  void expect_much(const Node& node, const std::string& prefix, int count) {
    for (int i = 0; i < count; ++i) {
      const std::string key = prefix + std::to_string(i);
      const auto answer = node.get("/key/" + key + "?level=stale&raw");
      ASSERT_TRUE(answer.has_value());
      EXPECT_EQ(answer->body, key + std::string(kValueBytes, 'v'));
    }
  }
  // Writes until the running nodes' logs no longer reach back to `index`.
  void write_until_cut_behind(std::uint64_t index) {
    int round = 0;
    ASSERT_TRUE(eventually([&] {
      write_much("filler" + std::to_string(round++ % 3) + "-", 20);
      bool all_cut = true;
      for (int i = 0; i < cluster().size(); ++i) {
        if (!cluster()[i].running()) continue;
        const auto status = cluster()[i].status();
        all_cut = all_cut && status && status->first_index > index + 1;
      }
      return all_cut;
    }));
  }
  static std::uint64_t metric(const Node& node, const std::string& name) {
    const auto answer = node.get("/metrics");
    if (!answer) return 0;
    const std::size_t at = answer->body.find("\n" + name + " ");
    return at == std::string::npos
               ? 0
               : static_cast<std::uint64_t>(std::stod(answer->body.substr(at + name.size() + 2)));
  }
  static std::uintmax_t size_of(const std::string& directory) {
    std::uintmax_t bytes = 0;
    std::error_code error;
    for (const auto& file : std::filesystem::directory_iterator(directory, error)) {
      const auto size = file.file_size(error);
      if (!error) bytes += size;
    }
    return bytes;
  }
  static int state_directories(const Node& node) {
    int count = 0;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(node.data(), error)) {
      count += entry.path().filename().string().starts_with("state-") ? 1 : 0;
    }
    return count;
  }
};

TEST_F(Snapshot, BringsANodeThatWasAwayTooLong) {
  forgetful();
  write_much("before", 5);
  ASSERT_TRUE(cluster().settles());
  const int away = cluster().wait_for_follower();
  const auto last = cluster()[away].status()->last_index;
  cluster()[away].kill();
  write_until_cut_behind(last);
  write_much("without", 5);
  cluster().start(away);
  ASSERT_TRUE(cluster().settles());
  EXPECT_GE(metric(cluster()[away], "raftkv_snapshots_installed_total"), 1u);
  EXPECT_GT(cluster()[away].status()->first_index, last);
  expect_much(cluster()[away], "before", 5);
  expect_much(cluster()[away], "without", 5);
  EXPECT_TRUE(eventually([&] { return state_directories(cluster()[away]) == 1; }));
  // And goes on from there, over another start.
  cluster()[away].kill();
  cluster().start(away);
  write_much("after", 5);
  ASSERT_TRUE(cluster().settles());
  expect_much(cluster()[away], "after", 5);
}

TEST_F(Snapshot, BringsANodeThatJoinsLate) {
  forgetful();
  write_much("before", 5);
  write_until_cut_behind(20);
  Node& fourth = cluster().new_node();
  cluster().join(fourth);
  ASSERT_TRUE(cluster().voters_become({"node01", "node02", "node03", "node04"}));
  ASSERT_TRUE(cluster().settles());
  EXPECT_GE(metric(fourth, "raftkv_snapshots_installed_total"), 1u);
  expect_much(fourth, "before", 5);
}

TEST_F(Snapshot, ComesAgainAfterAKillOfItsReceiver) {
  forgetful();
  write_much("before", 100);
  ASSERT_TRUE(cluster().settles());
  const int away = cluster().wait_for_follower();
  for (int round = 0; round < 5; ++round) {
    const auto last = cluster()[away].status()->last_index;
    cluster()[away].kill();
    write_until_cut_behind(last);
    cluster().start(away);
    // Something of it has come.
    ASSERT_TRUE(eventually([&] { return state_directories(cluster()[away]) > 1; }));
    std::this_thread::sleep_for(milliseconds(round * 15));
    cluster()[away].kill();
    cluster().start(away);
    ASSERT_TRUE(cluster().settles()) << round;
  }
  expect_much(cluster()[away], "before", 100);
}

TEST_F(Snapshot, ComesFromAnotherAfterAKillOfItsSender) {
  forgetful();
  write_much("before", 100);
  ASSERT_TRUE(cluster().settles());
  const int away = cluster().wait_for_follower();
  const auto last = cluster()[away].status()->last_index;
  cluster()[away].kill();
  write_until_cut_behind(last);
  cluster().start(away);
  ASSERT_TRUE(eventually([&] { return state_directories(cluster()[away]) > 1; }));
  const auto sender = cluster().leader();
  ASSERT_TRUE(sender.has_value());
  cluster()[*sender].kill();
  ASSERT_TRUE(cluster().settles());
  expect_much(cluster()[away], "before", 100);
  cluster().start(*sender);
  ASSERT_TRUE(cluster().settles());
}

TEST_F(Snapshot, ReplacesAStateThatWasDamaged) {
  forgetful();
  write_much("before", 5);
  write_until_cut_behind(20);
  const int hurt = cluster().wait_for_follower();
  cluster()[hurt].kill();
  for (const auto& entry : std::filesystem::directory_iterator(cluster()[hurt].data())) {
    if (!entry.path().filename().string().starts_with("state-")) continue;
    std::filesystem::remove(entry.path() / "CURRENT");
  }
  cluster().start(hurt);
  ASSERT_TRUE(cluster().settles());
  expect_much(cluster()[hurt], "before", 5);
  EXPECT_NE(cluster()[hurt].log().find("event=state_replaced"), std::string::npos);
}

TEST_F(Snapshot, LeavesALogThatDoesNotGrow) {
  forgetful();
  std::uintmax_t most = 0;
  for (int round = 0; round < 30; ++round) {
    write_much("again", 30);
    for (int i = 0; i < cluster().size(); ++i) {
      most = std::max(most, size_of(cluster()[i].data() + "/log"));
    }
  }
  // 90 MB were written.
  EXPECT_LT(most, 40u << 20);
  ASSERT_TRUE(cluster().settles());
  expect_much(cluster()[0], "again", 30);
}

}  // namespace
}  // namespace raftkv::process
