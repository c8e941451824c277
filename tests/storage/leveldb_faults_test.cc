// What LevelDB 1.23 does to a replicated log when nobody guards it, and what we do instead. Each
// test shows both: first LevelDB alone, with everything that it offers turned on; then ours.
// (What FailStopEnv answers alone is in fail_stop_env_test.cc.)

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <leveldb/db.h>
#include <leveldb/write_batch.h>

#include <cstdlib>
#include <filesystem>

#include "src/storage/database.h"
#include "src/storage/log_format.h"
#include "src/storage/wal_scan.h"
#include "tests/storage/log_fixture.h"

namespace raftkv::storage {
namespace {

using Plain = std::unique_ptr<leveldb::DB>;

// LevelDB would write its chronicle past the disk in memory.
class Silence final : public leveldb::Logger {
 public:
  void Logv(const char* /*format*/, std::va_list /*arguments*/) override {}
};

leveldb::Options plain_options(leveldb::Env& env) {
  static Silence silence;
  leveldb::Options options;
  options.env = &env;
  options.create_if_missing = true;
  options.info_log = &silence;
  options.paranoid_checks = true;
  options.compression = leveldb::kNoCompression;
  return options;
}

Plain open_plain(const leveldb::Options& options, const std::string& path = "/d/log") {
  leveldb::DB* opened = nullptr;
  const auto status = leveldb::DB::Open(options, path, &opened);
  return Plain(status.ok() ? opened : nullptr);
}

std::string key_of(int i) {
  return fmt::format("{:08}", i);
}

bool has(leveldb::DB& db, int i) {
  leveldb::ReadOptions verify;
  verify.verify_checksums = true;
  std::string value;
  return db.Get(verify, key_of(i), &value).ok();
}

int count(leveldb::DB& db, int size) {
  int found = 0;
  for (int i = 0; i < size; ++i) found += has(db, i) ? 1 : 0;
  return found;
}

leveldb::Status put(leveldb::DB& db, int i, std::size_t size = 98) {
  leveldb::WriteOptions sync;
  sync.sync = true;
  return db.Put(sync, key_of(i), std::string(size, 'v'));
}

std::string only_file(const TestDisk& disk, std::string_view part) {
  std::string found;
  for (const std::string& path : disk.files()) {
    if (path.find(part) == std::string::npos) continue;
    EXPECT_TRUE(found.empty()) << found << " and " << path;
    found = path;
  }
  return found;
}

std::string contents_of(const TestDisk& disk, std::string_view part) {
  return disk.contents(only_file(disk, part));
}

Result<Database> open_ours(FailStopEnv& env) {
  const auto scan = scan_database(env, "log", "/d/log");
  if (!scan) return failure(scan);
  if (Status cut = cut_to_scan(env, "/d/log", *scan); !cut) return failure(cut);
  return Database::open(env, "log", "/d/log", {});
}

int count(Database& database, int size) {
  int found = 0;
  for (int i = 0; i < size; ++i) found += database.get(key_of(i))->has_value() ? 1 : 0;
  return found;
}

// 2,000 synced writes in one WAL of about eight blocks, 128 bytes each, and the machine gone.
class WalFault : public testing::Test {
 protected:
  static constexpr int kWrites = 2000;
  WalFault() {
    TestDisk disk;
    EXPECT_TRUE(disk.CreateDir("/d").ok());
    const Plain db = open_plain(plain_options(disk));
    for (int i = 0; i < kWrites; ++i) EXPECT_TRUE(put(*db, i).ok());
    disk_ = disk.after_kill();
    disk.run_background_work();
  }
  void change_wal(const std::function<void(std::string&)>& change) {
    const std::string path = only_file(*disk_, "/d/log/000");
    std::string bytes = disk_->contents(path);
    change(bytes);
    disk_->set_contents(path, std::move(bytes));
  }
  // Ours holds a prefix of the writes, and knows that it is not all.
  void expect_known_prefix(int at_least) {
    FailFlag flag;
    FailStopEnv env(*disk_, flag);
    const auto scan = scan_database(env, "log", "/d/log");
    ASSERT_TRUE(scan) << scan.error().message;
    EXPECT_TRUE(lost_since(*scan, kWrites));
    auto database = open_ours(env);
    ASSERT_TRUE(database) << database.error().message;
    const int found = count(*database, kWrites);
    EXPECT_GE(found, at_least);
    EXPECT_LT(found, kWrites);
    for (int i = 0; i < found; ++i) EXPECT_TRUE(database->get(key_of(i))->has_value()) << i;
    EXPECT_EQ(scan->last_sequence, static_cast<std::uint64_t>(found));
    disk_->run_background_work();
  }
  [[nodiscard]] std::unique_ptr<TestDisk> copy() const { return disk_->after_kill(); }

