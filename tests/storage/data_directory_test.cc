#include "src/storage/data_directory.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <utility>

#include "src/base/bytes.h"
#include "src/base/checksum.h"
#include "tests/storage/log_fixture.h"
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

raft::LogWrite command(std::uint64_t index, const std::string& value) {
  raft::LogWrite write;
  write.entries.push_back(
      raft::Entry::seal(raft::EntryDraft(raft::EntryKind::command, kv::encode_set("k", value)),
                        Term(1), Index(index)));
  return write;
}

// Entries 2 and 3, of which all are applied but not synced.
void use(OpenedNode& node) {
  ASSERT_TRUE(node.state_store->apply(node.recovered.tail));
  for (std::uint64_t index = 2; index <= 3; ++index) {
    const raft::LogWrite write = command(index, std::to_string(index));
    ASSERT_TRUE(node.log_store->append({&write, 1}));
    ASSERT_TRUE(node.state_store->apply(write.entries));
  }
}

// A node that has done something and died.
std::unique_ptr<TestDisk> used_node() {
  auto disk = std::make_unique<TestDisk>();
  const auto directory = take(*disk);
  EXPECT_TRUE(directory->create_cluster(kCluster, kInstance, kNames));
  disk->run_background_work();
  auto node = directory->open();
  EXPECT_TRUE(node);
  use(*node);
  EXPECT_TRUE(node->state_store->sync());
  EXPECT_TRUE(node->log_store->checkpoint());
  auto image = disk->after_kill();
  disk->run_background_work();
  return image;
}

Error error_of_open(TestDisk& disk) {
  const auto directory = take(disk, false);
  const auto node = directory->open();
  return node ? Error{} : node.error();
}

TEST(DataDirectory, EachStartIsAnIncarnation) {
  TestDisk disk;
  ASSERT_TRUE(take(disk)->create_cluster(kCluster, kInstance, kNames));
  for (std::uint64_t incarnation = 1; incarnation <= 3; ++incarnation) {
    const auto directory = take(disk, false);
    const auto node = directory->open();
    ASSERT_TRUE(node);
    EXPECT_EQ(node->identity.incarnation, raft::Incarnation(incarnation));
    const auto image = disk.after_power_loss();
    const auto other = take(*image, false);
    EXPECT_EQ(other->open()->identity.incarnation, raft::Incarnation(incarnation + 1))
        << "durable before anything can be said in its name";
    disk.run_background_work();
  }
}

TEST(DataDirectory, ARestartFindsLogAndState) {
  const auto disk = used_node();
  const auto directory = take(*disk, false);
  const auto node = directory->open();
  ASSERT_TRUE(node) << node.error().message;
  EXPECT_EQ(node->recovered.applied, Index(3));
  EXPECT_EQ(node->recovered.last, Index(3));
  EXPECT_TRUE(node->recovered.tail.empty());
  EXPECT_FALSE(node->recovered.promise_lost);
  EXPECT_EQ(node->recovered.configuration.members.size(), 1u);
  EXPECT_EQ(node->recovered.configuration_index, Index(1));
  EXPECT_EQ(node->state_store->get("k").value(), (kv::Value{"3", 3}));
}

// Of a snapshot that was received the record comes last: without it nobody knows what the rest is.
TEST(DataDirectory, AStateWithKeysAndNoRecordIsDamaged) {
  TestDisk disk;
  {
    const auto directory = take(disk);
    ASSERT_TRUE(directory->create_cluster(kCluster, kInstance, kNames));
    auto node = directory->open();
    ASSERT_TRUE(node);
    kv::Batch batch;
    batch.put(kv::kUserSpace, "k", "v", 7);
    ASSERT_TRUE(node->states->write(batch));
    ASSERT_TRUE(node->states->sync());
    disk.run_background_work();
  }
  const auto directory = take(disk, false);
  const auto node = directory->open();
  ASSERT_TRUE(node) << node.error().message;
  EXPECT_NE(node->state_damage, "");
  EXPECT_FALSE(node->states->view()->valid()) << "an empty one stands in its place";
  disk.run_background_work();
}

