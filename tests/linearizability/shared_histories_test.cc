// Recorded histories of other systems: every verdict that their publishers' own tests assert, every
// witness verified, every core minimal. Without the folder ($RAFTKV_SHARED, or beside the project)
// these tests are skipped, visibly.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "linearizability/check.h"
#include "linearizability/core.h"
#include "linearizability/readers/reader.h"
#include "linearizability/verify.h"
#include "tests/linearizability/program.h"

namespace raftkv::linearizability {
namespace {

const std::filesystem::path kFolder = histories_folder();

struct Line {
  std::string file, model, initial, verdict;
};

std::string contents(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

std::vector<Line> verdicts() {
  std::vector<Line> out;
  std::ifstream in(kFolder / "verdicts.tsv");
  std::string text;
  std::getline(in, text);  // the heading
  while (std::getline(in, text)) {
    std::stringstream fields(text);
    Line line;
    std::getline(fields, line.file, '\t');
    std::getline(fields, line.model, '\t');
    std::getline(fields, line.initial, '\t');
    std::getline(fields, line.verdict, '\t');
    out.push_back(line);
  }
  return out;
}

class SharedHistories : public testing::Test {
 protected:
  void SetUp() override {
    if (kFolder.empty()) {
      GTEST_SKIP() << "no histories in $RAFTKV_SHARED or ../shared: nothing was judged";
    }
    lines_ = verdicts();
    ASSERT_GE(lines_.size(), 80u);
  }
  struct Case {
    History history;
    Options options;
  };
  static Case load(const Line& line) {
    Result<Reading> reading = read_history(contents(kFolder / line.file), {.model = line.model});
    EXPECT_TRUE(reading.has_value())
        << line.file << ": " << (reading ? "" : reading.error().message);
    Case out;
    out.history = std::move(reading->history);
    const Result<Value> initial = read_initial(out.history, line.initial);
    EXPECT_TRUE(initial.has_value()) << line.file;
    out.options.model = find_model(line.model);
    out.options.initial = *initial;
    return out;
  }

  std::vector<Line> lines_;
};

TEST_F(SharedHistories, GetTheVerdictsOfTheirPublishers) {
  for (const Line& line : lines_) {
    const Case c = load(line);
    const Result<Report> report = check(c.history, c.options);
    ASSERT_TRUE(report.has_value()) << line.file;
    EXPECT_EQ(to_string(report->verdict), line.verdict) << line.file;
  }
}

TEST_F(SharedHistories, EveryAlgorithmThatAppliesAgrees) {
  for (const Line& line : lines_) {
    Case c = load(line);
    c.options.want_core = false;
    for (const Algorithm algorithm : {Algorithm::zones, Algorithm::version_chains,
                                      Algorithm::just_in_time, Algorithm::depth_first}) {
      c.options.algorithm = algorithm;
      const Result<Report> report = check(c.history, c.options);
      ASSERT_TRUE(report.has_value()) << line.file;
      if (report->verdict == Verdict::unknown && algorithm < Algorithm::just_in_time) continue;
      EXPECT_EQ(to_string(report->verdict), line.verdict)
          << line.file << " " << to_string(algorithm);
      if (report->verdict == Verdict::linearizable) {
        EXPECT_TRUE(
            verify_witness(c.history, line.model, c.options.initial, report->witness).has_value());
      }
    }
  }
}

TEST_F(SharedHistories, EveryWitnessVerifies) {
  for (const Line& line : lines_) {
    if (line.verdict != "linearizable") continue;
    const Case c = load(line);
    const Result<Report> report = check(c.history, c.options);
    ASSERT_TRUE(report.has_value());
    const Status status = verify_witness(c.history, line.model, c.options.initial, report->witness);
    EXPECT_TRUE(status.has_value()) << line.file << ": " << (status ? "" : status.error().message);
  }
}

TEST_F(SharedHistories, EveryCoreIsMinimal) {
  std::size_t largest = 0;
  for (const Line& line : lines_) {
    if (line.verdict != "not-linearizable") continue;
    Case c = load(line);
    const Result<Report> report = check(c.history, c.options);
    ASSERT_TRUE(report.has_value());
    EXPECT_TRUE(report->core.minimal) << line.file;
    const History small = c.history.restricted_to(report->core.operations, report->core.weakened);
    largest = std::max(largest, small.size());
    c.options.want_core = false;
    ASSERT_EQ(check(small, c.options)->verdict, Verdict::not_linearizable) << line.file;
    std::vector<OperationId> all(small.size());
    for (OperationId id = 0; id < small.size(); ++id) all[id] = id;
    for (OperationId id = 0; id < small.size(); ++id) {
      const OperationId seed[] = {id};
      const std::vector<OperationId> gone = with_readers(small, *c.options.model, seed);
      std::vector<OperationId> kept;
      std::ranges::set_difference(all, gone, std::back_inserter(kept));
      EXPECT_EQ(check(small.restricted_to(kept), c.options)->verdict, Verdict::linearizable)
          << line.file << ": " << small.print(id) << " can be dropped";
      if (small[id].end != End::ok) continue;
      EXPECT_EQ(check(small.restricted_to(all, seed), c.options)->verdict, Verdict::linearizable)
          << line.file << ": " << small.print(id) << " can be weakened";
    }
    // Small enough for a person, and explained.
    const Explanation explanation = explain(c.history, report->core, c.options);
    EXPECT_FALSE(explanation.possibilities.empty()) << line.file;
  }
  RecordProperty("largest_core", static_cast<int>(largest));
}

}  // namespace
}  // namespace raftkv::linearizability
