// The whole program, in short: both networks, the controls that must fail, what is worth a warning,
// and that it leaves nothing behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "tests/chaos/belongings.h"
#include "tests/chaos/ground.h"
#include "tests/process/child.h"
#include "tests/process/cluster.h"
#include "tests/process/files.h"

namespace raftkv::chaos {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;  // NOLINT: 500ms reads better than any helper
using ::testing::HasSubstr;

std::vector<std::string> command(const std::vector<std::string>& more) {
  std::vector<std::string> words = {RAFTKV_BIN_DIR "/raftkv-chaos"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

process::Finished chaos(const std::vector<std::string>& more) {
  std::vector<std::string> words = command({"run"});
  words.insert(words.end(), more.begin(), more.end());
  return process::run(words, 240s);
}

TEST(Mix, KeepsEveryPromise) {
  const auto finished = chaos({"--duration", "25s", "--nemesis",
                               "isolate-leader,split,mute,loss,delay,throttle,kill-leader,kill-all,"
                               "power,pause-leader,roll,wipe,"
                               "corrupt,slow-disk,fail-syncs"});
  EXPECT_EQ(finished.exit_code, 0) << finished.output;
  EXPECT_THAT(finished.output, HasSubstr("VERDICT: every promise was kept"));
}

TEST(Mix, KeepsEveryPromiseThroughProxies) {
  const auto finished =
      chaos({"--network", "proxy", "--nodes", "3", "--duration", "10s", "--nemesis",
             "isolate-leader,deafen,delay,throttle,kill-majority,transfer"});
  EXPECT_EQ(finished.exit_code, 0) << finished.output;
}

TEST(Control, StaleReadsAreNotLinearizable) {
  const auto finished = chaos({"--nodes", "3", "--duration", "3s", "--nemesis", "none", "--control",
                               "stale-as-consistent"});
  EXPECT_EQ(finished.exit_code, 1) << finished.output;
  EXPECT_THAT(finished.output, HasSubstr("not-linearizable"));
}

TEST(Control, AnUnknownOutcomeIsNoFailure) {
  const auto finished = chaos({"--nodes", "3", "--duration", "8s", "--nemesis",
                               "kill-leader,pause-leader", "--control", "unknown-as-failed"});
  EXPECT_EQ(finished.exit_code, 1) << finished.output;
  EXPECT_THAT(finished.output, HasSubstr("not-linearizable"));
}

TEST(Gap, IsNoViolationButIsTold) {
  const auto finished = chaos({"--nodes", "3", "--duration", "3s", "--nemesis", "pause-leader",
                               "--no-mix", "--longest-gap", "500ms"});
  EXPECT_EQ(finished.exit_code, 0) << finished.output;
  EXPECT_THAT(finished.output, HasSubstr("WARNING: a majority ran and was connected"));
  EXPECT_THAT(finished.output, HasSubstr(": pause n"));
  const auto at = finished.output.find("logs: ");
  ASSERT_NE(at, std::string::npos) << finished.output;
  const std::string directory =
      finished.output.substr(at + 6, finished.output.find('\n', at) - at - 6);
  ASSERT_TRUE(directory.starts_with(fs::temp_directory_path().string() + "/" + kFilePrefix));
  EXPECT_TRUE(fs::exists(directory + "/node01.log"));
  fs::remove_all(directory);
}

TEST(CommandLine, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(chaos({"--nemesis", "gremlin"}).exit_code, 64);
  EXPECT_EQ(chaos({"--duration", "soon"}).exit_code, 64);
  EXPECT_EQ(chaos({"--longest-gap", "never"}).exit_code, 64);
  EXPECT_EQ(process::run(command({})).exit_code, 64);
}

TEST(StartTime, IsNoneOfAProcessThatHasEnded) {
  EXPECT_NE(start_time_of(::getpid()), 0u);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  EXPECT_TRUE(process::eventually([&] { return start_time_of(child) == 0; }));
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
}

// What a run notes in its state file and would leave.
class Leaves : public testing::Test {
 protected:
  void start() {
    log_ = dir_.path() + "/log";
    child_ = process::Child(
        command({"run", "--nodes", "3", "--duration", "60s", "--nemesis", "split,pause"}), log_);
    pid_ = child_.pid();
    ASSERT_TRUE(process::eventually([&] {
      return process::read_file(log_).find("healed") != std::string::npos;
    })) << process::read_file(log_);
    notes_ = process::read_file(state_file());
    ASSERT_THAT(notes_, HasSubstr("process "));
  }
  [[nodiscard]] std::string state_file() const {
    return fs::temp_directory_path() / (kFilePrefix + std::to_string(pid_) + ".state");
  }
  // What of the notes is still there.
  [[nodiscard]] std::string left() const {
    std::istringstream lines(notes_);
    std::string left;
    for (std::string kind, name, line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::uint64_t begun = 0;
      words >> kind >> name >> begun;
      const bool there = kind == "process" ? begun != 0 && start_time_of(std::stoi(name)) == begun
                         : kind == "namespace" ? fs::exists("/run/netns/" + name)
                         : kind == "link"      ? fs::exists("/sys/class/net/" + name)
                         : kind == "directory" ? fs::exists(name)
                                               : false;
      if (there) left += line + "\n";
    }
    return left;
  }

  process::TempDir dir_;
  std::string log_;
  std::string notes_;
  process::Child child_;
  pid_t pid_ = 0;
};

TEST_F(Leaves, NothingWhenInterrupted) {
  start();
  child_.signal(SIGINT);
  EXPECT_EQ(child_.wait(60s), 2) << process::read_file(log_);
  EXPECT_EQ(left(), "");
  EXPECT_FALSE(fs::exists(state_file()));
}

TEST_F(Leaves, NothingAfterCleanWhenKilled) {
  start();
  child_.kill();
  ASSERT_THAT(left(), HasSubstr("directory "));
  const auto finished = process::run(command({"clean"}));
  EXPECT_EQ(finished.exit_code, 0) << finished.output;
  EXPECT_TRUE(process::eventually([&] { return left().empty(); })) << left();
  EXPECT_FALSE(fs::exists(state_file()));
}

}  // namespace
}  // namespace raftkv::chaos