TEST(DataDirectory, AfterACrashTheLogRedoesWhatTheStateLacks) {
  TestDisk disk;
  const auto directory = take(disk);
  ASSERT_TRUE(directory->create_cluster(kCluster, kInstance, kNames));
  disk.run_background_work();
  auto node = directory->open();
  ASSERT_TRUE(node);
  use(*node);
  const auto killed = disk.after_kill();
  const auto without_power = disk.after_power_loss();
  disk.run_background_work();
  for (TestDisk* image : {killed.get(), without_power.get()}) {
    const auto other_directory = take(*image, false);
    auto other = other_directory->open();
    ASSERT_TRUE(other) << other.error().message;
    EXPECT_EQ(other->recovered.applied, Index());
    EXPECT_EQ(other->recovered.tail.size(), 3u);
    EXPECT_FALSE(other->recovered.promise_lost);
    const auto applied = other->state_store->apply(other->recovered.tail);
    ASSERT_TRUE(applied);
    EXPECT_EQ(applied->meta, node->state_store->load().value());
    image->run_background_work();
  }
}

// --- a state that was damaged ---

std::vector<std::string> state_directories(TestDisk& disk) {
  std::vector<std::string> names;
  EXPECT_TRUE(disk.GetChildren("/a/d", &names).ok());
  std::erase_if(names, [](const std::string& name) { return !name.starts_with("state-"); });
  return names;
}

void damage_state(TestDisk& disk, bool missing) {
  if (missing) return disk.restore("/a/d/state-1", TestDisk());
  disk.set_contents("/a/d/state-1/CURRENT", "MANIFEST-999999\n");
}

TEST(DataDirectory, TheLogRebuildsAStateThatWasDamaged) {
  for (const bool missing : {false, true}) {
    const auto disk = used_node();
    damage_state(*disk, missing);
    for (int start = 0; start < 2; ++start) {
      const auto directory = take(*disk, false);
      auto node = directory->open();
      ASSERT_TRUE(node) << node.error().message;
      EXPECT_EQ(node->state_damage.empty(), start == 1);
      EXPECT_EQ(node->recovered.applied, Index());
      EXPECT_FALSE(node->recovered.state_lost);
      EXPECT_FALSE(node->recovered.promise_lost);
      ASSERT_EQ(node->recovered.tail.size(), 3u);
      EXPECT_EQ(state_directories(*disk), (std::vector<std::string>{"state-2"}));
      if (start == 1) {
        ASSERT_TRUE(node->state_store->apply(node->recovered.tail));
        EXPECT_EQ(node->state_store->get("k").value(), (kv::Value{"3", 3}));
      }
      disk->run_background_work();
    }
  }
}

TEST(DataDirectory, WithoutTheBeginningOfTheLogADamagedStateIsLost) {
  for (const bool missing : {false, true}) {
    const auto disk = used_node();
    {
      const auto directory = take(*disk, false);
      ASSERT_TRUE(directory->open()->log_store->cut_before(Index(3), Term(1)));
      disk->run_background_work();
    }
    damage_state(*disk, missing);
    for (int start = 0; start < 2; ++start) {
      const auto directory = take(*disk, false);
      const auto node = directory->open();
      ASSERT_TRUE(node) << node.error().message;
      EXPECT_TRUE(node->recovered.state_lost);
      EXPECT_FALSE(node->recovered.promise_lost);
      EXPECT_EQ(node->recovered.applied, Index());
      EXPECT_EQ(node->recovered.first, Index(3));
      EXPECT_EQ(node->recovered.prev_term, Term(1));
      EXPECT_EQ(node->recovered.tail.size(), 1u) << "all of the log";
      disk->run_background_work();
    }
  }
}

TEST(DataDirectory, ADamagedStateThatCannotBeReplacedIsAnError) {
  const auto made = used_node();
  damage_state(*made, false);
  for (std::uint64_t n = 1;; ++n) {
    const auto disk = made->after_kill();
    disk->fail_at(n);
    const Error error = error_of_open(*disk);
    disk->run_background_work();
    if (disk->failures() == 0) break;
    EXPECT_EQ(error.code, ErrorCode::fatal) << n << error.message;
    disk->fail_at(0);
    const auto image = disk->after_power_loss();
    const auto directory = take(*image, false);
    const auto node = directory->open();
    ASSERT_TRUE(node) << n << node.error().message;
    EXPECT_EQ(node->recovered.tail.size(), 3u) << n;
    image->run_background_work();
  }
}

// --- snapshots ---

