// Logs that are cut and snapshots that stand for what they had, from Host to Host.

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "tests/replica/world.h"

namespace raftkv::replica {
namespace {

// Nodes that keep next to nothing of their logs and send their state in small pieces.
HostOptions forgetful() {
  HostOptions options;
  options.state_sync_bytes = 1;
  options.raft.log_kept_bytes = 400;
  options.raft.log_cut_step_bytes = 400;
  options.raft.cached_bytes_max = 400;
  options.raft.snapshot_chunk_bytes = 100;
  return options;
}

class Snapshots : public testing::Test {
 protected:
  void three() {
    world.bootstrap("n1");
    world.join("n2");
    world.join("n3");
  }
  void write(int count, const std::string& prefix = "k") {
    for (int i = 0; i < count; ++i) {
      const std::string key = prefix + std::to_string(i);
      const Reply reply = world.ask(world.elect(), set(key, "value of " + key));
      ASSERT_TRUE(std::holds_alternative<Written>(reply.answer));
    }
  }
  // Writes until nobody who is up has the entry behind `last` any more.
  void write_until_cut_behind(Index last) {
    for (int round = 0; round < 20; ++round) {
      write(20, "filler");
      const bool all = std::ranges::all_of(world.nodes(), [&](const auto& each) {
        return !each.second->up() || each.second->host->raft().log().first_index() > last.next();
      });
      if (all) return;
    }
    FAIL() << "the logs are not cut";
  }
  bool settles() {
    return world.run_until([&] {
      std::set<std::pair<std::uint64_t, std::uint64_t>> states;
      for (const auto& [name, node] : world.nodes()) {
        if (!node->up()) continue;
        const StateMeta& applied = node->host->applied();
        states.emplace(applied.applied.value, applied.digest);
      }
      return states.size() == 1;
    });
  }
  template <typename E>
  int count_events(const std::string& name) {
    return static_cast<int>(std::ranges::count_if(world.node(name).events, [](const Event& event) {
      if constexpr (std::is_same_v<E, raft::SnapshotInstalled>) {
        const auto* core = std::get_if<raft::Event>(&event);
        return core != nullptr && std::holds_alternative<E>(*core);
      } else {
        return std::holds_alternative<E>(event);
      }
    }));
  }
  // Everybody has the same, and n3 has what was written.
  void expect_whole() {
    ASSERT_TRUE(settles());
    const auto& contents = world.node("n1").contents.memory().contents();
    for (const auto& [name, node] : world.nodes()) {
      EXPECT_EQ(node->contents.memory().contents(), contents) << name;
    }
    const Reply reply = world.ask("n3", get("k0", Level::stale));
    EXPECT_EQ(std::get<ReadResult>(reply.answer).value->bytes, "value of k0");
  }
  // n3 is away while the others forget what it lacks.
  void leave_behind() {
    three();
    write(5);
    ASSERT_TRUE(settles());
    const Index last = world.host("n3").raft().log().last_index();
    world.kill("n3");
    write_until_cut_behind(last);
  }

  World world{11, forgetful()};
};

TEST_F(Snapshots, BringANodeThatWasAwayTooLong) {
  leave_behind();
  world.start("n3");
  expect_whole();
  EXPECT_EQ(count_events<raft::SnapshotInstalled>("n3"), 1);
  EXPECT_GT(count_events<ChunkReceived>("n3"), 3);
  write(5, "after");
  expect_whole();
}

TEST_F(Snapshots, BringANodeThatJoinsLate) {
  world.bootstrap("n1");
  world.join("n2");
  write(5);
  write_until_cut_behind(Index(10));
  world.join("n3");
  expect_whole();
  EXPECT_EQ(count_events<raft::SnapshotInstalled>("n3"), 1);
}

TEST_F(Snapshots, ReplaceAStateThatWasLost) {
  three();
  write(5);
  write_until_cut_behind(Index(10));
  ASSERT_TRUE(settles());
  world.kill("n3");
  world.forget_state("n3");
  world.start("n3");
  EXPECT_EQ(world.host("n3").status().role, "recovering");
  EXPECT_FALSE(world.host("n3").status().ready);
  const Reply reply = world.ask("n3", get("k0", Level::stale));
  ASSERT_NE(failure_of(reply), nullptr) << "an empty state answers nothing";
  EXPECT_EQ(failure_of(reply)->problem, Problem::not_ready);
  expect_whole();
  EXPECT_NE(world.host("n3").status().role, "recovering");
}

// n3 dies at every step of its way back.
TEST_F(Snapshots, ACrashAtAnyMomentLeavesANodeThatComesBack) {
  leave_behind();
  int steps = 0;
  int crashes = 0;
  world.start("n3");
  while (count_events<raft::SnapshotInstalled>("n3") == 0 ||
         world.host("n3").applied().applied != world.host("n3").raft().last_applied()) {
    ASSERT_LT(++steps, 100000);
    if (!world.step_first()) world.advance(10ms);
    // Ever later: at first while chunks come, then while it is installed.
    if (steps % (40 + 7 * crashes) != 0 || crashes > 60) continue;
    ++crashes;
    world.kill("n3");
    world.start("n3");
  }
  EXPECT_GT(crashes, 3);
  expect_whole();
}

// After so many operations of the disk (snapshot, sync, …) within the write.
class InstallWrite : public Snapshots, public testing::WithParamInterface<std::uint64_t> {};

TEST_P(InstallWrite, DiesHalfWayAndTheNodeComesBack) {
  leave_behind();
  world.start("n3");
  World::Node& n3 = world.node("n3");
  // Until the complete snapshot's write waits for the disk.
  ASSERT_TRUE(world.run_until([&] {
    n3.log_stalled = count_events<raft::SnapshotInstalled>("n3") > 0;
    return n3.log_stalled;
  }));
  ASSERT_FALSE(n3.log_worker.jobs.empty());
  n3.log_store->fail_after(GetParam());
  n3.log_worker.pump();
  world.kill("n3");
  world.start("n3");
  expect_whole();
}
INSTANTIATE_TEST_SUITE_P(Operations, InstallWrite, testing::Range<std::uint64_t>(0, 6));

TEST_F(Snapshots, TheLogStaysShort) {
  three();
  write(5);
  for (int round = 0; round < 10; ++round) {
    write(20, "again");
    for (const auto& [name, node] : world.nodes()) {
      EXPECT_LT(node->log_store->written().entries.size(), 60u) << name;
    }
  }
  expect_whole();
}

}  // namespace
}  // namespace raftkv::replica
