// `raftkv backup`, `restore` and `recover`: from a state to a file to a new directory. The node
// that is asked is what the test says.
#include "src/app/backup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "src/app/restore.h"
#include "src/replica/backup.h"
#include "src/replica/state_store.h"
#include "src/storage/data_directory.h"
#include "src/storage/inspection.h"

namespace raftkv::app {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

raft::Entry configuration_entry() {
  std::string payload;
  raft::bootstrap_configuration("node01", raft::InstanceId(5), "h:1", "h:2").encode(payload);
  return raft::Entry::seal(raft::EntryDraft::copy_of(raft::EntryKind::configuration, payload),
                           raft::Term(1), raft::Index(1));
}
raft::Entry set_entry(std::uint64_t index) {
  return raft::Entry::seal(
      raft::EntryDraft(raft::EntryKind::command,
                       kv::encode_set("key" + std::to_string(index), std::to_string(index))),
      raft::Term(2), raft::Index(index));
}

// Of the state through entry 20.
std::string a_backup() {
  kv::MemoryStore contents;
  replica::StateStore store(contents);
  EXPECT_TRUE(store.load());
  std::vector entries = {configuration_entry()};
  for (std::uint64_t index = 2; index <= 20; ++index) entries.push_back(set_entry(index));
  EXPECT_TRUE(store.apply(entries));
  replica::BackupEncoder encoder(raft::ClusterId(0xabc), store.open_snapshot().value());
  std::string bytes;
  for (std::string piece; !(piece = encoder.next(100).value()).empty();) bytes += piece;
  return bytes;
}

http::ClientResponse response(int status, std::string body = {}) {
  return {.status = status, .fields = {}, .body = std::move(body)};
}

class BackupTest : public testing::Test {
 protected:
  BackupTest() {
    EXPECT_NE(::mkdtemp(dir_.data()), nullptr);
    file_ = dir_ + "/b";
  }
  ~BackupTest() override { fs::remove_all(dir_); }

