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
