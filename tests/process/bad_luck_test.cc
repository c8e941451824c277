// What the world does to a node: a full disk, strangers on its ports, more connections than anyone
// needs.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "src/base/prng.h"
#include "src/raft/wire.h"
#include "tests/process/fixture.h"
#include "tests/process/load.h"

namespace raftkv::process {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using FullDisk = ProcessTest;
using RaftPort = ProcessTest;
using IdleConnections = ProcessTest;

// A file system of a few megabytes in memory.
class SmallDisk {
 public:
  explicit SmallDisk(int megabytes)
      : mounted_(::mount("tmpfs", dir_.path().c_str(), "tmpfs", 0, size(megabytes).c_str()) == 0) {}
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (mounted_) ::umount2(dir_.path().c_str(), MNT_DETACH);
  }

  [[nodiscard]] bool mounted() const { return mounted_; }
  [[nodiscard]] std::string path() const { return dir_.path(); }
  [[nodiscard]] bool resize(int megabytes) {
    return ::mount("tmpfs", dir_.path().c_str(), "tmpfs", MS_REMOUNT, size(megabytes).c_str()) == 0;
  }

 private:
  static std::string size(int megabytes) { return "size=" + std::to_string(megabytes) + "m"; }

  TempDir dir_;
  bool mounted_;
};

TEST_F(FullDisk, StopsOneNodeWhileTheClusterGoesOn) {
  SmallDisk disk(24);
  if (!disk.mounted()) GTEST_SKIP() << "mounting a tmpfs needs root";
  cluster(2);
  Node& full = cluster().new_node(disk.path() + "/data");
  cluster().join(full);
  ASSERT_TRUE(cluster().voters_become({"node01", "node02", "node03"}));

  const std::string value(512 * 1024, 'x');
  int written = 0;
  while (written < 100 && full.running()) {
    ASSERT_TRUE(cluster().put("big" + std::to_string(written), value));
    ++written;
  }
  EXPECT_TRUE(eventually([&] { return !full.running(); })) << "the node goes on with a full disk";
  EXPECT_THAT(full.log(), AnyOf(HasSubstr("No space left"), HasSubstr("no space")));
  write_keys("after", 10);
  for (int i = 0; i < written; ++i) EXPECT_EQ(cluster().read("big" + std::to_string(i)), value);

  ASSERT_TRUE(disk.resize(1024));
  cluster().start(2);
  EXPECT_TRUE(cluster().settles());
  EXPECT_TRUE(full.running());
  (void)cluster().wait_for_leader();
}

TEST_F(RaftPort, ClosesStrangersConnectionsAndGoesOn) {
  cluster();
  Prng prng(7);
  std::vector<std::string> greetings = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", std::string(64, '\0'),
                                        std::string(64, '\xff'), "x"};
  for (int i = 0; i < 20; ++i) {
    std::string noise(prng.between(1, 4096), '\0');
    for (char& c : noise) c = static_cast<char>(prng.below(256));
    greetings.push_back(std::move(noise));
  }
  std::vector<std::unique_ptr<HttpConnection>> strangers;
  for (int i = 0; i < cluster().size(); ++i) {
    for (const std::string& greeting : greetings) {
      strangers.push_back(std::make_unique<HttpConnection>(cluster()[i].raft_address()));
      ASSERT_TRUE(strangers.back()->connect(10s));
      (void)strangers.back()->send(greeting, 10s);
    }
  }
  // What may still become a frame is closed by a time limit, the rest at once.
  for (const auto& stranger : strangers) {
    EXPECT_TRUE(stranger->closed_within(kPatience));
    EXPECT_EQ(stranger->received(), "");
  }
  write_keys("k", 5);
  expect_keys("k", 5);
  for (int i = 0; i < cluster().size(); ++i) EXPECT_EQ(cluster()[i].status()->incarnation, 1U);
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1))
    ++found;
  return found;
}