  // What one attempt after the other gets: a status without a body, or so many bytes of this body.
  struct Attempt {
    int status = 200;
    std::string body;
    bool breaks = false;
  };
  Said backup(std::vector<Attempt> attempts, bool force = false) {
    std::size_t at = 0;
    Time now;
    ClientWorld world{
        .send = {}, .now = [&] { return now; }, .pause = [&](Duration time) { now += time; }};
    world.progress = [&](const std::string& line) { progress_.push_back(line); };
    world.download =
        [&](const std::string&, const http::ClientRequest& request, Duration,
            const http::Sink& sink) -> std::expected<http::ClientResponse, http::ClientError> {
      targets_.push_back(request.target);
      const Attempt& attempt = attempts[std::min(at++, attempts.size() - 1)];
      now += 1s;
      if (attempt.status != 200) return response(attempt.status, attempt.body);
      for (std::size_t from = 0; from < attempt.body.size(); from += 500) {
        now += 2s;
        const Status taken = sink(std::string_view(attempt.body).substr(from, 500));
        if (!taken) return std::unexpected(http::ClientError{taken.error(), http::Sent::perhaps});
      }
      if (attempt.breaks) {
        return std::unexpected(http::ClientError{{ErrorCode::unavailable, "the connection broke"},
                                                 http::Sent::perhaps});
      }
      return response(200);
    };
    BackupOptions options{.client = {.endpoints = {"a:1"}, .timeout = 60s},
                          .file = file_,
                          .level = "stale",
                          .force = force};
    return run_backup(options, world, storage::posix_disk());
  }
  [[nodiscard]] std::string contents() const {
    std::ifstream in(file_, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return std::move(out).str();
  }
  [[nodiscard]] InitOptions node(const std::string& name) const {
    return {.data = dir_ + "/" + name, .id = "new", .http = "127.0.0.1:1", .raft = "127.0.0.1:2"};
  }
  // What the next start of this directory would find.
  [[nodiscard]] static storage::Inspection look(const InitOptions& node) {
    return storage::inspect(storage::posix_disk(), node.data).value();
  }

  std::string dir_ = testing::TempDir() + "raftkv-backup-XXXXXX";
  std::string file_;
  std::vector<std::string> targets_;
  std::vector<std::string> progress_;
};

TEST_F(BackupTest, IsWrittenAndSaysWhatItIs) {
  const std::string bytes = a_backup();
  const Said said = backup({{.body = bytes}});
  EXPECT_EQ(said.exit_code, kDone) << said.err;
  EXPECT_THAT(said.out, HasSubstr("cluster 0000000000000abc as of index 20, 19 keys"));
  EXPECT_EQ(contents(), bytes);
  EXPECT_THAT(targets_, testing::ElementsAre("/backup?level=stale"));
  EXPECT_THAT(progress_, testing::Not(testing::IsEmpty()));
}

TEST_F(BackupTest, BeginsAnewAfterAConnectionThatBroke) {
  const std::string bytes = a_backup();
  const Said said = backup({{.body = bytes.substr(0, 700), .breaks = true},
                            {.status = 503, .body = R"({"detail":"busy"})"},
                            {.body = bytes}});
  EXPECT_EQ(said.exit_code, kDone) << said.err;
  EXPECT_EQ(contents(), bytes);
  EXPECT_EQ(targets_.size(), 3u);
}

TEST_F(BackupTest, IsNoneWithoutItsEnd) {
  const std::string bytes = a_backup();
  const Said said = backup({{.body = bytes.substr(0, bytes.size() - 1)}});
  EXPECT_EQ(said.exit_code, kNotFound);
  EXPECT_THAT(said.err, HasSubstr("cut short"));
  EXPECT_TRUE(fs::is_empty(dir_));
}

TEST_F(BackupTest, ThatIsNoneIsNotAskedForAgain) {
  const Said said = backup({{.body = "<html>welcome to the proxy</html>"}});
  EXPECT_EQ(said.exit_code, kNotFound);
  EXPECT_THAT(said.err, HasSubstr("no backup of raftkv"));
  EXPECT_EQ(targets_.size(), 1u);
  EXPECT_TRUE(fs::is_empty(dir_));
}

TEST_F(BackupTest, SaysWhoRefusedIt) {
  EXPECT_EQ(backup({{.status = 404, .body = R"({"detail":"no such path"})"}}).exit_code, kRefused);
  EXPECT_EQ(backup({{.status = 503, .body = R"({"detail":"no leader"})"}}).exit_code, kUnreachable);
  EXPECT_TRUE(fs::is_empty(dir_));
}

TEST_F(BackupTest, ReplacesAFileOnlyWithForce) {
  std::ofstream(file_) << "mine";
  const std::string bytes = a_backup();
  EXPECT_EQ(backup({{.body = bytes}}).exit_code, kNotFound);
  EXPECT_TRUE(targets_.empty());
  EXPECT_EQ(contents(), "mine");
  EXPECT_EQ(backup({{.body = bytes}}, /*force=*/true).exit_code, kDone);
  EXPECT_EQ(contents(), bytes);
}

TEST_F(BackupTest, IsRestoredIntoANewCluster) {
  std::ofstream(file_, std::ios::binary) << a_backup();
  const InitOptions to = node("d");
  const Said said = run_restore({.file = file_, .node = to}, storage::posix_disk());
  ASSERT_EQ(said.exit_code, kDone) << said.err;
  EXPECT_THAT(said.out, HasSubstr("cluster 0000000000000abc was as of index 20, 19 keys"));
  const auto found = look(to);
  ASSERT_TRUE(found.node.has_value()) << found.refusal;
  EXPECT_EQ(found.node->state.applied, raft::Index(21));
  EXPECT_NE(found.promise->identity.cluster, raft::ClusterId(0xabc));
  // Not twice.
  EXPECT_EQ(run_restore({.file = file_, .node = to}, storage::posix_disk()).exit_code, kNotFound);
}

TEST_F(BackupTest, ThatIsDamagedMakesNothing) {
  std::string bytes = a_backup();
  bytes[bytes.size() / 2] ^= 1;
  std::ofstream(file_, std::ios::binary) << bytes;
  const InitOptions to = node("d");
  const Said said = run_restore({.file = file_, .node = to}, storage::posix_disk());
  EXPECT_EQ(said.exit_code, kNotFound);
  EXPECT_THAT(said.err, HasSubstr("bad checksum"));
  EXPECT_THAT(said.err, HasSubstr("unfinished"));
  EXPECT_EQ(look(to).stage, storage::DataDirectory::Stage::unfinished);
  std::ofstream(file_, std::ios::binary) << a_backup();
  EXPECT_EQ(run_restore({.file = file_, .node = to}, storage::posix_disk()).exit_code, kDone);
}

// --- recover ---

class RecoverTest : public BackupTest {
 protected:
  // A node that has 12 entries in its log and has applied 8 of them.
  RecoverTest() {
    const auto directory = storage::DataDirectory::take(storage::posix_disk(), from_, true).value();
    EXPECT_TRUE(directory->create_cluster(raft::ClusterId(0xabc), raft::InstanceId(5),
                                          {"node01", "127.0.0.1:3", "127.0.0.1:4"}));
    const auto node = directory->open();
    EXPECT_TRUE(node->state_store->apply(node->recovered.tail));
    for (std::uint64_t index = 2; index <= 12; ++index) {
      raft::LogWrite write;
      write.entries.push_back(set_entry(index));
      EXPECT_TRUE(node->log_store->append({&write, 1}));
      if (index > 8) continue;
      EXPECT_TRUE(node->state_store->apply(write.entries));
    }
    EXPECT_TRUE(node->state_store->sync());
    EXPECT_TRUE(node->log_store->checkpoint());
  }
  Said recover(bool yes, std::string typed = {}) {
    return run_recover(
        {.from = from_, .node = {.data = to_.data, .id = {}, .http = {}, .raft = {}}, .yes = yes},
        storage::posix_disk(), [&](const std::string& warning) {
          asked_ = warning;
          return typed;
        });
  }
  // The bytes of all its files.
  [[nodiscard]] std::map<std::string, std::string> files() const {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(from_)) {
      if (!entry.is_regular_file()) continue;
      std::ifstream in(entry.path(), std::ios::binary);
      std::ostringstream bytes;
      bytes << in.rdbuf();
      all[entry.path()] = std::move(bytes).str();
    }
    return all;
  }
  void expect_recovered() const {
    const auto found = look(to_);
    ASSERT_TRUE(found.node.has_value()) << found.refusal;
    EXPECT_EQ(found.node->state.applied, raft::Index(13));
    EXPECT_FALSE(found.node->recovered.promise_lost);
    EXPECT_EQ(found.promise->names.name, "node01");
    EXPECT_EQ(found.promise->names.http_address, "127.0.0.1:3");
    EXPECT_EQ(found.promise->identity.member, raft::MemberId(13));
    EXPECT_NE(found.promise->identity.cluster, raft::ClusterId(0xabc));
    EXPECT_NE(found.promise->identity.instance, raft::InstanceId(5));
    const auto directory =
        storage::DataDirectory::take(storage::posix_disk(), to_.data, false).value();
    const auto node = directory->open();
    for (std::uint64_t index = 2; index <= 12; ++index) {
      EXPECT_EQ(node->state_store->get("key" + std::to_string(index)).value(),
                (kv::Value{std::to_string(index), index}));
    }
  }

