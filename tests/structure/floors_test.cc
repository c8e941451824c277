// Reads the repository and fails on every line that breaks a rule of tests/structure/rules.h. Each
// rule is also shown a sample that breaks it: a checker that cannot fail checks nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "tests/structure/rules.h"

namespace raftkv::structure {

// How GoogleTest shows a breach: as a compiler would.
void PrintTo(const Breach& breach, std::ostream* out) {
  *out << breach.path << ':' << breach.line << ": " << breach.why;
}

namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return std::move(out).str();
}

const fs::path& root() {
  static const fs::path kRoot = RAFTKV_SOURCE_DIR;
  return kRoot;
}

// Every file of the work tree but what .gitignore names, relative to the root.
std::vector<std::string> files_below(const std::string& folder) {
  static const std::set<std::string> kNotOurs = {".git", "build", ".cache",
                                                 "compile_commands.json"};
  std::vector<std::string> files;
  auto it = fs::recursive_directory_iterator(root() / folder);
  for (; it != fs::recursive_directory_iterator(); ++it) {
    if (it.depth() == 0 && folder.empty() && kNotOurs.contains(it->path().filename())) {
      it.disable_recursion_pending();
    } else if (it->is_regular_file()) {
      files.push_back(fs::relative(it->path(), root()).generic_string());
    }
  }
  std::ranges::sort(files);
  return files;
}

std::vector<std::string> sources_below(const std::string& folder) {
  std::vector<std::string> files = files_below(folder);
  std::erase_if(files, [](const std::string& file) {
    return !file.ends_with(".h") && !file.ends_with(".cc");
  });
  return files;
}

template <typename Check>
std::vector<Breach> breaches_in(const std::vector<std::string>& files, Check check) {
  std::vector<Breach> breaches;
  for (const std::string& file : files) {
    std::ranges::move(check(file, read(root() / file)), std::back_inserter(breaches));
  }
  return breaches;
}

auto why(const std::string& text) {
  return Field(&Breach::why, HasSubstr(text));
}
auto on_line(int line) {
  return Field(&Breach::line, line);
}

TEST(Floors, EveryIncludeIsAllowed) {
  for (const std::string folder : {"src", "sim", "linearizability"}) {
    EXPECT_THAT(breaches_in(sources_below(folder), include_breaches), IsEmpty());
  }
  EXPECT_THAT(sources_below("src"), testing::Not(IsEmpty()));
}

TEST(Floors, LowerFloorsDoNotKnowHigherOnes) {
  EXPECT_THAT(
      include_breaches("src/raft/log.cc", "#include <vector>\n#include \"src/kv/value.h\"\n"),
      ElementsAre(testing::AllOf(on_line(2), why("src/raft may not include src/kv/value.h"))));
  EXPECT_THAT(include_breaches("src/base/bytes.h", "#include \"src/raft/log.h\"\n"), SizeIs(1));
  EXPECT_THAT(include_breaches("src/kv/command.h", "#include \"src/raft/types.h\"\n"), SizeIs(1));
  EXPECT_THAT(include_breaches("src/storage/log.h", "#include \"src/replica/host.h\"\n"),
              SizeIs(1));
  EXPECT_THAT(include_breaches("src/net/peer.h", "#include \"src/kv/command.h\"\n"), SizeIs(1));
  EXPECT_THAT(include_breaches("src/http/router.h", "#include \"src/raft/log.h\"\n"), SizeIs(1));
}

TEST(Floors, SourcesDoNotKnowTheirUsers) {
  for (const char* user :
       {"sim/disk.h", "tests/process/cluster.h", "bench/load.h", "linearizability/history.h"}) {
    const std::string line = std::string("#include \"") + user + "\"\n";
    EXPECT_THAT(include_breaches("src/app/main.cc", line), SizeIs(1)) << user;
    EXPECT_THAT(include_breaches("src/base/check.cc", line), SizeIs(1)) << user;
  }
}

