// Backup, restore and recover with real nodes.
#include <gmock/gmock.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "tests/process/fixture.h"

namespace raftkv::process {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Backup : public ProcessTest {
 protected:
  [[nodiscard]] std::string path(const std::string& name) { return cluster().dir() + "/" + name; }

  Finished backup(const std::string& file, std::vector<std::string> further = {}) {
    std::string endpoints;
    for (int i = 0; i < cluster().size(); ++i) {
      endpoints += (i == 0 ? "" : ",") + cluster()[i].http_address().text();
    }
    std::vector<std::string> command = {raftkv_program(), "backup",  "-o",        file,
                                        "--endpoints",    endpoints, "--timeout", "60s"};
    command.insert(command.end(), further.begin(), further.end());
    return run(command, kPatience);
  }
  Finished restore(const std::string& file, const Node& node) {
    return run({raftkv_program(), "restore", file, "--data", node.data(), "--id", node.id(),
                "--http", node.http_address().text(), "--raft", node.raft_address().text()},
               kPatience);
  }
  Finished recover(const Node& from, const Node& to) {
    return run(
        {raftkv_program(), "recover", "--data", from.data(), "--to", to.data(), "--id", to.id(),
         "--http", to.http_address().text(), "--raft", to.raft_address().text(), "--yes"},
        kPatience);
  }
  // The index of which a backup says that it is.
  static std::uint64_t index_of(const Finished& backup) {
    const std::string word = "as of index ";
    const std::size_t at = backup.output.find(word);
    return at == std::string::npos ? 0 : std::stoull(backup.output.substr(at + word.size()));
  }
  static bool leads(const Node& node) {
    return eventually([&] {
      const auto status = node.status();
      return status && status->role == "leader" && status->applied_index == status->commit_index;
    });
  }
  static std::optional<Response> read(const Node& node, const std::string& key) {
    return node.get("/key/" + key + "?raw&level=stale");
  }
};

// Writes keys of its own until it is told to stop; remembers which were acknowledged at which
// index.
class Writer {
 public:
  explicit Writer(std::vector<Address> endpoints)
      : thread_([this, endpoints = std::move(endpoints)] { write(endpoints); }) {}
  ~Writer() { stop(); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] const std::map<std::string, std::uint64_t>& written() const { return written_; }
  [[nodiscard]] std::size_t count() const { return count_; }

 private:
  void write(const std::vector<Address>& endpoints) {
    for (int i = 0; !stopping_; ++i) {
      const std::string key = "live" + std::to_string(i);
      const auto answer = http(
          endpoints.front(), {.method = "PUT", .target = "/key/" + key, .body = "value of " + key});
      if (!answer || answer->status != 200) continue;
      written_[key] = std::stoull(answer->body.substr(answer->body.find(':') + 1));
      ++count_;
    }
  }

  std::map<std::string, std::uint64_t> written_;
  std::atomic<std::size_t> count_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

TEST_F(Backup, OfALivingClusterIsOneMomentOfItAndBecomesAnother) {
  cluster(3);
  write_keys("before", 1000);
  const int leader = cluster().wait_for_leader();
  std::string file = path("backup");
  Finished made;
  std::map<std::string, std::uint64_t> written;
  {
    Writer writer({cluster()[leader].http_address()});
    ASSERT_TRUE(eventually([&] { return writer.count() > 50; }));
    const std::size_t acknowledged = writer.count();
    made = backup(file);
    ASSERT_EQ(made.exit_code, 0) << made.output;
    EXPECT_GE(index_of(made), acknowledged + 1000) << "what was acknowledged before is in it";
    ASSERT_TRUE(eventually([&] { return writer.count() > acknowledged + 50; }));
    writer.stop();
    written = writer.written();
  }
  const std::uint64_t index = index_of(made);

  Node& first = cluster().new_node();
  const Finished restored = restore(file, first);
  ASSERT_EQ(restored.exit_code, 0) << restored.output;
  first.start();
  ASSERT_TRUE(leads(first));
  EXPECT_NE(first.status()->cluster, cluster()[leader].status()->cluster);
  for (int i = 0; i < 1000; ++i) {
    const auto answer = read(first, "before" + std::to_string(i));
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->body, "value " + std::to_string(i));
  }
  // Exactly what was written through that index, under the indexes at which it was.
  int inside = 0;
  for (const auto& [key, at] : written) {
    const auto answer = read(first, key);
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->status, at <= index ? 200 : 404) << key << " at " << at << " of " << index;
    if (at > index) continue;
    ++inside;
    EXPECT_EQ(answer->header("etag"), '"' + std::to_string(at) + '"');
  }
  EXPECT_GT(inside, 0);
  EXPECT_LT(inside, static_cast<int>(written.size()));

  // Another joins it, with a snapshot, for the log has no beginning; both go on.
  Node& second = cluster().new_node();
  second.join({&first});
  ASSERT_TRUE(eventually([&] {
    const auto members = first.members();
    return members && members->size() == 2 && (*members)[0].role == "voter" &&
           (*members)[1].role == "voter";
  }));
  const auto put = first.request({.method = "PUT", .target = "/key/after", .body = "restore"});
  ASSERT_TRUE(put.has_value());
  EXPECT_EQ(put->status, 200);
  ASSERT_TRUE(eventually([&] {
    const auto one = first.status();
    const auto other = second.status();
    return one && other && one->applied_index == other->applied_index &&
           one->digest == other->digest && read(second, "after")->body == "restore";
  }));
  EXPECT_EQ(read(second, "before999")->body, "value 999");
}