  std::string from_ = dir_ + "/old";
  InitOptions to_ = node("new");
  std::string asked_;
};

TEST_F(RecoverTest, TakesAllThatTheLogHolds) {
  const auto before = files();
  const Said said = recover(true);
  EXPECT_EQ(said.exit_code, kDone) << said.err;
  EXPECT_THAT(said.err, HasSubstr("entry 12 of term 2; it had applied entry 8"));
  EXPECT_THAT(said.err, HasSubstr("Entries 9 to 12 become committed"));
  EXPECT_THAT(said.err, HasSubstr("entries 13 and later"));
  EXPECT_EQ(files(), before) << "what it was made of stays as it is";
  expect_recovered();
}

TEST_F(RecoverTest, NeedsAWord) {
  Said said = recover(false);
  EXPECT_EQ(said.exit_code, kUsage);
  EXPECT_THAT(said.err, HasSubstr("nothing was done"));
  EXPECT_THAT(asked_, HasSubstr("is lost"));
  said = recover(false, "yes");
  EXPECT_EQ(said.exit_code, kUsage);
  EXPECT_FALSE(fs::exists(to_.data));
  EXPECT_EQ(recover(false, "recover").exit_code, kDone);
  expect_recovered();
}

TEST_F(RecoverTest, IsTheWayOutForALoneVoterThatLostAPartOfItsLog) {
  for (const auto& entry : fs::directory_iterator(from_ + "/log")) {
    if (entry.path().extension() == ".log")
      fs::resize_file(entry.path(), fs::file_size(entry.path()) / 2);
  }
  {
    const auto directory =
        storage::DataDirectory::take(storage::posix_disk(), from_, false).value();
    const auto opened = directory->open(/*refuse_hopeless=*/true);
    ASSERT_FALSE(opened);
    EXPECT_THAT(opened.error().message, HasSubstr("raftkv recover"));
  }
  const Said said = recover(true);
  EXPECT_EQ(said.exit_code, kDone) << said.err;
  EXPECT_THAT(said.err, HasSubstr("has lost a part of its own log"));
  const auto found = look(to_);
  ASSERT_TRUE(found.node.has_value()) << found.refusal;
  EXPECT_FALSE(found.node->recovered.promise_lost);
  EXPECT_GE(found.node->state.applied, raft::Index(9));
  const auto directory =
      storage::DataDirectory::take(storage::posix_disk(), to_.data, false).value();
  EXPECT_TRUE(directory->open(/*refuse_hopeless=*/true));
}

TEST_F(RecoverTest, RefusesAStateThatNothingRebuilds) {
  {
    const auto directory =
        storage::DataDirectory::take(storage::posix_disk(), from_, false).value();
    const auto node = directory->open();
    EXPECT_TRUE(node->log_store->cut_before(raft::Index(6), raft::Term(2)));
  }
  for (const auto& entry : fs::directory_iterator(from_)) {
    if (entry.path().filename().string().starts_with("state-"))
      fs::remove(entry.path() / "CURRENT");
  }
  const Said said = recover(true);
  EXPECT_EQ(said.exit_code, kNotFound);
  EXPECT_THAT(said.err, HasSubstr("directory of another node, or restore a backup"));
  EXPECT_FALSE(fs::exists(to_.data));
}

TEST_F(RecoverTest, RebuildsADamagedStateFromAWholeLog) {
  for (const auto& entry : fs::directory_iterator(from_)) {
    if (entry.path().filename().string().starts_with("state-"))
      fs::remove(entry.path() / "CURRENT");
  }
  const Said said = recover(true);
  EXPECT_EQ(said.exit_code, kDone) << said.err;
  expect_recovered();
}

TEST_F(RecoverTest, RefusesWhatIsInUseOrNoNode) {
  {
    const auto directory =
        storage::DataDirectory::take(storage::posix_disk(), from_, false).value();
    EXPECT_EQ(recover(true).exit_code, kNotFound);
  }
  to_.data = from_;
  EXPECT_EQ(recover(true).exit_code, kUsage);
  from_ = dir_ + "/nothing";
  EXPECT_EQ(recover(true).exit_code, kNotFound);
}

}  // namespace
}  // namespace raftkv::app
