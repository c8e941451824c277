// A write-ahead log with zeros ahead, on the machine's disk and on a simulated one.
#include "src/storage/zero_ahead_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/time.h"
#include "src/storage/database.h"
#include "src/storage/staggered.h"
#include "src/storage/wal_scan.h"

namespace raftkv::storage {
namespace {

std::string contents(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

// Remembers what it is told.
class Recorded final : public OverwritableFile {
 public:
  struct Log {
    std::string bytes;
    int writes = 0;
    int syncs = 0;
    std::size_t room = ~std::size_t{0};  // for so many bytes
    std::size_t block = 1;
  };
  explicit Recorded(Log& log) : log_(log) {}

  [[nodiscard]] std::size_t block() const override { return log_.block; }
  leveldb::Status write_at(std::uint64_t offset, const leveldb::Slice& data) override {
    ++log_.writes;
    EXPECT_EQ(offset % log_.block, 0u);
    EXPECT_EQ(data.size() % log_.block, 0u);
    const std::size_t end = std::min(static_cast<std::size_t>(offset) + data.size(), log_.room);
    if (log_.bytes.size() < end) log_.bytes.resize(end);
    log_.bytes.replace(offset, end - offset, data.data(), end - offset);  // a part of it may fit
    return end == offset + data.size() ? leveldb::Status::OK()
                                       : leveldb::Status::IOError("No space left on device");
  }
  leveldb::Status truncate(std::uint64_t size) override {
    log_.bytes.resize(size);
    return leveldb::Status::OK();
  }
  leveldb::Status sync() override {
    ++log_.syncs;
    return leveldb::Status::OK();
  }

 private:
  Log& log_;
};

// What the system's cache takes, and what a device takes without it.
class ZeroAheadFiles : public testing::TestWithParam<std::size_t> {
 protected:
  ZeroAheadFiles() { log.block = GetParam(); }
  Recorded::Log log;
};
INSTANTIATE_TEST_SUITE_P(Blocks, ZeroAheadFiles, testing::Values(1, 512, 4096));

TEST_P(ZeroAheadFiles, SyncMostlyWhatHasItsPlace) {
  ZeroAheadFile file(std::make_unique<Recorded>(log));
  std::string expected;
  int grown = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::size_t before = log.bytes.size();
    const std::string record(1 + static_cast<std::size_t>(i) % 700,
                             static_cast<char>('a' + i % 26));
    expected += record;
    // In two pieces and with a flush, as LevelDB does it.
    ASSERT_TRUE(file.Append(record.substr(0, 1)).ok());
    ASSERT_TRUE(file.Append(record.substr(1)).ok());
    ASSERT_TRUE(file.Flush().ok());
    ASSERT_TRUE(file.Sync().ok());
    grown += log.bytes.size() != before ? 1 : 0;
    ASSERT_EQ(log.bytes.substr(0, expected.size()), expected);
    ASSERT_EQ(log.bytes.find_first_not_of('\0', expected.size()), std::string::npos);
  }
  EXPECT_EQ(log.syncs, 1000);
  EXPECT_EQ(log.writes, 1000) << "the zeros come with what is written anyway";
  EXPECT_LE(grown, 4) << "64 KiB, then 128, then 256";
  ASSERT_TRUE(file.Close().ok());
  EXPECT_EQ(log.bytes, expected);
  EXPECT_EQ(log.syncs, 1001) << "that the zeros are gone is durable";
}

// Records that end where a block does, and longer ones than the zeros ahead.
TEST_P(ZeroAheadFiles, HoldRecordsOfAllSizes) {
  ZeroAheadFile file(std::make_unique<Recorded>(log));
  std::string expected;
  for (const std::size_t size :
       {4096u, 1u, 4095u, 511u, 512u, 3073u, 8192u, 300'000u, 1'000'000u, 7u, 4089u}) {
    const std::string record(size, static_cast<char>('a' + expected.size() % 26));
    expected += record;
    ASSERT_TRUE(file.Append(record).ok());
    ASSERT_TRUE(file.Sync().ok());
    ASSERT_EQ(log.bytes.substr(0, expected.size()), expected);
    ASSERT_GT(log.bytes.size(), expected.size()) << "what follows has its place already";
    ASSERT_EQ(log.bytes.find_first_not_of('\0', expected.size()), std::string::npos);
  }
  ASSERT_TRUE(file.Close().ok());
  EXPECT_EQ(log.bytes, expected);
}

TEST_P(ZeroAheadFiles, DoWithoutZerosWhereThereIsNoRoom) {
  log.room = 16'384;
  ZeroAheadFile file(std::make_unique<Recorded>(log));
  std::string expected;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(file.Append("record").ok());
    ASSERT_TRUE(file.Sync().ok());
    expected += "record";
    EXPECT_EQ(log.bytes.substr(0, expected.size()), expected);
    EXPECT_EQ(log.bytes.size(), (expected.size() + log.block - 1) / log.block * log.block);
  }
  EXPECT_EQ(log.writes, 11) << "it is tried once";
  ASSERT_TRUE(file.Append(std::string(log.room, 'x')).ok());
  EXPECT_FALSE(file.Sync().ok()) << "but what was appended has to fit";
}

// On the machine's disk, and in memory.
class MachineFiles : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (!std::filesystem::is_directory(GetParam())) GTEST_SKIP() << "no " << GetParam();
    path = GetParam() + "/raftkv_overwritable_test." + std::to_string(::getpid());
    std::filesystem::remove(path);
  }
  void TearDown() override { std::filesystem::remove(path); }
  // Its process dies while it writes the first byte of any file.
  [[noreturn]] static void make_it_without_a_write(const std::string& path) {
    const rlimit none{.rlim_cur = 0, .rlim_max = 0};
    ::setrlimit(RLIMIT_FSIZE, &none);
    std::unique_ptr<OverwritableFile> made;
    const leveldb::Status status = posix_disk().new_overwritable_file(path, made);
    ::_exit(status.ok() && made != nullptr ? 0 : 1);
  }

