// New clusters whose state is that of another one: `raftkv restore` and `raftkv recover`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/storage/seeds.h"
#include "tests/storage/test_disk.h"

namespace raftkv::storage {
namespace {

using raft::Index;
using raft::Term;

const NodeNames kNames{.name = "new", .http_address = "h:1", .raft_address = "h:2"};
constexpr raft::ClusterId kCluster(21);
constexpr raft::InstanceId kInstance(22);

std::unique_ptr<DataDirectory> take(Disk& disk, bool make = true) {
  auto directory = DataDirectory::take(disk, "/a/d", make);
  CHECK(directory.has_value());
  return std::move(*directory);
}

Result<replica::StateMeta> create(DataDirectory& directory, const Seed& seed) {
  return directory.create_cluster_from(kCluster, kInstance, kNames, seed);
}

// Holds what stands there against the state that it was made from, as of this index.
void expect_new_cluster(TestDisk& disk, OldState& old, std::uint64_t last, std::uint64_t term) {
  const auto directory = take(disk, false);
  ASSERT_EQ(directory->stage(), DataDirectory::Stage::node);
  auto node = directory->open(/*refuse_hopeless=*/true);
  ASSERT_TRUE(node) << node.error().message;
  const raft::MemberId self(last + 1);
  EXPECT_EQ(node->identity, (raft::Identity{.cluster = kCluster,
                                            .member = self,
                                            .instance = kInstance,
                                            .incarnation = raft::Incarnation(1)}));
  EXPECT_EQ(node->names, kNames);
  EXPECT_TRUE(node->state_damage.empty());
  const raft::Recovered& recovered = node->recovered;
  EXPECT_FALSE(recovered.promise_lost) << node->loss;
  EXPECT_FALSE(recovered.state_lost);
  EXPECT_EQ(recovered.hard_state, (raft::HardState{.current_term = Term(term), .voted_for = {}}));
  EXPECT_EQ(recovered.applied, Index(last + 1));
  EXPECT_EQ(recovered.first, Index(last + 2));
  EXPECT_EQ(recovered.last, Index(last + 1));
  EXPECT_EQ(recovered.prev_term, Term(term));
  EXPECT_TRUE(recovered.tail.empty());
  EXPECT_EQ(recovered.configuration_index, Index(last + 1));
  EXPECT_EQ(recovered.configuration,
            raft::bootstrap_configuration("new", kInstance, "h:1", "h:2", self));
  // All keys with the indexes of their last changes, and nothing else of the old state's record but
  // its digest.
  EXPECT_EQ(node->state.digest, old.store().load()->digest);
  kv::MemoryStore::Contents contents;
  ASSERT_TRUE(node->states->scan("", std::string(1, kv::kMetaSpace), [&](auto key, auto value) {
    contents.emplace(key, value);
    return true;
  }));
  kv::MemoryStore::Contents expected = old.contents();
  expected.erase(std::string(replica::kRecordKey));
  EXPECT_EQ(contents, expected);
  disk.run_background_work();
}

TEST(CreateFrom, ABackupsStateGoesOnBehindItsIndex) {
  OldState old(30);
  TestDisk disk;
  {
    const auto meta = create(*take(disk), {.next = old.chunks(), .tail = {}, .term = {}});
    ASSERT_TRUE(meta) << meta.error().message;
    EXPECT_EQ(meta->applied, Index(31));
    disk.run_background_work();
  }
  expect_new_cluster(disk, old, 30, 5);
}

TEST(CreateFrom, ANodesStateAndLogGoOnBehindTheLog) {
  OldState part(30);
  OldState all(50);
  std::vector<raft::Entry> tail;
  for (std::uint64_t index = 31; index <= 50; ++index) tail.push_back(OldState::entry(index));
  TestDisk disk;
  {
    const auto meta = create(*take(disk), {.next = part.chunks(), .tail = tail, .term = Term(9)});
    ASSERT_TRUE(meta) << meta.error().message;
    disk.run_background_work();
  }
  expect_new_cluster(disk, all, 50, 10);
}

TEST(CreateFrom, ALogAloneRebuildsTheState) {
  OldState all(50);
  std::vector<raft::Entry> log = {OldState::configuration()};
  for (std::uint64_t index = 2; index <= 50; ++index) log.push_back(OldState::entry(index));
  TestDisk disk;
  {
    ASSERT_TRUE(create(*take(disk), {.next = {}, .tail = log, .term = Term(4)}));
    disk.run_background_work();
  }
  expect_new_cluster(disk, all, 50, 5);
}

TEST(CreateFrom, ADirectoryThatIsInUseIsRefused) {
  OldState old(30);
  TestDisk disk;
  const auto directory = take(disk);
  ASSERT_TRUE(directory->create_cluster(kCluster, kInstance, kNames));
  const auto files = disk.files();
  const auto refused = create(*directory, {.next = old.chunks(), .tail = {}, .term = {}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid);
  EXPECT_EQ(disk.files(), files);
  disk.run_background_work();

  TestDisk other;
  const auto joining = take(other);
  ASSERT_TRUE(joining->begin_join(kInstance));
  EXPECT_FALSE(create(*joining, {.next = old.chunks(), .tail = {}, .term = {}}));
}

TEST(CreateFrom, ASourceThatBreaksLeavesItUnfinished) {
  OldState old(30);
  for (const int good : {0, 1, 5}) {
    TestDisk disk;
    {
      const auto directory = take(disk);
      int count = 0;
      const auto next = [&, chunks = old.chunks()]() -> Result<replica::StateChunk> {
        if (count++ == good) return failure(ErrorCode::corrupt, "the source broke");
        return chunks();
      };
      const auto made = create(*directory, {.next = next, .tail = {}, .term = {}});
      ASSERT_FALSE(made);
      EXPECT_EQ(made.error().message, "the source broke");
      EXPECT_EQ(directory->stage(), DataDirectory::Stage::unfinished);
      disk.run_background_work();
    }
    {
      const auto directory = take(disk, false);
      EXPECT_EQ(directory->stage(), DataDirectory::Stage::unfinished);
      EXPECT_THAT(directory->open().error().message, testing::HasSubstr("raftkv restore"));
      ASSERT_TRUE(create(*directory, {.next = old.chunks(), .tail = {}, .term = {}}));
      disk.run_background_work();
    }
    expect_new_cluster(disk, old, 30, 5);
  }
}

TEST(CreateFrom, AWrongDigestLeavesItUnfinished) {
  OldState old(30);
  TestDisk disk;
  const auto directory = take(disk);
  const auto next = [chunks = old.chunks()]() -> Result<replica::StateChunk> {
    auto chunk = chunks();
    chunk->contents_digest += 1;
    return chunk;
  };
  const auto made = create(*directory, {.next = next, .tail = {}, .term = {}});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::corrupt);
  EXPECT_EQ(directory->stage(), DataDirectory::Stage::unfinished);
  disk.run_background_work();
}

// A crash between any two operations of the disk, of the process or of the machine.
TEST(CreateFrom, ACrashAnywhereLeavesItUnfinishedOrWhole) {
  OldState old(30);
  TestDisk disk;
  std::map<DataDirectory::Stage, int> stages;
  std::vector<std::unique_ptr<TestDisk>> images;
  disk.on_operation([&] {
    images.push_back(disk.after_kill());
    images.push_back(disk.after_power_loss());
  });
  ASSERT_TRUE(create(*take(disk), {.next = old.chunks(), .tail = {}, .term = {}}));
  disk.on_operation({});
  disk.run_background_work();
  images.push_back(disk.after_kill());
  images.push_back(disk.after_power_loss());
  for (const auto& image : images) {
    {
      const auto directory = take(*image);
      ++stages[directory->stage()];
      if (directory->stage() != DataDirectory::Stage::node) {
        EXPECT_FALSE(directory->open());
        ASSERT_TRUE(create(*directory, {.next = old.chunks(), .tail = {}, .term = {}}));
      }
      image->run_background_work();
    }
    expect_new_cluster(*image, old, 30, 5);
  }
  EXPECT_GT(stages[DataDirectory::Stage::unfinished], 50);
  EXPECT_GE(stages[DataDirectory::Stage::node], 2);
}

TEST(CreateFrom, AnyFailureOfTheDiskIsAnErrorAndTheNextTryWorks) {
  OldState old(30);
  for (std::uint64_t n = 1;; ++n) {
    TestDisk disk;
    disk.fail_at(n);
    {
      auto directory = DataDirectory::take(disk, "/a/d", true);
      const auto made = directory
                            ? create(**directory, {.next = old.chunks(), .tail = {}, .term = {}})
                            : Result<replica::StateMeta>(failure(directory));
      disk.run_background_work();
      if (disk.failures() == 0) {
        EXPECT_TRUE(made);
        EXPECT_GT(n, 30u);
        return;
      }
      ASSERT_FALSE(made) << n;
      EXPECT_EQ(made.error().code, ErrorCode::fatal) << n << made.error().message;
      EXPECT_NE(made.error().message.find("No space left on device"), std::string::npos)
          << made.error().message;
    }
    disk.fail_at(0);
    {
      const auto again = take(disk);
      if (again->stage() != DataDirectory::Stage::node) {
        EXPECT_TRUE(create(*again, {.next = old.chunks(), .tail = {}, .term = {}})) << n;
      }
      disk.run_background_work();
    }
    expect_new_cluster(disk, old, 30, 5);
  }
}

}  // namespace
}  // namespace raftkv::storage