  std::unique_ptr<TestDisk> disk_;
};

TEST_F(WalFault, AZeroedBlockIsAHoleThatLevelDbDoesNotMention) {
  change_wal(
      [](std::string& bytes) { std::fill_n(bytes.begin() + kLogBlockSize, kLogBlockSize, '\0'); });
  {
    const auto alone = copy();
    const Plain db = open_plain(plain_options(*alone));
    ASSERT_NE(db, nullptr) << "opens, with paranoid checks";
    EXPECT_FALSE(has(*db, 400));
    EXPECT_TRUE(has(*db, kWrites - 1)) << "what follows the hole is replayed";
    alone->run_background_work();
  }
  expect_known_prefix(200);
}

TEST_F(WalFault, ADamagedSizeInTheLastBlockIsAnEndForLevelDb) {
  change_wal([](std::string& bytes) {
    const std::size_t block = bytes.size() / kLogBlockSize * kLogBlockSize;
    // The first whole record in it: the one at its beginning ends where its size says.
    const std::size_t first = static_cast<unsigned char>(bytes[block + 4]);
    bytes[block + kLogHeaderSize + first + 5] = 0x7f;
  });
  {
    const auto alone = copy();
    const Plain db = open_plain(plain_options(*alone));
    ASSERT_NE(db, nullptr) << "opens, with paranoid checks";
    EXPECT_FALSE(has(*db, kWrites - 1)) << "all that follows is gone";
    alone->run_background_work();
  }
  expect_known_prefix(1000);
}

TEST_F(WalFault, AWalThatIsGoneIsNotMissedByLevelDb) {
  ASSERT_TRUE(disk_->RemoveFile(only_file(*disk_, "/d/log/000")).ok());
  {
    const auto alone = copy();
    const Plain db = open_plain(plain_options(*alone));
    ASSERT_NE(db, nullptr) << "opens, with paranoid checks";
    EXPECT_EQ(count(*db, kWrites), 0);
    alone->run_background_work();
  }
  FailFlag flag;
  FailStopEnv env(*disk_, flag);
  EXPECT_EQ(scan_database(env, "log", "/d/log").error().code, ErrorCode::corrupt);
}

TEST_F(WalFault, WithoutCurrentLevelDbBeginsAnew) {
  ASSERT_TRUE(disk_->RemoveFile("/d/log/CURRENT").ok());
  {
    const auto alone = copy();
    const Plain db = open_plain(plain_options(*alone));
    ASSERT_NE(db, nullptr) << "opens, with paranoid checks";
    alone->run_background_work();
  }
  FailFlag flag;
  FailStopEnv env(*disk_, flag);
  const auto scan = scan_database(env, "log", "/d/log");
  EXPECT_EQ(scan.error().message, "log: CURRENT is missing");
  EXPECT_EQ(Database::open(env, "log", "/d/log", {}).error().code, ErrorCode::corrupt);
  EXPECT_FALSE(disk_->FileExists("/d/log/CURRENT"));
}

// Writes until a memtable has been flushed: the MANIFEST's last record names the table.
class ManifestFault : public testing::Test {
 protected:
  static constexpr int kWrites = 70;  // fills one memtable, not two
  ManifestFault() {
    TestDisk disk;
    EXPECT_TRUE(disk.CreateDir("/d").ok());
    leveldb::Options options = plain_options(disk);
    options.write_buffer_size = 64 << 10;
    const Plain db = open_plain(options);
    for (int i = 0; i < kWrites; ++i) EXPECT_TRUE(put(*db, i, 1000).ok());
    before_ = disk.after_kill();
    disk.run_background_work();
    after_ = disk.after_kill();
  }
  // The bytes of the last record of the MANIFEST.
  [[nodiscard]] std::size_t last_record() const {
    return contents_of(*after_, "MANIFEST").size() - contents_of(*before_, "MANIFEST").size();
  }