  std::string path;
};
INSTANTIATE_TEST_SUITE_P(Directories, MachineFiles,
                         testing::Values(std::filesystem::temp_directory_path().string(),
                                         "/dev/shm"),
                         [](const auto& test) { return test.index == 0 ? "Disk" : "Memory"; });

// However soon a process dies: a WAL that holds anything shows that the one before was closed.
TEST_P(MachineFiles, StayEmptyUntilTheirFirstWrite) {
  std::ofstream(path) << "something old";
  EXPECT_EXIT(make_it_without_a_write(path), testing::ExitedWithCode(0), "");
  EXPECT_TRUE(std::filesystem::exists(path));
  EXPECT_TRUE(contents(path).empty());
}

// A file system that does not take O_DIRECT says so at the open or at a write; one that does says
// the same of a write that is no block.
TEST_P(MachineFiles, GoThroughTheCacheWhereNothingElseIsTaken) {
  std::unique_ptr<OverwritableFile> file;
  ASSERT_TRUE(posix_disk().new_overwritable_file(path, file).ok());
  const std::string block(file->block(), 'a');
  ASSERT_TRUE(file->write_at(0, block).ok());
  ASSERT_TRUE(file->write_at(block.size(), "no block").ok());
  ASSERT_TRUE(file->write_at(block.size() - 1, "bit").ok());
  ASSERT_TRUE(file->sync().ok());
  ASSERT_TRUE(file->write_at(0, std::string(block.size(), 'b')).ok());
  ASSERT_TRUE(file->sync().ok());
  EXPECT_EQ(contents(path), std::string(block.size(), 'b') + "it block");
}

TEST_P(MachineFiles, AreTheSamePastTheCache) {
  std::unique_ptr<OverwritableFile> made;
  ASSERT_TRUE(posix_disk().new_overwritable_file(path, made).ok()) << path;
  ASSERT_NE(made, nullptr);
  EXPECT_TRUE(contents(path).empty());
  ZeroAheadFile file(std::move(made));
  std::string expected;
  for (std::size_t size = 1; size < 3'000'000; size *= 7) {
    expected += std::string(size, static_cast<char>('a' + size % 26));
    ASSERT_TRUE(
        file.Append(slice_of(std::string_view(expected).substr(expected.size() - size))).ok());
    ASSERT_TRUE(file.Sync().ok());
    EXPECT_EQ(contents(path).substr(0, expected.size()), expected);
  }
  ASSERT_TRUE(file.Close().ok());
  EXPECT_EQ(contents(path), expected);
}

// Four members that were added one after the other, as most clusters are.
TEST(Staggered, MembersThatFollowEachOtherDiffer) {
  constexpr std::size_t kBytes = 32u << 20;
  std::set<std::size_t> sizes;
  for (std::uint64_t member = 5; member < 9; ++member) {
    const std::size_t bytes = staggered(kBytes, raft::MemberId(member));
    EXPECT_LE(bytes, kBytes);
    EXPECT_GE(bytes, kBytes / 4 * 3);
    sizes.insert(bytes);
  }
  EXPECT_EQ(sizes.size(), 4u);
  EXPECT_EQ(staggered(Duration(12s), raft::MemberId(8)), 12s);
  EXPECT_EQ(staggered(Duration(12s), raft::MemberId(7)), 9s);
}

TEST(ZeroAheadFile, OnTheMachinesDiskItIsAWriteAheadLog) {
  const auto directory = std::filesystem::temp_directory_path() / "raftkv_zero_ahead_test";
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  FailFlag flag;
  const std::string path = directory / "log";
  const auto wal = [&] {
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      if (entry.path().extension() == ".log") return entry.path().string();
    }
    return std::string();
  };
  std::string while_open;
  {
    FailStopEnv env(posix_disk(), flag, WalUse::syncs_always);
    auto database = Database::open(env, "log", path, {.create = true});
    ASSERT_TRUE(database) << database.error().message;
    leveldb::WriteBatch batch;
    batch.Put("key", "value");
    ASSERT_TRUE(database->write(batch, /*sync=*/true));
    while_open = contents(wal());
    EXPECT_GE(while_open.size(), ZeroAheadFile::kAheadMin);
  }
  const std::string closed = contents(wal());
  EXPECT_LT(closed.size(), 100u);
  EXPECT_EQ(while_open.substr(0, closed.size()), closed);

  // As a killed process leaves it: whole, with an end before the file's.
  std::ofstream(wal(), std::ios::binary) << while_open;
  {
    FailStopEnv env(posix_disk(), flag, WalUse::syncs_always);
    const auto scan = scan_database(env, "log", path);
    ASSERT_TRUE(scan) << scan.error().message;
    EXPECT_EQ(scan->last_sequence, 1u);
    EXPECT_FALSE(lost_since(*scan, 1));
    ASSERT_TRUE(cut_to_scan(env, path, *scan));
    EXPECT_EQ(contents(wal()), closed);
    auto database = Database::open(env, "log", path, {});
    ASSERT_TRUE(database) << database.error().message;
    EXPECT_EQ(database->get("key").value(), "value");
  }
  EXPECT_FALSE(flag.tripped());
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace raftkv::storage