// What a node that is ahead sends: entries 1 to 8 are in it.
std::vector<replica::StateChunk> snapshot_of_eight() {
  TestDisk disk;
  const auto directory = take(disk);
  EXPECT_TRUE(directory->create_cluster(kCluster, kInstance, kNames));
  disk.run_background_work();
  auto node = directory->open();
  use(*node);
  for (std::uint64_t index = 4; index <= 8; ++index) {
    EXPECT_TRUE(node->state_store->apply(command(index, std::to_string(index)).entries));
  }
  const auto reader = node->state_store->open_snapshot();
  std::vector<replica::StateChunk> chunks;
  do {
    chunks.push_back((*reader)->next(1).value());
  } while (!chunks.back().last);
  EXPECT_GT(chunks.size(), 1u);
  return chunks;
}

// Receives and installs it, and goes on with entry 9.
void install(OpenedNode& node, TestDisk& disk) {
  bool first = true;
  for (const replica::StateChunk& chunk : snapshot_of_eight()) {
    ASSERT_TRUE(node.state_store->receive(chunk.data, std::exchange(first, false)));
    if (!chunk.last) continue;
    const auto complete = node.state_store->complete(chunk.contents_digest);
    ASSERT_TRUE(complete) << complete.error().message;
    raft::LogWrite write;
    write.snapshot = raft::SnapshotMeta{.last_included_index = complete->applied,
                                        .last_included_term = complete->applied_term,
                                        .configuration_index = complete->configuration_index,
                                        .configuration = complete->configuration};
    ASSERT_TRUE(node.log_store->append({&write, 1}));
  }
  disk.run_background_work();
  EXPECT_EQ(node.state_store->adopt()->applied, Index(8));
  const raft::LogWrite write = command(9, "9");
  ASSERT_TRUE(node.log_store->append({&write, 1}));
  ASSERT_TRUE(node.state_store->apply(write.entries));
}

TEST(DataDirectory, ASnapshotBecomesTheState) {
  const auto disk = used_node();
  const auto directory = take(*disk, false);
  auto node = directory->open();
  ASSERT_TRUE(node);
  const auto old_view = node->states->view();
  install(*node, *disk);
  EXPECT_EQ(node->state_store->get("k").value(), (kv::Value{"9", 9}));
  EXPECT_EQ(old_view->key(), "kk");
  EXPECT_EQ(kv::parse_stored_value(old_view->value())->index, 3u) << "a view stays what it was";
  const auto image = disk->after_power_loss();
  const auto again_directory = take(*image, false);
  const auto again = again_directory->open();
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->state.applied, Index(8));
  EXPECT_EQ(log_of(again->recovered.tail), (Log{{9, 1}}));
  EXPECT_EQ(again->recovered.first, Index(9));
  EXPECT_FALSE(again->recovered.promise_lost);
  EXPECT_EQ(state_directories(*image), (std::vector<std::string>{"state-2"}));
  disk->run_background_work();
}

// Others would repair it; this one made the cluster and is alone in it, before its first run and
// later.
TEST(DataDirectory, ALostPromiseOfTheOnlyVoterIsRefusedEachTime) {
  for (const bool ran : {false, true}) {
    auto disk = used_node();
    if (!ran) {
      disk = std::make_unique<TestDisk>();
      ASSERT_TRUE(take(*disk)->create_cluster(kCluster, kInstance, kNames));
    }
    ASSERT_TRUE(disk->RemoveFile("/a/d/log/CURRENT").ok());
    for (int i = 0; i < 2; ++i) {
      const auto directory = take(*disk, false);
      const auto node = directory->open(/*refuse_hopeless=*/true);
      ASSERT_FALSE(node);
      EXPECT_EQ(node.error().code, ErrorCode::invalid);
      EXPECT_NE(node.error().message.find("no other voter"), std::string::npos);
      disk->run_background_work();
    }
    const auto directory = take(*disk, false);
    const auto node = directory->open();
    ASSERT_TRUE(node) << "whoever only looks may open it";
    EXPECT_TRUE(node->recovered.promise_lost);
    EXPECT_EQ(node->identity.incarnation, raft::Incarnation(ran ? 2 : 1));
    disk->run_background_work();
  }
}

TEST(DataDirectory, TheOldStateGoesWithItsLastView) {
  const auto disk = used_node();
  const auto directory = take(*disk, false);
  auto node = directory->open();
  ASSERT_TRUE(node);
  auto old_view = node->states->view();
  install(*node, *disk);
  EXPECT_EQ(state_directories(*disk).size(), 2u);
  old_view.reset();
  EXPECT_EQ(state_directories(*disk), (std::vector<std::string>{"state-2"}));
  disk->run_background_work();
}

