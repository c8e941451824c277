// The production storage code, LevelDB included, on a simulated disk: whatever a crash leaves, a
// node finds all that it acknowledged.

#include "sim/file_disk.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "src/storage/data_directory.h"

namespace raftkv::sim {
namespace {

using raft::Index;
using raft::Term;
using storage::DataDirectory;
using storage::OpenedNode;

// What a node has, or may have: one of the two while an operation is under way.
struct Model {
  raft::HardState hard_state;
  std::vector<raft::Entry> log;  // from index 1
};

raft::Entry set(std::uint64_t term, std::uint64_t index, std::size_t size) {
  const std::string key = fmt::format("key{}", index % 7);
  return raft::Entry::seal(
      raft::EntryDraft(
          raft::EntryKind::command,
          kv::encode_set(key, fmt::format("{}.{}{}", term, index, std::string(size, 'v')))),
      Term(term), Index(index));
}

// One node, a life of writes and crashes, checked at each start.
class Life {
 public:
  explicit Life(std::uint64_t seed) : prng_(seed) {
    auto directory = take();
    CHECK(directory->create_cluster(raft::ClusterId(1), raft::InstanceId(2), {"n1", "h:1", "h:2"})
              .has_value());
    disk_.run_background_work();
  }

  void live(int runs) {
    for (int run = 0; run < runs && !testing::Test::HasFailure(); ++run) {
      one_run();
      disk_.crash(prng_.chance(3, 4) ? Crash::power : Crash::process, prng_);
    }
  }
  [[nodiscard]] std::uint64_t trace() const { return disk_.trace(); }
  [[nodiscard]] std::size_t length() const { return model_.log.size(); }
  [[nodiscard]] int refused() const { return refused_; }

 private:
  std::unique_ptr<DataDirectory> take() {
    auto directory = DataDirectory::take(disk_, "/n1", true);
    CHECK(directory.has_value());
    return std::move(*directory);
  }

  void one_run() {
    // Half of the deaths strike at a random operation, the others between two.
    const bool strikes = prng_.chance(1, 2);
    if (strikes) disk_.freeze_after(prng_.between(1, 120));
    auto directory = DataDirectory::take(disk_, "/n1", false);
    if (!directory) {
      EXPECT_TRUE(disk_.frozen()) << directory.error().message;
      return;
    }
    auto node = (*directory)->open();
    if (!node) {
      EXPECT_TRUE(disk_.frozen()) << node.error().message;
      return end();
    }
    compare(*node);
    const std::uint64_t steps = prng_.between(1, 30);
    for (std::uint64_t i = 0; i < steps && step(*node); ++i) {
    }
    end();
    disk_.run_background_work();
  }
  void end() {
    disk_.run_background_work();
    disk_.freeze_after(0);
  }

  // What was acknowledged is there, and what was under way is there as a whole or not at all.
  void compare(OpenedNode& node) {
    const raft::Recovered& found = node.recovered;
    EXPECT_FALSE(found.promise_lost) << node.loss;
    EXPECT_TRUE(found.hard_state == model_.hard_state || found.hard_state == next_.hard_state ||
                first_);
    std::vector<raft::Entry> log;
    if (found.last) {
      auto read = node.log_store->read(Index(1), found.last, ~std::size_t{0});
      ASSERT_TRUE(read) << read.error().message;
      log = std::move(*read);
    }
    const auto same = [&](const std::vector<raft::Entry>& expected) {
      return std::ranges::equal(log, expected, {}, &raft::Entry::checksum, &raft::Entry::checksum);
    };
    EXPECT_TRUE(same(model_.log) || same(next_.log) || first_)
        << log.size() << " entries, " << model_.log.size() << " or " << next_.log.size();
    first_ = false;
    model_ = next_ = {found.hard_state, log};
    if (model_.hard_state.current_term < Term(2)) model_.hard_state.current_term = Term(1);
    applied_ = found.applied.value;
    compare_state(node, log);
  }

  // The state is that of its applied index, exactly (I20).
  static void compare_state(OpenedNode& node, const std::vector<raft::Entry>& log) {
    std::map<std::string, kv::Value> expected;
    for (const raft::Entry& entry : log) {
      if (entry.index() > node.recovered.applied) break;
      if (entry.kind() != raft::EntryKind::command) continue;
      const auto command = kv::decode(entry.payload());
      ASSERT_TRUE(command);
      for (const auto& [key, value] : std::get<kv::SetView>(*command)) {
        expected[std::string(key)] = {std::string(value), entry.index().value};
      }
    }
    for (int i = 0; i < 7; ++i) {
      const std::string key = fmt::format("key{}", i);
      const auto found = node.state_store->get(key);
      ASSERT_TRUE(found);
      const auto at = expected.find(key);
      EXPECT_EQ(found->has_value(), at != expected.end()) << key;
      if (found->has_value() && at != expected.end()) {
        EXPECT_EQ(**found, at->second) << key << " at " << node.recovered.applied.value;
      }
    }
  }