// A well-formed frame as member `from` would send it to node 0, then changed by `spoil`.
class FalseFriend {
 public:
  explicit FalseFriend(Cluster& cluster, int as) {
    const auto me = cluster[0].status();
    const auto other = cluster[as].status();
    route = {.cluster = raft::ClusterId(std::stoull(me->cluster, nullptr, 16)),
             .from = raft::MemberId(other->member),
             .from_incarnation = raft::Incarnation(other->incarnation),
             .to = raft::MemberId(me->member),
             .to_incarnation = {}};
    term = raft::Term(me->term);
  }
  [[nodiscard]] std::string frame() const {
    return raft::encode({route, term, raft::PreVote{term.next(), raft::Index(), raft::Term()}})
        .flatten();
  }

  raft::Route route;
  raft::Term term;
};

// Each says one frame that is whole, and wrong in one thing.
TEST_F(RaftPort, ClosesAConnectionThatSpeaksForAnotherAndSaysWhyOnce) {
  cluster();
  const int restarted = cluster().wait_for_follower() == 0 ? 1 : cluster().wait_for_follower();
  cluster()[restarted].kill();
  cluster().start(restarted);
  ASSERT_TRUE(cluster().settles());
  ASSERT_EQ(cluster()[restarted].status()->incarnation, 2U);

  FalseFriend other_cluster(cluster(), restarted);
  other_cluster.route.cluster = other_cluster.route.cluster.next();
  FalseFriend for_another(cluster(), restarted);
  for_another.route.to = for_another.route.from;
  FalseFriend before_its_restart(cluster(), restarted);
  before_its_restart.route.from_incarnation = raft::Incarnation(1);
  std::string newer = FalseFriend(cluster(), restarted).frame();
  newer[4] = 2;
  const std::vector<std::pair<std::string, std::string>> cases = {
      {other_cluster.frame(), "cluster"},
      {for_another.frame(), "a frame for member"},
      {before_its_restart.frame(), "incarnation"},
      {newer, "version"}};
  for (const auto& [frame, reason] : cases) {
    const auto refused = [&, &why = reason] {
      std::size_t lines = 0;
      std::istringstream log(cluster()[0].log());
      for (std::string line; std::getline(log, line);)
        lines += count(line, "connection_refused") > 0 && count(line, why) > 0 ? 1 : 0;
      return lines;
    };
    ASSERT_EQ(refused(), 0U) << cluster()[0].log();
    HttpConnection stranger(cluster()[0].raft_address());
    ASSERT_TRUE(stranger.connect(10s));
    ASSERT_TRUE(stranger.send(frame, 10s));
    EXPECT_TRUE(stranger.closed_within(kPatience)) << reason;
    EXPECT_EQ(stranger.received(), "") << reason;
    EXPECT_TRUE(eventually([&] { return refused() > 0; })) << reason << "\n" << cluster()[0].log();
    EXPECT_EQ(refused(), 1U) << cluster()[0].log();
  }
  write_keys("k", 5);
  expect_keys("k", 5);
  EXPECT_TRUE(cluster().settles());
}

std::uint64_t resident_kib(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::strtoull(line.c_str() + 6, nullptr, 10);
  }
  return 0;
}

TEST_F(IdleConnections, TenThousandDoNotKeepOthersFromBeingServed) {
  constexpr rlim_t kConnections = 10'000;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max < kConnections + 200) GTEST_SKIP() << "the limit of open files is too low";
  limit.rlim_cur = 1024;  // what a shell gives a node; it has to ask for more itself
  ::setrlimit(RLIMIT_NOFILE, &limit);
  Node& leader = cluster()[cluster().wait_for_leader()];
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);

  const std::uint64_t before = resident_kib(leader.pid());
  std::vector<std::unique_ptr<HttpConnection>> idle;
  for (rlim_t i = 0; i < kConnections; ++i) {
    idle.push_back(std::make_unique<HttpConnection>(leader.http_address()));
    ASSERT_TRUE(idle.back()->connect(10s)) << i;
  }
  const auto began = std::chrono::steady_clock::now();
  write_keys("k", 20);
  expect_keys("k", 20);
  EXPECT_LT(std::chrono::steady_clock::now() - began, 20s);
  EXPECT_LT(resident_kib(leader.pid()) - before, 512U * 1024U);
  EXPECT_TRUE(leader.running());
}

}  // namespace
}  // namespace raftkv::process