TEST(DataDirectory, ADiscardedSnapshotLeavesNothing) {
  const auto disk = used_node();
  const auto directory = take(*disk, false);
  auto node = directory->open();
  ASSERT_TRUE(node);
  ASSERT_TRUE(node->state_store->receive(snapshot_of_eight().front().data, true));
  EXPECT_EQ(state_directories(*disk).size(), 2u);
  ASSERT_TRUE(node->state_store->discard());
  EXPECT_EQ(state_directories(*disk), (std::vector<std::string>{"state-1"}));
  disk->run_background_work();
}

TEST(DataDirectory, ACrashWhileASnapshotIsReceivedLeavesTheOldStateOrTheNew) {
  const auto disk = used_node();
  const auto directory = take(*disk, false);
  auto node = directory->open();
  ASSERT_TRUE(node);
  std::map<std::uint64_t, int> found;  // by the state's index
  disk->on_operation([&] {
    for (const bool power : {false, true}) {
      const auto image = power ? disk->after_power_loss() : disk->after_kill();
      const auto again_directory = take(*image, false);
      const auto again = again_directory->open();
      ASSERT_TRUE(again) << again.error().message;
      ++found[again->state.applied.value];
      EXPECT_FALSE(again->recovered.promise_lost);
      EXPECT_FALSE(again->recovered.state_lost);
      EXPECT_EQ(again->state_damage, "");
      EXPECT_EQ(state_directories(*image).size(), 1u) << "no leftovers";
      // Of the first three entries nothing is synced but the log.
      const bool is_new = again->state.applied >= Index(8);
      EXPECT_EQ(again->recovered.first, Index(is_new ? 9 : 1));
      EXPECT_EQ(again->recovered.last >= Index(8), is_new);
      image->run_background_work();
    }
  });
  install(*node, *disk);
  disk->on_operation({});
  disk->run_background_work();
  EXPECT_GT(found[3], 10);
  EXPECT_GT(found[8], 10);
}

// --- promises that were lost ---

TEST(DataDirectory, ALostPromiseIsRememberedOverRestarts) {
  const auto disk = used_node();
  const auto early = [] {
    auto made = std::make_unique<TestDisk>();
    EXPECT_TRUE(take(*made)->create_cluster(kCluster, kInstance, kNames));
    return made;
  }();
  disk->restore("/a/d/log", *early);
  for (int start = 0; start < 3; ++start) {
    const auto directory = take(*disk, false);
    const auto node = directory->open();
    ASSERT_TRUE(node) << node.error().message;
    EXPECT_TRUE(node->recovered.promise_lost) << start;
    EXPECT_EQ(node->recovered.applied, Index(3));
    EXPECT_EQ(node->recovered.last, Index(3));
    EXPECT_EQ(node->log_store->first(), Index(4));
    disk->run_background_work();
  }
  const auto directory = take(*disk, false);
  const auto node = directory->open();
  const raft::LogWrite write = command(4, "4");
  ASSERT_TRUE(node->log_store->append({&write, 1}));
  ASSERT_TRUE(node->log_store->promise_repaired());
  disk->run_background_work();
  const auto image = disk->after_power_loss();
  const auto again_directory = take(*image, false);
  const auto again = again_directory->open();
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_FALSE(again->recovered.promise_lost);
  EXPECT_EQ(again->recovered.last, Index(4));
}

// --- joining ---

TEST(DataDirectory, TheInstanceOfAJoinStaysTheSameOverCrashes) {
  TestDisk disk;
  EXPECT_EQ(take(disk)->begin_join(raft::InstanceId(7)).value(), raft::InstanceId(7));
  auto image = disk.after_power_loss();
  {
    const auto directory = take(*image, false);
    EXPECT_EQ(directory->stage(), DataDirectory::Stage::joining);
    EXPECT_EQ(directory->begin_join(raft::InstanceId(8)).value(), raft::InstanceId(7));
    EXPECT_EQ(directory->begin_join(raft::InstanceId(9)).value(), raft::InstanceId(7));
    EXPECT_EQ(directory->open().error().code, ErrorCode::not_found);
    ASSERT_TRUE(directory->finish_join(kCluster, raft::MemberId(12), kNames));
  }
  image = image->after_power_loss();
  const auto directory = take(*image, false);
  const auto node = directory->open();
  ASSERT_TRUE(node) << node.error().message;
  EXPECT_EQ(node->identity, (raft::Identity{.cluster = kCluster,
                                            .member = raft::MemberId(12),
                                            .instance = raft::InstanceId(7),
                                            .incarnation = raft::Incarnation(1)}));
  EXPECT_EQ(node->recovered.last, Index());
  EXPECT_EQ(node->recovered.hard_state, raft::HardState{});
  EXPECT_TRUE(node->recovered.configuration.members.empty());
}

