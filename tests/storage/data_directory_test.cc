#include "src/storage/data_directory.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/storage/test_disk.h"

namespace raftkv::storage {
namespace {

using raft::Index;
using raft::Term;

const NodeNames kNames{.name = "node01", .http_address = "h:1", .raft_address = "h:2"};
constexpr raft::ClusterId kCluster(21);
constexpr raft::InstanceId kInstance(22);

std::unique_ptr<DataDirectory> take(Disk& disk, bool make = true) {
  auto directory = DataDirectory::take(disk, "/a/d", make);
  if (!directory) {
    ADD_FAILURE() << directory.error().message;
    return nullptr;
  }
  return std::move(*directory);
}

TEST(DataDirectory, ANewClusterBeginsWithItsConfiguration) {
  TestDisk disk;
  {
    const auto directory = take(disk);
    EXPECT_EQ(directory->stage(), DataDirectory::Stage::empty);
    ASSERT_TRUE(directory->create_cluster(kCluster, kInstance, kNames));
    EXPECT_EQ(directory->stage(), DataDirectory::Stage::node);
  }
  const auto directory = take(disk, false);
  const auto node = directory->open();
  ASSERT_TRUE(node) << node.error().message;
  EXPECT_EQ(node->identity, (raft::Identity{.cluster = kCluster,
                                            .member = raft::MemberId(1),
                                            .instance = kInstance,
                                            .incarnation = raft::Incarnation(1)}));
  EXPECT_EQ(node->names, kNames);
  const raft::Recovered& recovered = node->recovered;
  EXPECT_EQ(recovered.hard_state, (raft::HardState{.current_term = Term(1), .voted_for = {}}));
  EXPECT_EQ(recovered.applied, Index());
  EXPECT_EQ(recovered.last, Index(1));
  EXPECT_EQ(recovered.terms, (std::vector<raft::TermRun>{{.term = Term(1), .first = Index(1)}}));
  ASSERT_EQ(recovered.tail.size(), 1u);
  EXPECT_EQ(raft::Configuration::decode(recovered.tail[0].payload()).value(),
            raft::bootstrap_configuration("node01", kInstance, "h:1", "h:2"));
  EXPECT_FALSE(recovered.promise_lost);
  EXPECT_EQ(node->state, replica::StateMeta{});
}

}  // namespace
}  // namespace raftkv::storage
