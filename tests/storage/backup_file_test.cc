// Backups on a disk.
#include "src/storage/backup_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/storage/seeds.h"
#include "tests/storage/test_disk.h"

namespace raftkv::storage {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kFile = "/b";

// Of a state large enough that its file is read in several pieces.
const std::string& backup() {
  static const std::string kBytes = OldState(60, 100'000).backup();
  return kBytes;
}

Status write(Disk& disk, std::string_view bytes, bool replace = false) {
  BackupFileWriter writer(disk, kFile, replace);
  Status status = writer.begin();
  while (status && !bytes.empty()) {
    const std::string_view piece = bytes.substr(0, 70'000);
    status = writer.append(piece);
    bytes.remove_prefix(piece.size());
  }
  if (status) status = writer.finish();
  if (!status) writer.discard();
  return status;
}

// All chunks but the last, which is empty.
Result<std::string> read(Disk& disk) {
  auto reader = BackupFileReader::open(disk, kFile);
  if (!reader) return failure(reader);
  std::string pairs;
  for (;;) {
    const auto chunk = reader->next();
    if (!chunk) return failure(chunk);
    pairs += chunk->data;
    if (chunk->last) return pairs;
  }
}

TEST(BackupFile, IsReadAsItWasWritten) {
  TestDisk disk;
  ASSERT_TRUE(write(disk, backup()));
  EXPECT_EQ(disk.contents(kFile), backup());
  EXPECT_FALSE(disk.FileExists("/b.part"));
  const auto reader = BackupFileReader::open(disk, kFile);
  ASSERT_TRUE(reader) << reader.error().message;
  EXPECT_EQ(reader->header().cluster, kOldCluster);
  EXPECT_EQ(reader->header().applied, raft::Index(60));
  const auto pairs = read(disk);
  ASSERT_TRUE(pairs) << pairs.error().message;
  EXPECT_GT(pairs->size(), 3'000'000u);
}

TEST(BackupFile, IsNotReplacedUnlessThatIsAskedFor) {
  TestDisk disk;
  disk.set_contents(kFile, "mine");
  const Status refused = write(disk, backup());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid);
  EXPECT_THAT(refused.error().message, HasSubstr("--force"));
  EXPECT_EQ(disk.contents(kFile), "mine");
  EXPECT_TRUE(write(disk, backup(), true));
  EXPECT_EQ(disk.contents(kFile), backup());
}

TEST(BackupFile, ThatIsCutShortIsRefusedAndNeverHasTheName) {
  TestDisk disk;
  for (const std::size_t size : {std::size_t{0}, std::size_t{5}, std::size_t{40},
                                 backup().size() / 2, backup().size() - 41, backup().size() - 1}) {
    EXPECT_FALSE(write(disk, std::string_view(backup()).substr(0, size))) << size;
    EXPECT_FALSE(disk.FileExists(kFile));
    EXPECT_FALSE(disk.FileExists("/b.part"));
    disk.set_contents(kFile, backup().substr(0, size));
    const auto pairs = read(disk);
    ASSERT_FALSE(pairs) << size;
    EXPECT_EQ(pairs.error().code, ErrorCode::corrupt);
    EXPECT_THAT(pairs.error().message, StartsWith("/b: backup: "));
    ASSERT_TRUE(disk.RemoveFile(kFile).ok());
  }
}

TEST(BackupFile, WithSomethingBehindItsEndIsRefused) {
  TestDisk disk;
  disk.set_contents(kFile, backup() + "x");
  EXPECT_FALSE(read(disk));
  disk.set_contents(kFile, backup() + std::string(3u << 20, 'x'));
  EXPECT_FALSE(read(disk));
}

TEST(BackupFile, ThatIsMissingOrSomethingElseIsSaid) {
  TestDisk disk;
  EXPECT_EQ(read(disk).error().code, ErrorCode::not_found);
  disk.set_contents(kFile, "");
  EXPECT_EQ(read(disk).error().code, ErrorCode::corrupt);
  disk.set_contents(kFile, "a text about something else");
  EXPECT_EQ(read(disk).error().code, ErrorCode::invalid);
}

// Whatever fails, and wherever the power is lost: the name stands for a whole backup or for
// nothing.
TEST(BackupFile, HasTheNameOnlyIfItIsWhole) {
  const std::string bytes = OldState(20).backup();
  for (std::uint64_t n = 1;; ++n) {
    TestDisk disk;
    int nothing = 0;
    int whole = 0;
    disk.on_operation([&] {
      const auto image = disk.after_power_loss();
      if (!image->FileExists(kFile)) {
        ++nothing;
      } else {
        ++whole;
        EXPECT_EQ(image->contents(kFile), bytes) << n;
      }
    });
    disk.fail_at(n);
    const Status written = write(disk, bytes);
    disk.on_operation({});
    if (disk.failures() == 0) {
      EXPECT_TRUE(written);
      EXPECT_GT(nothing, 2);
      EXPECT_EQ(disk.after_power_loss()->contents(kFile), bytes);
      return;
    }
    ASSERT_FALSE(written) << n;
    EXPECT_EQ(written.error().code, ErrorCode::unavailable) << written.error().message;
    EXPECT_THAT(written.error().message, HasSubstr("No space left on device"));
  }
}

}  // namespace
}  // namespace raftkv::storage