TEST(DataDirectory, AChangedInstanceFileIsRefused) {
  TestDisk disk;
  ASSERT_TRUE(take(disk)->begin_join(raft::InstanceId(7)));
  const std::string good = disk.contents("/a/d/instance");
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string changed = good;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    disk.set_contents("/a/d/instance", changed);
    EXPECT_EQ(take(disk)->begin_join(raft::InstanceId(8)).error().code, ErrorCode::corrupt) << at;
    disk.set_contents("/a/d/instance", good.substr(0, at));
    EXPECT_EQ(take(disk)->begin_join(raft::InstanceId(8)).error().code, ErrorCode::corrupt) << at;
  }
}

// --- both copies of the promise are lost ---

// It was a member, and what it promised is gone: only as another instance may it join again.
TEST(DataDirectory, WhoLostItsPromiseDoesNotGoOnJoining) {
  TestDisk disk;
  std::string begun;
  {
    const auto directory = take(disk);
    ASSERT_TRUE(directory->begin_join(kInstance));
    begun = disk.contents("/a/d/instance");
    ASSERT_TRUE(directory->finish_join(kCluster, raft::MemberId(3), kNames));
    disk.run_background_work();
  }
  const auto joined = disk.after_power_loss();
  // A crash between the promise and the end of the join: the next start ends it.
  const auto crashed = disk.after_power_loss();
  crashed->set_contents("/a/d/instance", begun);
  std::unique_ptr<TestDisk> opened;
  {
    const auto directory = take(*crashed, false);
    ASSERT_TRUE(directory->open());
    crashed->run_background_work();
    opened = crashed->after_power_loss();
  }
  for (TestDisk* image : {joined.get(), opened.get()}) {
    EXPECT_FALSE(image->FileExists("/a/d/instance"));
    for (const char* copy : {"/a/d/promise.0", "/a/d/promise.1"}) {
      if (image->FileExists(copy)) {
        ASSERT_TRUE(image->RemoveFile(copy).ok());
      }
    }
    const auto directory = take(*image, false);
    EXPECT_EQ(directory->stage(), DataDirectory::Stage::unfinished);
    EXPECT_EQ(directory->begin_join(raft::InstanceId(99)).value(), raft::InstanceId(99));
  }
}

// --- whenever the power goes ---

TEST(DataDirectory, ALossOfPowerWhileItIsMadeLeavesNothingOrANode) {
  for (const bool join : {false, true}) {
    TestDisk disk;
    int unfinished = 0;
    const auto directory = take(disk);
    if (join) {
      ASSERT_TRUE(directory->begin_join(kInstance));
    }
    disk.on_operation([&] {
      for (const bool power : {false, true}) {
        const auto image = power ? disk.after_power_loss() : disk.after_kill();
        {
          const auto again = take(*image);
          if (again->stage() != DataDirectory::Stage::node) {
            ++unfinished;
            EXPECT_EQ(again->open().error().code, ErrorCode::not_found);
            const Status made = join
                                    ? again->finish_join(kCluster, raft::MemberId(3), kNames)
                                    : again->create_cluster(kCluster, raft::InstanceId(77), kNames);
            EXPECT_TRUE(made) << made.error().message;
            image->run_background_work();
          }
        }
        EXPECT_EQ(error_of_open(*image), Error{});
      }
    });
    ASSERT_TRUE(join ? directory->finish_join(kCluster, raft::MemberId(3), kNames)
                     : directory->create_cluster(kCluster, kInstance, kNames));
    disk.on_operation({});
    EXPECT_GT(unfinished, 50);
  }
}