  std::unique_ptr<TestDisk> before_;  // the flush
  std::unique_ptr<TestDisk> after_;
};

TEST_F(ManifestFault, ALostLastRecordHidesATable) {
  ASSERT_GT(last_record(), 30u);
  after_->set_contents(only_file(*after_, "MANIFEST"), contents_of(*before_, "MANIFEST"));
  {
    const auto alone = after_->after_kill();
    const Plain db = open_plain(plain_options(*alone));
    ASSERT_NE(db, nullptr) << "opens, with paranoid checks";
    EXPECT_FALSE(has(*db, 0));
    EXPECT_TRUE(has(*db, kWrites - 1)) << "what follows the hole is replayed";
    alone->run_background_work();
  }
  FailFlag flag;
  FailStopEnv env(*after_, flag);
  const auto scan = scan_database(env, "log", "/d/log");
  ASSERT_FALSE(scan);
  EXPECT_EQ(scan.error().code, ErrorCode::corrupt);
  EXPECT_NE(scan.error().message.find("is missing"), std::string::npos) << scan.error().message;
}

TEST_F(ManifestFault, ATornLastRecordStopsLevelDbForEver) {
  // The power went while the record was being written: nothing was removed yet.
  std::string torn = contents_of(*after_, "MANIFEST");
  torn[torn.size() - 5] ^= 1;
  before_->set_contents(only_file(*before_, "MANIFEST"), torn);
  EXPECT_EQ(open_plain(plain_options(*before_->after_kill())), nullptr);
  FailFlag flag;
  FailStopEnv env(*before_, flag);
  auto database = open_ours(env);
  ASSERT_TRUE(database) << database.error().message;
  EXPECT_EQ(count(*database, kWrites), kWrites);
  before_->run_background_work();
}

TEST_F(ManifestFault, DamageBeforeTheLastRecordIsNoTornEnd) {
  const std::string path = only_file(*after_, "MANIFEST");
  const std::string good = after_->contents(path);
  int refused = 0;
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string changed = good;
    changed[at] = static_cast<char>(changed[at] ^ 4);
    after_->set_contents(path, changed);
    const auto scan = scan_database(*after_, "log", "/d/log");
    // Cut, the last record shows by the WAL that is not there any more.
    EXPECT_EQ(scan.error().code, ErrorCode::corrupt) << at;
    ++refused;
    after_->set_contents(path, good.substr(0, at));
    EXPECT_EQ(scan_database(*after_, "log", "/d/log").error().code, ErrorCode::corrupt) << at;
  }
  EXPECT_GT(refused, 80);
  after_->set_contents(path, good);
  EXPECT_TRUE(scan_database(*after_, "log", "/d/log"));
}

TEST_F(ManifestFault, ATableOfAnotherSizeIsFoundBeforeItIsRead) {
  const std::string path = only_file(*after_, ".ldb");
  after_->set_contents(path, after_->contents(path).substr(0, 30'000));
  {
    const auto alone = after_->after_kill();
    EXPECT_NE(open_plain(plain_options(*alone)), nullptr) << "opens, with paranoid checks";
    alone->run_background_work();
  }
  const auto scan = scan_database(*after_, "log", "/d/log");
  EXPECT_EQ(scan.error().code, ErrorCode::corrupt);
}

TEST_F(ManifestFault, LevelDbReadsDamagedBlocksUnlessToldToLook) {
  const std::string path = only_file(*after_, ".ldb");
  std::string bytes = after_->contents(path);
  bytes[500] = 'w';  // in the value of key 0
  after_->set_contents(path, bytes);
  {
    const auto alone = after_->after_kill();
    const Plain db = open_plain(plain_options(*alone));
    ASSERT_NE(db, nullptr);
    std::string value;
    ASSERT_TRUE(db->Get({}, key_of(0), &value).ok());
    EXPECT_NE(value, std::string(1000, 'v')) << "changed, and no word of it";
    alone->run_background_work();
  }
  FailFlag flag;
  FailStopEnv env(*after_, flag);
  auto database = open_ours(env);
  ASSERT_TRUE(database) << database.error().message;
  EXPECT_EQ(database->get(key_of(0)).error().code, ErrorCode::corrupt);
  const auto at = database->iterate();
  at->SeekToFirst();
  EXPECT_FALSE(database->check(*at));
  after_->run_background_work();
}

// Four tables with the same keys, of which one is damaged: a compaction reads them all.
TEST(CompactionFault, LevelDbCompactsDamagedInputsUnlessToldToLook) {
  for (const bool ours : {false, true}) {
    TestDisk disk;
    ASSERT_TRUE(disk.CreateDir("/d").ok());
    leveldb::Options options = plain_options(disk);
    options.paranoid_checks = ours;  // what Database::open sets
    for (int i = 0; i < 4; ++i) {
      const Plain db = open_plain(options);
      ASSERT_TRUE(put(*db, 0, 1000).ok());
      ASSERT_TRUE(put(*db, 1 + i, 1000).ok());
      disk.run_background_work();
    }
    std::string damaged;
    for (const std::string& path : disk.files()) {
      if (path.ends_with(".ldb")) damaged = path;  // the newest so far
    }
    std::string bytes = disk.contents(damaged);
    bytes[100] = 'w';
    disk.set_contents(damaged, bytes);
    for (int i = 0; i < 2; ++i) {
      const Plain db = open_plain(options);
      if (db == nullptr) break;
      (void)put(*db, 9, 1000);
      disk.run_background_work();  // the compaction
    }
    const bool still_there = disk.FileExists(damaged);
    EXPECT_EQ(still_there, ours) << "a compaction rewrote the damage with a good checksum";
  }
}

TEST(AppendFault, LevelDbGoesOnAfterAFailedAppendAndLosesWhatFollows) {
  for (const bool ours : {false, true}) {
    TestDisk disk;
    FailFlag flag;
    FailStopEnv guard(disk, flag);
    leveldb::Env& env = ours ? static_cast<leveldb::Env&>(guard) : disk;
    ASSERT_TRUE(disk.CreateDir("/d").ok());
    int reported = 0;
    {
      const Plain db = open_plain(plain_options(env));
      for (int i = 0; i < 20; ++i) ASSERT_TRUE(put(*db, i).ok());
      disk.fail_at(2);  // the data of a record, of which half is written; then there is room again
      EXPECT_FALSE(put(*db, 20).ok());
      for (int i = 21; i < 40; ++i) reported += put(*db, i).ok() ? 1 : 0;
      disk.fail_at(0);
    }
    disk.run_background_work();
    const auto image = disk.after_kill();
    if (ours) {
      EXPECT_EQ(reported, 0) << "nothing is promised after the first failure";
      continue;
    }
    EXPECT_EQ(reported, 19);
    const Plain db = open_plain(plain_options(*image));
    const int found = db == nullptr ? 0 : count(*db, 40);
    EXPECT_LT(found, 20 + reported) << "synced, reported, and gone";
    image->run_background_work();
  }
}

// The WAL that a full memtable leaves behind is closed without a sync; then the power goes.
TEST(SwitchFault, LevelDbClosesAWalUnsyncedAndASyncOfTheNextOneDoesNotHelp) {
  for (const bool ours : {false, true}) {
    TestDisk disk;
    FailFlag flag;
    FailStopEnv guard(disk, flag);
    leveldb::Env& env = ours ? static_cast<leveldb::Env&>(guard) : disk;
    ASSERT_TRUE(disk.CreateDir("/d").ok());
    ASSERT_TRUE(disk.sync_directory("/").ok());
    leveldb::Options options = plain_options(env);
    options.write_buffer_size = 64 << 10;
    std::unique_ptr<TestDisk> image;
    {
      const Plain db = open_plain(options);
      for (int i = 0; i < 70; ++i) ASSERT_TRUE(db->Put({}, key_of(i), std::string(1000, 'v')).ok());
      ASSERT_TRUE(put(*db, 70).ok());
      // LevelDB leaves this out as well; the next row is about it.
      ASSERT_TRUE(disk.sync_directory("/d").ok());
      ASSERT_TRUE(disk.sync_directory("/d/log").ok());
      image = disk.after_power_loss();
      disk.run_background_work();
    }
    const Plain db = open_plain(plain_options(*image));
    ASSERT_NE(db, nullptr);
    EXPECT_TRUE(has(*db, 70));
    EXPECT_EQ(has(*db, 0), ours) << "written before what was synced";
    image->run_background_work();
  }
}

TEST(DirectoryFault, WhatLevelDbMadeAndSyncedIsInNoDirectory) {
  for (const bool ours : {false, true}) {
    TestDisk disk;
    FailFlag flag;
    FailStopEnv guard(disk, flag);
    leveldb::Env& env = ours ? static_cast<leveldb::Env&>(guard) : disk;
    ASSERT_TRUE(disk.CreateDir("/d").ok());
    ASSERT_TRUE(disk.CreateDir("/d/log").ok());
    ASSERT_TRUE(disk.sync_directory("/").ok());
    ASSERT_TRUE(disk.sync_directory("/d").ok());
    const Plain db = open_plain(plain_options(env));
    ASSERT_TRUE(put(*db, 0).ok());
    const auto image = disk.after_power_loss();
    disk.run_background_work();
    leveldb::Options options = plain_options(*image);
    options.create_if_missing = false;
    const Plain again = open_plain(options);
    EXPECT_EQ(again != nullptr && has(*again, 0), ours) << "synced, reported, and gone";
    image->run_background_work();
  }
}

// Many versions of one key, kept by views of them all, so that a compaction spreads them over two
// tables; the newest says that the key is deleted. Then a compaction that takes only the first of
// the two tables drops it, and the second one's obsolete version is back. On a real disk: LevelDB
// compacts in a thread of its own.
class SnapshotFault : public testing::Test {
 protected:
  SnapshotFault() {
    EXPECT_NE(::mkdtemp(path_.data()), nullptr);
    leveldb::Options options = plain_options(*leveldb::Env::Default());
    options.max_file_size = 1 << 20;
    options.write_buffer_size = 32 << 20;
    db_ = open_plain(options, path_ + "/db");
  }
  ~SnapshotFault() override {
    db_.reset();
    std::filesystem::remove_all(path_);
  }
  // `view` opens a view of the database as it is now, and gives what ends it.
  bool comes_back(const std::function<std::function<void()>()>& view) {
    std::vector<std::function<void()>> ends;
    EXPECT_TRUE(db_->Put({}, "a", "1").ok());
    EXPECT_TRUE(db_->Put({}, "k", "1").ok());
    db_->CompactRange(nullptr, nullptr);
    for (int version = 0; version < 500; ++version) {
      EXPECT_TRUE(db_->Put({}, "k", std::string(4096, 'v')).ok());
      ends.push_back(view());
    }
    EXPECT_TRUE(db_->Delete({}, "k").ok());
    db_->CompactRange(nullptr, nullptr);
    for (const auto& end : ends) end();
    EXPECT_TRUE(db_->Put({}, "a", "2").ok());
    const leveldb::Slice a("a");
    db_->CompactRange(&a, &a);
    std::string value;
    return db_->Get({}, "k", &value).ok();
  }

  std::string path_ = testing::TempDir() + "raftkv-storage-XXXXXX";
  Plain db_;
};

TEST_F(SnapshotFault, ARegisteredSnapshotBringsADeletedValueBack) {
  EXPECT_TRUE(comes_back([&] {
    const leveldb::Snapshot* snapshot = db_->GetSnapshot();
    return [this, snapshot] { db_->ReleaseSnapshot(snapshot); };
  }));
}

TEST_F(SnapshotFault, APlainIteratorDoesNot) {
  EXPECT_FALSE(comes_back([&] {
    std::shared_ptr<leveldb::Iterator> iterator(db_->NewIterator({}));
    return [iterator]() mutable { iterator.reset(); };
  }));
}

}  // namespace
}  // namespace raftkv::storage
