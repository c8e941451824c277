#include "src/storage/inspection.h"

#include <gtest/gtest.h>

#include "src/storage/overlay_disk.h"
#include "tests/storage/damaged_node.h"

namespace raftkv::storage {
namespace {

using Files = std::map<std::string, std::string>;

Files files_of(const TestDisk& disk) {
  Files files;
  for (const std::string& path : disk.files()) files[path] = disk.contents(path);
  return files;
}

class InspectionTest : public testing::Test {
 protected:
  Check checked() {
    const Files before = files_of(disk());
    auto result = check(disk(), "/a/d");
    EXPECT_TRUE(result) << result.error().message;
    EXPECT_EQ(files_of(disk()), before) << "changed what it should only read";
    return result ? std::move(*result) : Check{};
  }
  TestDisk& disk() { return *lived_.disk; }
  std::string newest(std::string_view directory, std::string_view suffix) {
    std::string newest;
    for (const std::string& path : disk().files()) {
      if (path.starts_with(directory) && path.ends_with(suffix)) newest = path;
    }
    return newest;
  }
  void change(const std::string& path, std::size_t at) {
    std::string bytes = disk().contents(path);
    ASSERT_LT(at, bytes.size());
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    disk().set_contents(path, bytes);
  }

  LivedNode lived_ = lived_node();
};

TEST_F(InspectionTest, ShowsWhatTheNextStartWouldFind) {
  const Files before = files_of(disk());
  const auto found = inspect(disk(), "/a/d");
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(files_of(disk()), before);
  EXPECT_EQ(found->stage, DataDirectory::Stage::node);
  ASSERT_TRUE(found->promise);
  EXPECT_EQ(found->promise->identity.incarnation.value, lived_.incarnation);
  EXPECT_EQ(found->promise->hard_state, lived_.hard_state);
  ASSERT_TRUE(found->node);
  EXPECT_EQ(found->node->recovered.last.value, lived_.log.size());
  EXPECT_FALSE(found->node->recovered.promise_lost);
  ASSERT_TRUE(found->log.scan);
  EXPECT_EQ(found->log.scan->manifest.tables.size(), static_cast<std::size_t>(kLivedRuns));
  EXPECT_EQ(found->log.scan->wals.back().batches, kEntriesARun);
  EXPECT_GT(found->log.bytes, 100'000u);
  ASSERT_TRUE(found->state.scan);
}

TEST_F(InspectionTest, NeitherCountsAnIncarnation) {
  (void)checked();
  (void)inspect(disk(), "/a/d");
  const auto directory = DataDirectory::take(disk(), "/a/d", false);
  ASSERT_TRUE(directory);
  EXPECT_EQ((*directory)->open()->identity.incarnation.value, lived_.incarnation + 1);
}

TEST_F(InspectionTest, LeavesADirectoryInUseAlone) {
  const auto directory = DataDirectory::take(disk(), "/a/d", false);
  EXPECT_EQ(inspect(disk(), "/a/d").error().code, ErrorCode::unavailable);
  EXPECT_EQ(check(disk(), "/a/d").error().code, ErrorCode::unavailable);
}

TEST_F(InspectionTest, SaysWhatHoldsNoNode) {
  TestDisk empty;
  EXPECT_EQ(inspect(empty, "/a/d").error().code, ErrorCode::not_found);
  ASSERT_TRUE(empty.CreateDir("/a").ok());
  ASSERT_TRUE(empty.CreateDir("/a/d").ok());
  const auto found = inspect(empty, "/a/d");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->stage, DataDirectory::Stage::empty);
  EXPECT_NE(found->refusal.find("raftkv init"), std::string::npos);
}

TEST_F(InspectionTest, AWholeNodeIsWhole) {
  const Check whole = checked();
  EXPECT_TRUE(whole.damages.empty()) << whole.damages.front();
  EXPECT_TRUE(whole.leftovers.empty()) << whole.leftovers.front();
  EXPECT_EQ(whole.entries, lived_.log.size());
  EXPECT_EQ(whole.keys, 50u);
  EXPECT_GT(whole.tables, static_cast<std::uint64_t>(kLivedRuns));
}

TEST_F(InspectionTest, AWriteThatWasCutShortIsNoDamage) {
  const std::string wal = newest("/a/d/state-1", ".log");
  const std::string bytes = disk().contents(wal);
  disk().set_contents(wal, bytes.substr(0, bytes.size() - 5));
  const Check result = checked();
  EXPECT_TRUE(result.damages.empty()) << result.damages.front();
  EXPECT_EQ(result.leftovers.size(), 1u);
}

TEST_F(InspectionTest, NamesTheDamagedTable) {
  for (const std::string part : {"log", "state-1"}) {
    lived_ = lived_node();
    const std::string table = newest("/a/d/" + part, ".ldb");
    change(table, 200);
    const Check result = checked();
    ASSERT_FALSE(result.damages.empty()) << part;
    EXPECT_NE(result.damages.front().find(part + ": table"), std::string::npos)
        << result.damages.front();
  }
}

TEST_F(InspectionTest, FindsAHoleInTheLog) {
  change(newest("/a/d/log", ".log"), 40'000);
  const Check result = checked();
  ASSERT_EQ(result.damages.size(), 1u);
  EXPECT_NE(result.damages.front().find("more was written later"), std::string::npos);
}

TEST_F(InspectionTest, FindsADamagedPromiseFile) {
  change("/a/d/promise.1", 70);
  ASSERT_EQ(checked().damages.size(), 1u);
  ASSERT_TRUE(disk().RemoveFile("/a/d/promise.0").ok());
  disk().set_contents("/a/d/promise.1", "");
  EXPECT_GE(checked().damages.size(), 1u) << "now nothing can be started";
}

TEST(OverlayDisk, ChangesWhatIsSeenAndNotWhatIsThere) {
  TestDisk under;
  ASSERT_TRUE(under.CreateDir("/d").ok());
  under.set_contents("/d/a", "one");
  under.set_contents("/d/b", "two");
  OverlayDisk disk(under);
  leveldb::WritableFile* opened = nullptr;
  ASSERT_TRUE(disk.NewAppendableFile("/d/a", &opened).ok());
  ASSERT_TRUE(opened->Append(" more").ok());
  delete opened;
  ASSERT_TRUE(disk.RenameFile("/d/b", "/d/c").ok());
  std::string text;
  ASSERT_TRUE(leveldb::ReadFileToString(&disk, "/d/a", &text).ok());
  EXPECT_EQ(text, "one more");
  EXPECT_FALSE(disk.FileExists("/d/b"));
  std::vector<std::string> names;
  ASSERT_TRUE(disk.GetChildren("/d", &names).ok());
  std::ranges::sort(names);
  EXPECT_EQ(names, (std::vector<std::string>{"a", "c"}));
  EXPECT_TRUE(disk.RemoveFile("/d/c").ok());
  EXPECT_TRUE(leveldb::ReadFileToString(&disk, "/d/c", &text).IsNotFound());
  EXPECT_EQ(files_of(under), (Files{{"/d/a", "one"}, {"/d/b", "two"}}));
}

}  // namespace
}  // namespace raftkv::storage