TEST(DataDirectory, AnyFailureWhileItIsMadeIsAnErrorAndTheNextTryWorks) {
  for (std::uint64_t n = 1;; ++n) {
    TestDisk disk;
    disk.fail_at(n);
    {
      auto directory = DataDirectory::take(disk, "/a/d", true);
      const Status made = directory ? (*directory)->create_cluster(kCluster, kInstance, kNames)
                                    : Status(failure(directory));
      disk.run_background_work();
      if (disk.failures() == 0) {
        EXPECT_TRUE(made);
        EXPECT_GT(n, 30u);
        return;
      }
      EXPECT_EQ(made.error().code, ErrorCode::fatal) << n;
      EXPECT_NE(made.error().message.find("No space left on device"), std::string::npos)
          << made.error().message;
      EXPECT_NE(made.error().message.find("see that"), std::string::npos) << made.error().message;
    }
    disk.fail_at(0);
    const auto again = take(disk);
    if (again->stage() != DataDirectory::Stage::node) {
      EXPECT_TRUE(again->create_cluster(kCluster, kInstance, kNames)) << n;
    }
    disk.run_background_work();
    EXPECT_TRUE(again->open()) << n;
    disk.run_background_work();
  }
}

TEST(DataDirectory, AnyFailureWhileItIsOpenedIsAnErrorAndTheNextTryWorks) {
  const auto made = used_node();
  for (std::uint64_t n = 1;; ++n) {
    const auto disk = made->after_kill();
    disk->fail_at(n);
    const Error error = error_of_open(*disk);
    disk->run_background_work();
    if (disk->failures() == 0) {
      EXPECT_EQ(error, Error{});
      EXPECT_GT(n, 20u);
      return;
    }
    EXPECT_EQ(error.code, ErrorCode::fatal) << n << error.message;
    disk->fail_at(0);
    const auto image = disk->after_power_loss();
    const auto directory = take(*image, false);
    const auto node = directory->open();
    ASSERT_TRUE(node) << n << node.error().message;
    EXPECT_EQ(node->recovered.last, Index(3)) << n;
    EXPECT_FALSE(node->recovered.promise_lost) << n;
    image->run_background_work();
  }
}

// --- refusals ---

// The error says which directory and what to do.
void expect_sentence(const Error& error, ErrorCode code, std::string_view advice) {
  EXPECT_EQ(error.code, code) << error.message;
  EXPECT_NE(error.message.find("/a/d"), std::string::npos) << error.message;
  EXPECT_NE(error.message.find(advice), std::string::npos) << error.message;
  EXPECT_EQ(error.message.find('\n'), std::string::npos) << error.message;
}

TEST(DataDirectoryRefuses, OneThatIsMissing) {
  TestDisk disk;
  expect_sentence(DataDirectory::take(disk, "/a/d", false).error(), ErrorCode::not_found,
                  "raftkv init --data /a/d");
  EXPECT_FALSE(disk.FileExists("/a"));
}

TEST(DataDirectoryRefuses, ToOpenOneThatIsEmpty) {
  TestDisk disk;
  expect_sentence(take(disk)->open().error(), ErrorCode::not_found, "raftkv init --data /a/d");
}

TEST(DataDirectoryRefuses, ToOpenOneThatWasNeverFinished) {
  TestDisk disk;
  const auto directory = take(disk);
  disk.fail_only("promise");
  disk.fail_at(1);
  EXPECT_FALSE(directory->create_cluster(kCluster, kInstance, kNames));
  disk.run_background_work();
  const auto image = disk.after_kill();
  EXPECT_EQ(take(*image)->stage(), DataDirectory::Stage::unfinished);
  expect_sentence(error_of_open(*image), ErrorCode::not_found, "run 'raftkv init --data /a/d");
}

TEST(DataDirectoryRefuses, ToOpenOneThatHasNotJoinedYet) {
  TestDisk disk;
  ASSERT_TRUE(take(disk)->begin_join(kInstance));
  expect_sentence(error_of_open(disk), ErrorCode::not_found, "--join HOST:PORT");
}

TEST(DataDirectoryRefuses, OneThatIsInUse) {
  TestDisk disk;
  const auto directory = take(disk);
  expect_sentence(DataDirectory::take(disk, "/a/d", true).error(), ErrorCode::unavailable,
                  "stop that one first");
}

TEST(DataDirectoryRefuses, OneThatCannotBeWritten) {
  TestDisk disk;
  ASSERT_TRUE(disk.CreateDir("/a").ok());
  disk.fail_at(1);
  expect_sentence(DataDirectory::take(disk, "/a/d", true).error(), ErrorCode::fatal,
                  "this user may read and write there");
}