  // False: the disk has stopped.
  bool step(OpenedNode& node) {
    Status done;
    switch (prng_.below(8)) {
      case 0:
        done = node.log_store->checkpoint();
        break;
      case 1:
        done = node.state_store->sync();
        break;
      case 2:
        disk_.run_background_work();
        break;
      case 3:
      case 4:
        done = apply(node);
        break;
      default:
        done = append(node);
    }
    if (!done) {
      EXPECT_EQ(done.error().code, ErrorCode::fatal);
      EXPECT_TRUE(disk_.frozen()) << done.error().message;
      ++refused_;
    }
    return done.has_value();
  }

  Status append(OpenedNode& node) {
    raft::LogWrite write;
    next_ = model_;
    if (prng_.chance(1, 4)) {
      ++next_.hard_state.current_term;
      next_.hard_state.voted_for = raft::MemberId(prng_.below(4));
      write.hard_state = next_.hard_state;
    }
    if (prng_.chance(1, 4) && next_.log.size() > applied_) {
      const std::uint64_t kept = prng_.between(applied_, next_.log.size() - 1);
      write.truncate_from = Index(kept + 1);
      next_.log.resize(kept);
    }
    const std::uint64_t count = prng_.below(4);
    for (std::uint64_t i = 0; i < count; ++i) {
      // Now and then an entry of several sectors, or of several blocks of a WAL.
      const std::size_t size = prng_.chance(1, 10) ? 40'000 : prng_.below(1500);
      write.entries.push_back(set(next_.hard_state.current_term.value, next_.log.size() + 1, size));
      next_.log.push_back(write.entries.back());
    }
    Status done = node.log_store->append({&write, 1});
    if (done) model_ = next_;
    return done;
  }

  Status apply(OpenedNode& node) {
    const std::uint64_t to = prng_.between(applied_, model_.log.size());
    if (to == applied_) return {};
    const std::span<const raft::Entry> entries(model_.log.data() + applied_, to - applied_);
    const auto done = node.state_store->apply(entries);
    if (!done) return failure(done);
    applied_ = to;
    return {};
  }

  FileDisk disk_;
  Prng prng_;
  bool first_ = true;
  Model model_;  // acknowledged
  Model next_;   // asked for last
  std::uint64_t applied_ = 0;
  int refused_ = 0;
};

TEST(StorageOnASimulatedDisk, KeepsWhatItAcknowledgedOverEveryCrash) {
  std::size_t written = 0;
  int refused = 0;
  for (std::uint64_t seed = 1; seed <= 60 && !HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    Life life(seed);
    life.live(12);
    written += life.length();
    refused += life.refused();
  }
  EXPECT_GT(written, 1000u);
  EXPECT_GT(refused, 50) << "the disk stopped within an operation";
}

void write(FileDisk& disk, const std::string& name, const std::string& bytes, bool sync) {
  leveldb::WritableFile* opened = nullptr;
  ASSERT_TRUE(disk.NewAppendableFile(name, &opened).ok());
  const std::unique_ptr<leveldb::WritableFile> file(opened);
  ASSERT_TRUE(file->Append(bytes).ok());
  ASSERT_TRUE((sync ? file->Sync() : file->Flush()).ok());
}

TEST(FileDisk, ALossOfPowerKeepsWhatWasSyncedAndAnySectorsOfTheRest) {
  int later_without_earlier = 0;
  int shorter = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Prng prng(seed);
    FileDisk disk;
    write(disk, "/a", std::string(700, 's'), /*sync=*/true);
    ASSERT_TRUE(disk.sync_directory("/").ok());
    write(disk, "/a", std::string(2000, 'u'), /*sync=*/false);
    disk.crash(Crash::power, prng);
    const std::string& left = disk.contents("/a");
    EXPECT_EQ(left.substr(0, 700), std::string(700, 's'));
    EXPECT_EQ(left.find_first_not_of(std::string("u\0", 2), 700), std::string::npos);
    shorter += left.size() < 2700 ? 1 : 0;
    const std::size_t gap = left.find('\0');
    later_without_earlier += gap != std::string::npos && left.find('u', gap) != std::string::npos;
  }
  EXPECT_GT(shorter, 20);
  EXPECT_GT(later_without_earlier, 20);
}

std::unique_ptr<storage::OverwritableFile> synced_file(FileDisk& disk, const std::string& name,
                                                       const std::string& bytes) {
  std::unique_ptr<storage::OverwritableFile> file;
  EXPECT_TRUE(disk.new_overwritable_file(name, file).ok());
  EXPECT_TRUE(disk.sync_directory("/").ok());
  EXPECT_TRUE(file->write_at(0, bytes).ok());
  EXPECT_TRUE(file->sync().ok());
  return file;
}

TEST(FileDisk, ALossOfPowerKeepsAnySectorsOfWhatWasWrittenOver) {
  int mixed = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Prng prng(seed);
    FileDisk disk;
    const auto file = synced_file(disk, "/a", std::string(5000, '0'));
    ASSERT_TRUE(file->write_at(0, std::string(700, 's')).ok());
    ASSERT_TRUE(file->sync().ok());
    ASSERT_TRUE(file->write_at(700, std::string(2000, 'u')).ok());
    disk.crash(Crash::power, prng);
    const std::string& left = disk.contents("/a");
    ASSERT_EQ(left.size(), 5000u);
    EXPECT_EQ(left.substr(0, 700), std::string(700, 's'));
    EXPECT_EQ(left.find_first_not_of("0u", 700), std::string::npos);
    EXPECT_EQ(left.find_first_not_of('0', 2700), std::string::npos);
    mixed += left.find('u') != std::string::npos && left.find('0') < 2700 ? 1 : 0;
  }
  EXPECT_GT(mixed, 50);
}

