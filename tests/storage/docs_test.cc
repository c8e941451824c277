// The worked examples of docs/storage.md are what the code writes.

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "src/kv/command.h"
#include "src/kv/store.h"
#include "src/raft/entry.h"
#include "src/storage/promise_file.h"
#include "tests/storage/test_disk.h"

namespace raftkv::storage {
namespace {

// The bytes of the hexadecimal dump behind "<!-- example: NAME -->".
std::string example(const std::string& name) {
  std::ifstream file(std::string(RAFTKV_SOURCE_DIR) + "/docs/storage.md");
  std::string line;
  while (std::getline(file, line) && line != "<!-- example: " + name + " -->") {
  }
  std::string bytes;
  while (std::getline(file, line)) {
    if (line.empty() && bytes.empty()) continue;
    if (!line.starts_with("    ")) break;
    std::istringstream words(line.substr(0, line.find('|')));
    std::string word;
    words >> word;  // the offset
    while (words >> word) bytes.push_back(static_cast<char>(std::stoi(word, nullptr, 16)));
  }
  return bytes;
}

TEST(StorageDocs, TheExampleOfAnEntryIsWhatIsWritten) {
  const raft::Entry entry =
      raft::Entry::seal(raft::EntryDraft(raft::EntryKind::command, kv::encode_set("color", "blue")),
                        raft::Term(3), raft::Index(7));
  EXPECT_EQ(example("entry"), entry.bytes().view());
}

TEST(StorageDocs, TheExampleOfAValueIsWhatIsWritten) {
  std::string stored;
  kv::stored_value("blue", 7, stored);
  EXPECT_EQ(example("value"), stored);
}

TEST(StorageDocs, TheExampleOfAPromiseIsWhatIsWritten) {
  TestDisk disk;
  FailFlag flag;
  FailStopEnv env(disk, flag);
  ASSERT_TRUE(env.CreateDir("/d").ok());
  Promise promise;
  promise.identity = {.cluster = raft::ClusterId(0x1122334455667788),
                      .member = raft::MemberId(1),
                      .instance = raft::InstanceId(0x99aabbccddeeff00),
                      .incarnation = raft::Incarnation(2)};
  promise.hard_state = {.current_term = raft::Term(3), .voted_for = raft::MemberId(1)};
  promise.through = {.index = raft::Index(7), .term = raft::Term(3), .sequence = 8};
  promise.state_directory = "state-1";
  promise.names = {
      .name = "node01", .http_address = "127.0.0.1:8091", .raft_address = "127.0.0.1:8089"};
  ASSERT_TRUE(PromiseFile::create(env, "/d", promise));
  const std::string expected = example("promise");
  ASSERT_EQ(expected.size(), 160u);
  EXPECT_EQ(disk.contents("/d/promise.0").substr(0, 160), expected);
}

}  // namespace
}  // namespace raftkv::storage