TEST_F(Backup, OfOneStateIsTheSameFromEveryNode) {
  cluster(3);
  write_keys("key", 50);
  ASSERT_TRUE(cluster().settles());
  std::vector<std::string> contents;
  for (int i = 0; i < 3; ++i) {
    const std::string file = path("backup" + std::to_string(i));
    const Finished made = run({raftkv_program(), "backup", "-o", file, "--level", "stale",
                               "--endpoints", cluster()[i].http_address().text()});
    ASSERT_EQ(made.exit_code, 0) << made.output;
    contents.push_back(read_file(file));
  }
  EXPECT_FALSE(contents[0].empty());
  EXPECT_EQ(contents[0], contents[1]);
  EXPECT_EQ(contents[0], contents[2]);
  EXPECT_EQ(backup(path("backup0")).exit_code, 1) << "it is there already";
}

TEST_F(Backup, MoreThanANodeGivesAtOnceAreToldToWait) {
  cluster(1);
  const std::string value(1'000'000, 'v');
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(cluster().put("key" + std::to_string(i), value));
  // Two clients that take nothing.
  HttpConnection one(cluster()[0].http_address());
  HttpConnection two(cluster()[0].http_address());
  const std::string get = "GET /backup HTTP/1.1\r\nHost: n\r\n\r\n";
  ASSERT_TRUE(one.connect(10s) && one.send(get, 10s));
  ASSERT_TRUE(two.connect(10s) && two.send(get, 10s));
  ASSERT_TRUE(eventually([&] {
    const auto answer = http(cluster()[0].http_address(), {.target = "/backup"});
    return answer && answer->status == 503 && !answer->header("retry-after").empty();
  }));
  ASSERT_TRUE(cluster().put("still", "writes"));
  one.close();
  two.close();
  const Finished made = backup(path("backup"));
  EXPECT_EQ(made.exit_code, 0) << made.output;
}

TEST_F(Backup, ARestoreThatWasKilledIsUnfinishedAndDoneAgain) {
  cluster(1);
  const std::string value(1'000'000, 'v');
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(cluster().put("key" + std::to_string(i), value));
  const std::string file = path("backup");
  ASSERT_EQ(backup(file).exit_code, 0);
  Node& node = cluster().new_node();
  Child killed({raftkv_program(), "restore", file, "--data", node.data(), "--id", node.id()},
               path("restore.log"));
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(node.data() + "/state-1"); }));
  killed.kill();
  if (!std::filesystem::exists(node.data() + "/promise.0")) {
    const Finished start = run(node.serve_command({}));
    EXPECT_EQ(start.exit_code, 2);
    EXPECT_THAT(start.output, HasSubstr("was never finished"));
    EXPECT_THAT(start.output, HasSubstr("raftkv restore"));
    const Finished again = restore(file, node);
    ASSERT_EQ(again.exit_code, 0) << again.output;
  }
  node.start();
  ASSERT_TRUE(leads(node));
  for (int i = 0; i < 60; ++i) EXPECT_EQ(read(node, "key" + std::to_string(i))->body, value);
}

// --- recover ---

TEST_F(Backup, ANodeGoesOnAloneWhenTheOthersAreLost) {
  cluster(3);
  write_keys("key", 200);
  ASSERT_TRUE(cluster().settles());
  const std::string old_cluster = cluster()[0].status()->cluster;
  for (int i = 0; i < 3; ++i) cluster()[i].kill();

  Node& recovered = cluster().new_node();
  const Finished said = recover(cluster()[2], recovered);
  ASSERT_EQ(said.exit_code, 0) << said.output;
  EXPECT_THAT(said.output, HasSubstr("whose members are: node01, node02, node03"));
  EXPECT_THAT(said.output, HasSubstr("is lost"));
  recovered.start();
  ASSERT_TRUE(leads(recovered));
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(read(recovered, "key" + std::to_string(i))->body, "value " + std::to_string(i));
  }
  const auto put = recovered.request({.method = "PUT", .target = "/key/after", .body = "loss"});
  ASSERT_TRUE(put.has_value());
  EXPECT_EQ(put->status, 200);
  const auto status = recovered.status();
  EXPECT_NE(status->cluster, old_cluster);
  EXPECT_GT(status->member, 200u);

  // One of the old ones comes back after all, told to join: it stays what it was, alone.
  cluster()[0].join({&recovered});
  ASSERT_TRUE(eventually([&] { return cluster()[0].status().has_value(); }));
  std::this_thread::sleep_for(2s);
  EXPECT_EQ(cluster()[0].status()->cluster, old_cluster);
  EXPECT_EQ(cluster()[0].status()->leader, "");
  EXPECT_EQ(recovered.members()->size(), 1u);
  EXPECT_EQ(recovered.status()->term, status->term);
  cluster()[0].kill();

  // A new directory is let in.
  Node& fresh = cluster().new_node();
  fresh.join({&recovered});
  ASSERT_TRUE(eventually([&] {
    const auto members = recovered.members();
    return members && members->size() == 2 && (*members)[1].role == "voter";
  }));
  ASSERT_TRUE(eventually([&] {
    const auto answer = read(fresh, "after");
    return answer && answer->body == "loss";
  }));
}

}  // namespace
}  // namespace raftkv::process