TEST(FileDisk, ALossOfPowerMayTakeATruncationBack) {
  std::map<std::size_t, int> sizes;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Prng prng(seed);
    FileDisk disk;
    const auto file = synced_file(disk, "/a", std::string(5000, '0'));
    ASSERT_TRUE(file->truncate(700).ok());
    const bool synced = seed % 2 == 0;
    if (synced) {
      ASSERT_TRUE(file->sync().ok());
    }
    disk.crash(Crash::power, prng);
    const std::size_t size = disk.contents("/a").size();
    EXPECT_TRUE(size == 700 || !synced);
    ++sizes[size];
  }
  EXPECT_EQ(sizes.size(), 2u);
  EXPECT_TRUE(sizes.contains(5000));
}

TEST(FileDisk, ALossOfPowerKeepsAnySubsetOfADirectorysChanges) {
  std::map<std::string, int> seen;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Prng prng(seed);
    FileDisk disk;
    write(disk, "/old", "1", /*sync=*/true);
    ASSERT_TRUE(disk.sync_directory("/").ok());
    write(disk, "/new", "2", /*sync=*/true);
    ASSERT_TRUE(disk.RenameFile("/old", "/moved").ok());
    disk.crash(Crash::power, prng);
    std::string names;
    for (const std::string& path : disk.files()) names += path;
    ++seen[names];
  }
  EXPECT_EQ(seen.size(), 4u) << "each of the two changes, with and without the other";
  EXPECT_TRUE(seen.contains("/new/old"));
  EXPECT_TRUE(seen.contains("/moved"));
}

TEST(FileDisk, ADeathOfTheProcessKeepsWhatTheSystemHas) {
  Prng prng(1);
  FileDisk disk;
  write(disk, "/a", "abc", /*sync=*/false);
  disk.crash(Crash::process, prng);
  EXPECT_EQ(disk.contents("/a"), "abc");
}