TEST(Floors, TheOracleSharesNothingWithTheAccused) {
  EXPECT_THAT(include_breaches("linearizability/model.cc", "#include \"src/kv/command.h\"\n"),
              SizeIs(1));
  EXPECT_THAT(include_breaches("linearizability/cli/main.cc", "#include \"src/kv/command.h\"\n"),
              SizeIs(1));
  EXPECT_THAT(include_breaches("linearizability/model.cc", "#include \"src/base/result.h\"\n"),
              IsEmpty());
}

TEST(Floors, TheSimulatorHasNoSockets) {
  EXPECT_THAT(include_breaches("sim/world.h", "#include \"src/net/peer.h\"\n"), SizeIs(1));
  EXPECT_THAT(include_breaches("sim/world.h", "#include \"src/app/options.h\"\n"), SizeIs(1));
  EXPECT_THAT(include_breaches("sim/world.h", "#include \"src/http/router.h\"\n"), IsEmpty());
  EXPECT_THAT(include_breaches("sim/world.h", "#include <boost/asio.hpp>\n"), SizeIs(1));
}

TEST(Floors, LibrariesStayOnTheirFloor) {
  EXPECT_THAT(include_breaches("src/raft/log.h", "#include <leveldb/db.h>\n"), SizeIs(1));
  EXPECT_THAT(include_breaches("src/replica/host.h", "#include <spdlog/spdlog.h>\n"), SizeIs(1));
  EXPECT_THAT(include_breaches("src/net/peer.h", "#include <boost/beast.hpp>\n"), SizeIs(1));
  EXPECT_THAT(include_breaches("src/kv/command.h", "#include <boost/json.hpp>\n"), SizeIs(1));
  EXPECT_THAT(include_breaches("src/http/server.h", "#include <prometheus/registry.h>\n"),
              SizeIs(1));
  EXPECT_THAT(include_breaches("src/replica/host.cc", "#include <unistd.h>\n"), SizeIs(1));
  EXPECT_THAT(
      include_breaches("src/storage/env.cc", "#include <fcntl.h>\n#include <leveldb/env.h>\n"),
      IsEmpty());
  EXPECT_THAT(include_breaches("src/base/result.h", "#include <expected>\n#include <fmt/core.h>\n"),
              IsEmpty());
}

TEST(Floors, ProgramsOfSimAndLinearizabilityMayReadFlagsAndFiles) {
  const std::string text = "#include <CLI/CLI.hpp>\n#include <unistd.h>\n";
  EXPECT_THAT(include_breaches("linearizability/main.cc", text), IsEmpty());
  EXPECT_THAT(include_breaches("sim/cli/run.cc", text), IsEmpty());
  EXPECT_THAT(include_breaches("sim/disk.cc", text), SizeIs(2));
  EXPECT_THAT(include_breaches("linearizability/history.cc", text), SizeIs(2));
}

TEST(Floors, PathsInIncludesStartAtTheRoot) {
  EXPECT_THAT(include_breaches("src/raft/log.cc", "#include \"log.h\"\n"),
              ElementsAre(why("root")));
  EXPECT_THAT(include_breaches("src/raft/log.cc", "#include \"../base/check.h\"\n"), SizeIs(1));
}

TEST(Floors, ANewFolderNeedsARow) {
  EXPECT_THAT(include_breaches("src/utils/misc.h", ""), ElementsAre(why("no floor")));
  EXPECT_THAT(include_breaches("tests/kv/kv_test.cc", "#include \"src/app/options.h\"\n"),
              IsEmpty());
}

TEST(Determinism, HoldsWhereItMust) {
  for (const std::string folder : {"src", "sim", "linearizability"}) {
    EXPECT_THAT(breaches_in(sources_below(folder), determinism_breaches), IsEmpty());
  }
}

class BannedLine : public testing::TestWithParam<const char*> {};

