// --timeout, --memory, all cores, and progress on a terminal.
#include <gmock/gmock.h>

#include <algorithm>
#include <string>
#include <thread>

#include "tests/linearizability/program.h"

namespace raftkv::linearizability {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr double kSlack = 0.3;  // a process begins and ends; the machine does other things, too

// Sanitizers hold several times the memory that the program asks for.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

std::string million_writes() {
  std::string text;
  for (int i = 0; i < 1'000'000; ++i) {
    text += "{\"process\":0,\"invoke\":" + std::to_string(i * 2) +
            ",\"return\":" + std::to_string(i * 2 + 1) + ",\"f\":\"write\",\"value\":1}\n";
  }
  return text;
}

TEST(Limits, TheTimeoutIsKeptWithin10Percent) {
  const ProgramOutcome outcome = lincheck({"--timeout", "3s", "-"}, hard_history());
  EXPECT_EQ(outcome.code, 2);
  EXPECT_GE(outcome.seconds, 3.0);
  EXPECT_LE(outcome.seconds, 3.3 + kSlack);
  EXPECT_THAT(outcome.err, HasSubstr("the time limit struck"));
}

TEST(Limits, MemoryIsKeptWithin10Percent) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer counts as well: memory was not looked at";
  constexpr std::uint64_t kLimit = 64u << 20;
  const ProgramOutcome outcome =
      lincheck({"--timeout", "60s", "--memory", "64MiB", "-"}, hard_history());
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("memory"));
  EXPECT_LE(outcome.memory_bytes_max, kLimit + kLimit / 10);
  EXPECT_GE(outcome.memory_bytes_max, kLimit / 2) << "the limit struck long before it was reached";
}

TEST(Limits, MemoryIsKeptWhileReading) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer counts as well: memory was not looked at";
  const ProgramOutcome outcome = lincheck({"--memory", "100MiB", "-"}, million_writes());
  EXPECT_EQ(outcome.code, 2);
  EXPECT_LE(outcome.memory_bytes_max, 110u << 20);
}

TEST(Limits, TheTimeoutIsKeptWhileReading) {
  const ProgramOutcome outcome = lincheck({"--timeout", "20ms", "-"}, million_writes());
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.out, ContainsRegex("unknown ops=0 ms=[1-9]"));
}

TEST(Limits, SeveralFilesUseAllCores) {
  if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "this machine has one core";
  const Folder folder;
  const std::string one = folder.write("1", hard_history(3)),
                    two = folder.write("2", hard_history(3));
  EXPECT_LE(lincheck({"--timeout", "2s", one, two}).seconds, 3.5);
  EXPECT_GE(lincheck({"--timeout", "1s", "--jobs", "1", one, two}).seconds, 2.0);
}

TEST(Limits, ProgressIsShownOnATerminalAfterASecond) {
  const Folder folder;
  const std::string hard = folder.write("hard.jsonl", hard_history());
  const ProgramOutcome late = lincheck_on_terminal({"--timeout", "2s", hard});
  EXPECT_THAT(late.err, HasSubstr("0/1 files, 1 s, "));
  EXPECT_THAT(late.err, HasSubstr("million steps"));
  EXPECT_THAT(late.err, HasSubstr("unknown ops=31"));
  const ProgramOutcome early = lincheck_on_terminal({"--timeout", "500ms", hard});
  EXPECT_THAT(early.err, Not(HasSubstr("million steps")));
  const ProgramOutcome piped = lincheck({"--timeout", "2s", hard});
  EXPECT_THAT(piped.err, Not(HasSubstr("million steps")));
}

}  // namespace
}  // namespace raftkv::linearizability