TEST(StorageOnASimulatedDisk, StopsWithoutRoomAndGoesOnWithRoom) {
  FileDisk disk;
  Prng prng(3);
  std::uint64_t acknowledged = 1;
  {
    auto directory = DataDirectory::take(disk, "/n1", true);
    ASSERT_TRUE(
        (*directory)
            ->create_cluster(raft::ClusterId(1), raft::InstanceId(2), {"n1", "h:1", "h:2"}));
    auto node = (*directory)->open();
    ASSERT_TRUE(node) << node.error().message;
    disk.set_capacity(20'000);
    for (;; ++acknowledged) {
      raft::LogWrite write;
      write.entries = {set(1, acknowledged + 1, 500)};
      const Status done = node->log_store->append({&write, 1});
      if (!done) {
        EXPECT_EQ(done.error().code, ErrorCode::fatal);
        break;
      }
    }
    disk.freeze_after(0);
    disk.run_background_work();
  }
  EXPECT_GT(acknowledged, 10u);
  disk.crash(Crash::power, prng);
  const auto directory = DataDirectory::take(disk, "/n1", false);
  const auto node = (*directory)->open();
  ASSERT_TRUE(node) << node.error().message;
  EXPECT_GE(node->recovered.last.value, acknowledged);
  EXPECT_FALSE(node->recovered.promise_lost);
}

TEST(StorageOnASimulatedDisk, AReadOrASyncThatFailsIsFatalAndNoDamage) {
  for (const bool reads : {false, true}) {
    FileDisk disk;
    Prng prng(4);
    {
      auto directory = DataDirectory::take(disk, "/n1", true);
      ASSERT_TRUE(
          (*directory)
              ->create_cluster(raft::ClusterId(1), raft::InstanceId(2), {"n1", "h:1", "h:2"}));
      disk.fail_reads(reads);
      disk.fail_syncs(!reads);
      EXPECT_EQ((*directory)->open().error().code, ErrorCode::fatal);
      disk.freeze_after(0);
      disk.run_background_work();
    }
    disk.crash(Crash::power, prng);
    const auto directory = DataDirectory::take(disk, "/n1", false);
    const auto node = (*directory)->open();
    ASSERT_TRUE(node) << node.error().message;
    EXPECT_FALSE(node->recovered.promise_lost);
    EXPECT_EQ(node->recovered.last, Index(1));
  }
}

// LevelDB's background work is under way when a cut's deletions are written: what it notes in the
// manifest includes them, so they have to be synced like all else.
TEST(StorageOnASimulatedDisk, ACutIsNoLostPromiseAfterALossOfPower) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    FileDisk disk;
    Prng prng(seed);
    std::uint64_t last = 1;
    {
      const auto directory = DataDirectory::take(disk, "/n1", true);
      ASSERT_TRUE(
          (*directory)
              ->create_cluster(raft::ClusterId(1), raft::InstanceId(2), {"n1", "h:1", "h:2"}));
      const auto node = (*directory)->open();
      ASSERT_TRUE(node) << node.error().message;
      disk.run_background_work();
      while (disk.background_work() == 0) {
        raft::LogWrite write;
        write.entries = {set(1, ++last, 1000)};
        ASSERT_TRUE(node->log_store->append({&write, 1}));
      }
      ASSERT_TRUE(node->log_store->checkpoint());
      ASSERT_TRUE(node->log_store->cut_before(Index(last), Term(1)));
      ASSERT_TRUE(node->log_store->free_cut());
      disk.run_background_work();
      disk.freeze_after(0);
    }
    disk.crash(Crash::power, prng);
    const auto directory = DataDirectory::take(disk, "/n1", false);
    const auto node = (*directory)->open();
    ASSERT_TRUE(node) << node.error().message;
    EXPECT_FALSE(node->recovered.promise_lost) << node->loss;
    EXPECT_EQ(node->recovered.last, Index(last));
  }
}

// What a killed process made and did not sync is there for the next one, which builds on it.
TEST(StorageOnASimulatedDisk, AnInstanceIsDurableThoughAnEarlierAttemptWasKilled) {
  for (std::uint64_t operations = 0; operations < 12; ++operations) {
    SCOPED_TRACE(operations);
    FileDisk disk;
    Prng prng(operations);
    const auto begin_join = [&](std::uint64_t fresh) -> Result<raft::InstanceId> {
      auto directory = DataDirectory::take(disk, "/n1", true);
      if (!directory) return failure(directory);
      return (*directory)->begin_join(raft::InstanceId(fresh));
    };
    disk.freeze_after(operations);
    (void)begin_join(1);
    disk.crash(Crash::process, prng);
    const auto instance = begin_join(2);
    ASSERT_TRUE(instance) << instance.error().message;
    disk.crash(Crash::power, prng);
    EXPECT_EQ(begin_join(3), *instance);
  }
}

TEST(StorageOnASimulatedDisk, TheSameSeedIsTheSameLife) {
  std::uint64_t first = 0;
  for (int i = 0; i < 2; ++i) {
    Life life(7);
    life.live(12);
    EXPECT_TRUE(i == 0 || life.trace() == first);
    first = life.trace();
  }
}

}  // namespace
}  // namespace raftkv::sim