TEST(DataDirectoryRefuses, OneThatHoldsOtherFiles) {
  TestDisk disk;
  ASSERT_TRUE(disk.CreateDir("/a").ok());
  ASSERT_TRUE(disk.CreateDir("/a/d").ok());
  disk.set_contents("/a/d/holiday.jpg", "");
  expect_sentence(DataDirectory::take(disk, "/a/d", true).error(), ErrorCode::invalid,
                  "holiday.jpg");
  EXPECT_FALSE(disk.FileExists("/a/d/LOCK"));
}

TEST(DataDirectoryRefuses, ToMakeASecondNodeInOne) {
  TestDisk disk;
  ASSERT_TRUE(take(disk)->create_cluster(kCluster, kInstance, kNames));
  const auto directory = take(disk);
  expect_sentence(directory->create_cluster(kCluster, kInstance, kNames).error(),
                  ErrorCode::invalid, "raftkv serve --data /a/d");
  expect_sentence(directory->begin_join(kInstance).error(), ErrorCode::invalid,
                  "raftkv serve --data /a/d");
  EXPECT_TRUE(directory->open());
}

TEST(DataDirectoryRefuses, ToMakeAClusterOfOneThatMayBeAMemberElsewhere) {
  TestDisk disk;
  ASSERT_TRUE(take(disk)->begin_join(kInstance));
  expect_sentence(take(disk)->create_cluster(kCluster, kInstance, kNames).error(),
                  ErrorCode::invalid, "serve --join");
}

TEST(DataDirectoryRefuses, NamesOfNoLegalSize) {
  TestDisk disk;
  const auto directory = take(disk);
  for (const std::string& name : {std::string(), std::string(257, 'n')}) {
    NodeNames names = kNames;
    names.name = name;
    EXPECT_EQ(directory->create_cluster(kCluster, kInstance, names).error().code,
              ErrorCode::invalid);
  }
  const NodeNames longest{.name = std::string(256, 'n'),
                          .http_address = std::string(256, 'h'),
                          .raft_address = std::string(256, 'r')};
  ASSERT_TRUE(directory->create_cluster(kCluster, kInstance, longest));
  EXPECT_EQ(directory->open()->names, longest);
}

TEST(DataDirectoryRefuses, OneWithoutAWholePromise) {
  const auto disk = used_node();
  for (const std::string& path : disk->files()) {
    if (path.find("promise") != std::string::npos) disk->set_contents(path, "torn");
  }
  expect_sentence(error_of_open(*disk), ErrorCode::corrupt, "join its cluster again");
}

TEST(DataDirectoryRefuses, OneOfANewerVersion) {
  const auto disk = used_node();
  for (const std::string& path : disk->files()) {
    if (path.find("promise") == std::string::npos) continue;
    std::string slot = disk->contents(path).substr(0, kPromiseSlotSize);
    slot[12] = 2;
    put_u64(slot.data(), checksum64(std::string_view(slot).substr(8)));
    disk->set_contents(path, slot);
  }
  expect_sentence(error_of_open(*disk), ErrorCode::unsupported, "a later one");
}

// --- on the machine's own disk ---

TEST(DataDirectoryOnThisMachine, KeepsANodeOverAStart) {
  std::string pattern = testing::TempDir() + "raftkv-storage-XXXXXX";
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  const std::string path = pattern + "/some/where/";
  {
    const auto directory = DataDirectory::take(posix_disk(), path, true);
    ASSERT_TRUE(directory) << directory.error().message;
    ASSERT_TRUE((*directory)->create_cluster(kCluster, kInstance, kNames));
    auto node = (*directory)->open();
    ASSERT_TRUE(node) << node.error().message;
    use(*node);
    ASSERT_TRUE(node->state_store->sync());
    EXPECT_EQ(DataDirectory::take(posix_disk(), path, true).error().code, ErrorCode::unavailable);
  }
  {
    const auto directory = DataDirectory::take(posix_disk(), path, false);
    ASSERT_TRUE(directory) << directory.error().message;
    const auto node = (*directory)->open();
    ASSERT_TRUE(node) << node.error().message;
    EXPECT_EQ(node->recovered.last, Index(3));
    EXPECT_EQ(node->state_store->get("k").value(), (kv::Value{"3", 3}));
  }
  std::filesystem::remove_all(pattern);
}

}  // namespace
}  // namespace raftkv::storage
