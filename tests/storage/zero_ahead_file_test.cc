// A write-ahead log with zeros ahead, on the machine's disk and on a simulated one.
#include "src/storage/zero_ahead_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "src/storage/database.h"
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
    std::size_t largest = 0;  // of the file, ever
    int writes = 0;
    int syncs = 0;
    bool no_room = false;  // for what lies more than kRoom behind the end
    static constexpr std::size_t kRoom = 1000;
  };
  explicit Recorded(Log& log) : log_(log) {}

  leveldb::Status write_at(std::uint64_t offset, const leveldb::Slice& data) override {
    ++log_.writes;
    if (log_.no_room && data.size() > Log::kRoom) {
      log_.bytes.resize(offset + Log::kRoom);  // a part of it fits
      return leveldb::Status::IOError("No space left on device");
    }
    if (log_.bytes.size() < offset + data.size()) log_.bytes.resize(offset + data.size());
    log_.bytes.replace(offset, data.size(), data.data(), data.size());
    log_.largest = std::max(log_.largest, log_.bytes.size());
    return leveldb::Status::OK();
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

TEST(ZeroAheadFile, SyncsMostlyWhatHasItsPlace) {
  Recorded::Log log;
  ZeroAheadFile file(std::make_unique<Recorded>(log));
  std::string expected;
  int grown = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::size_t before = log.bytes.size();
    const std::string record(1 + static_cast<std::size_t>(i) % 700,
                             static_cast<char>('a' + i % 26));
    expected += record;
    ASSERT_TRUE(file.Append(record).ok());
    ASSERT_TRUE(file.Sync().ok());
    grown += log.bytes.size() != before ? 1 : 0;
    ASSERT_EQ(log.bytes.substr(0, expected.size()), expected);
    ASSERT_EQ(log.bytes.find_first_not_of('\0', expected.size()), std::string::npos);
  }
  EXPECT_EQ(log.syncs, 1000);
  EXPECT_LE(grown, 4) << "64 KiB, then 128, then 256";
  ASSERT_TRUE(file.Close().ok());
  EXPECT_EQ(log.bytes, expected);
  EXPECT_EQ(log.syncs, 1001) << "that the zeros are gone is durable";
}

TEST(ZeroAheadFile, DoesWithoutZerosWhereThereIsNoRoom) {
  Recorded::Log log;
  log.no_room = true;
  ZeroAheadFile file(std::make_unique<Recorded>(log));
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(file.Append("record").ok());
    ASSERT_TRUE(file.Sync().ok());
    EXPECT_EQ(log.bytes.size(), 6u * static_cast<std::size_t>(i + 1));
  }
  EXPECT_EQ(log.writes, 11) << "it is tried once";
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