TEST_P(BannedLine, IsFoundOnFloorsThatMustBeDeterministic) {
  const std::string text = std::string("// first line\n") + GetParam() + "\n";
  EXPECT_THAT(determinism_breaches("src/replica/host.cc", text), ElementsAre(on_line(2)));
  EXPECT_THAT(determinism_breaches("sim/world.cc", text), ElementsAre(on_line(2)));
  EXPECT_THAT(determinism_breaches("linearizability/model.h", text), ElementsAre(on_line(2)));
  EXPECT_THAT(determinism_breaches("linearizability/main.cc", text), IsEmpty());
  EXPECT_THAT(determinism_breaches("sim/cli/swarm.cc", text), IsEmpty());
  EXPECT_THAT(determinism_breaches("src/app/main.cc", text), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    Determinism, BannedLine,
    testing::Values("auto t = std::chrono::steady_clock::now();",
                    "clock_gettime(CLOCK_REALTIME, &t);", "auto t = std::time(nullptr);",
                    "#include <ctime>", "std::thread t(run);", "std::this_thread::sleep_for(1s);",
                    "#include <thread>", "thread_local int depth = 0;", "std::mutex m;",
                    "const std::lock_guard lock(m);", "#include <mutex>", "std::atomic<int> n;",
                    "#include <atomic>", "#include <random>", "std::mt19937 engine;",
                    "std::uniform_int_distribution<int> d;",
                    "std::shuffle(a.begin(), a.end(), prng);", "int r = rand();",
                    "#include <filesystem>", "std::filesystem::path p;", "#include <iostream>",
                    "std::cout << 1;", "#include <fstream>", "auto home = std::getenv(name);",
                    "std::unordered_map<int, int> m;", "std::hash<int> h;"));

TEST(Determinism, NamesInCommentsAndLiteralsAreNoUse) {
  const std::string text =
      "// no std::thread here\n/* nor\n std::mutex */\nconst char* kHint = \"not std::atomic\";\n"
      "const char* kRaw = R\"(std::hash)\";\nint runtime(int brand);\n";
  EXPECT_THAT(determinism_breaches("src/raft/log.cc", text), IsEmpty());
}

TEST(Blanking, KeepsCodeAfterLiteralsAndDigitSeparators) {
  const std::string text =
      "x('\"'); std::mutex a; y = 1'000'000; std::mutex b;\n\"\\\"\"; std::mutex c;\n";
  const std::string code = without_comments_and_literals(text);
  EXPECT_THAT(code, HasSubstr("std::mutex a;"));
  EXPECT_THAT(code, HasSubstr("std::mutex b;"));
  EXPECT_THAT(code, HasSubstr("std::mutex c;"));
  EXPECT_EQ(code.size(), text.size());
}

TEST(MachinePaths, AreNowhereInTheRepository) {
  EXPECT_THAT(breaches_in(files_below(""), machine_path_breaches), IsEmpty());
}

TEST(MachinePaths, AreFound) {
  // Written apart, or this file would breach.
  EXPECT_THAT(machine_path_breaches("docs/testing.md", std::string("see\n`/wo") + "rk/main/x`\n"),
              ElementsAre(on_line(2)));
  EXPECT_THAT(machine_path_breaches("scripts/run", std::string("cd /ho") + "me/someone/x\n"),
              SizeIs(1));
  EXPECT_THAT(machine_path_breaches("scripts/run", std::string("/ro") + "ot/.cache/x\n"),
              SizeIs(1));
  EXPECT_THAT(machine_path_breaches("README.md",
                                    "http://localhost/"
                                    "work/1 ${x}/"
                                    "work/a out/"
                                    "home/x\n"),
              IsEmpty());
}

TEST(RaftNotes, NameOnlyFunctionsAndTestsThatExist) {
  const auto read_source = [](const std::string& file) { return read(root() / file); };
  const std::string file = "docs/raft-notes.md";
  EXPECT_THAT(notes_breaches(file, read_source(file), read_source), IsEmpty());
}

const char* const kNotes =
    "# Notes\n| rule | paper | function | test |\n|---|---|---|---|\n"
    "| a vote | §5.2 | `Election::vote` in `src/raft/election.cc` | `Vote.Once` in "
    "`tests/raft/e.cc` |\n";

std::string sample_tree(const std::string& file) {
  if (file == "src/raft/election.cc") return "void Election::vote(int peer) {}\n// revote(\n";
  if (file == "tests/raft/e.cc") return "TEST(Vote, Once) {}\nTEST_F(Vote, Twice) {}\n";
  if (file == "tests/raft/e.txt") return "# A vote is given once\n";
  return "";
}

std::vector<Breach> notes(const std::string& text) {
  return notes_breaches("n.md", text, sample_tree);
}

TEST(RaftNotes, ARowHoldsWhenItsFunctionAndItsTestExist) {
  EXPECT_THAT(notes(kNotes), IsEmpty());
  EXPECT_THAT(
      notes(std::string(kNotes) +
            "| b | c | `vote()` in `src/raft/election.cc` | `Vote.Twice` in `tests/raft/e.cc`, "
            "`A vote is given once` in `tests/raft/e.txt` |\n"),
      IsEmpty());
}

TEST(RaftNotes, ARowFailsWithoutItsFunctionOrItsTest) {
  const auto row = [](const std::string& function, const std::string& test) {
    return notes(std::string(kNotes) + "| b | c | " + function + " | " + test + " |\n");
  };
  const std::string good_function = "`vote` in `src/raft/election.cc`";
  const std::string good_test = "`Vote.Once` in `tests/raft/e.cc`";
  EXPECT_THAT(row("`revote` in `src/raft/election.cc`", good_test), ElementsAre(on_line(5)));
  EXPECT_THAT(row("`vote` in `src/raft/gone.cc`", good_test), ElementsAre(why("no function vote")));
  EXPECT_THAT(row("see the code", good_test), ElementsAre(why("names no function")));
  EXPECT_THAT(row(good_function, "`Vote.Thrice` in `tests/raft/e.cc`"),
              ElementsAre(why("no test")));
  EXPECT_THAT(row(good_function, "`Gone` in `tests/raft/e.txt`"), ElementsAre(why("no test")));
  EXPECT_THAT(row(good_function, ""), ElementsAre(why("names no test")));
  EXPECT_THAT(notes("# Notes without a table\n"), ElementsAre(why("no rows")));
}

std::vector<Breach> lab(const std::string& text) {
  return mention_breaches("docs/lab.md", text, sample_tree);
}

TEST(BreakIt, NamesOnlyFilesAndFunctionsThatExist) {
  const auto read_source = [](const std::string& file) { return read(root() / file); };
  const std::string page = "docs/break-it.md";
  EXPECT_THAT(mention_breaches(page, read_source(page), read_source), IsEmpty());
}

TEST(BreakIt, WhatIsNotThereIsFound) {
  EXPECT_THAT(lab("`vote` in `src/raft/election.cc`, [t](../tests/raft/e.txt#2), [u](#a), "
                  "[v](https://raft.github.io)\n"),
              IsEmpty());
  EXPECT_THAT(lab("\n`revote` in `src/raft/election.cc`\n"),
              ElementsAre(testing::AllOf(on_line(2), why("no function revote"))));
  EXPECT_THAT(lab("see `tests/raft/gone.cc`\n"),
              ElementsAre(why("there is no tests/raft/gone.cc")));
  EXPECT_THAT(lab("![a](images/gone.png)\n"), ElementsAre(why("there is no docs/images/gone.png")));
}

// Each schedule is an experiment of the page, with the mutant of its name.
TEST(BreakIt, EverySchedulesMutantAndStoryExist) {
  const std::string page = read(root() / "docs/break-it.md");
  const std::vector<std::string> schedules = files_below("docs/break-it");
  EXPECT_THAT(schedules, SizeIs(11));
  for (const std::string& schedule : schedules) {
    const std::string name = fs::path(schedule).stem();
    EXPECT_TRUE(fs::exists(root() / "tests/mutants" / (name + ".patch"))) << name;
    EXPECT_THAT(page, HasSubstr("`" + schedule + "`"));
    EXPECT_THAT(read(root() / schedule), testing::StartsWith("# " + name + " violates I"));
  }
}

}  // namespace
}  // namespace raftkv::structure
