// Histories of other systems, with the verdicts of their publishers: all through the program, and
// every proof verified.
#include <gmock/gmock.h>

#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/linearizability/program.h"

namespace raftkv::linearizability {
namespace {

struct Expected {
  std::string file, model, initial, verdict;
};

std::vector<Expected> expectations(const std::string& folder) {
  std::istringstream table(read_file(folder + "/verdicts.tsv"));
  std::vector<Expected> rows;
  std::string line;
  std::getline(table, line);  // the names of the columns
  while (std::getline(table, line)) {
    std::istringstream cells(line);
    Expected row;
    std::getline(cells, row.file, '\t');
    std::getline(cells, row.model, '\t');
    std::getline(cells, row.initial, '\t');
    std::getline(cells, row.verdict, '\t');
    rows.push_back(std::move(row));
  }
  return rows;
}

class SharedHistories : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = histories_folder();
    if (folder_.empty())
      GTEST_SKIP() << "no histories in $RAFTKV_SHARED or ../shared: nothing was judged";
  }

  // The files of each model and initial state: one run of the program for each.
  std::map<std::pair<std::string, std::string>, std::vector<Expected>> groups() const {
    std::map<std::pair<std::string, std::string>, std::vector<Expected>> groups;
    for (const Expected& row : expectations(folder_))
      groups[{row.model, row.initial}].push_back(row);
    return groups;
  }
  std::vector<std::string> arguments(const std::vector<Expected>& rows) const {
    std::vector<std::string> all = {"--model", rows[0].model, "--initial", rows[0].initial};
    for (const Expected& row : rows) all.push_back(folder_ + "/" + row.file);
    return all;
  }

  std::string folder_;
};

TEST_F(SharedHistories, GetTheirPublishersVerdicts) {
  std::size_t judged = 0;
  for (const auto& [by, rows] : groups()) {
    std::istringstream lines(lincheck(arguments(rows)).out);
    for (const Expected& row : rows) {
      std::string line;
      std::getline(lines, line);
      EXPECT_THAT(line,
                  ::testing::StartsWith(folder_ + "/" + row.file + ": " + row.verdict + " ops="));
      ++judged;
    }
  }
  EXPECT_EQ(judged, 114u);
}

TEST_F(SharedHistories, HaveProofsThatHold) {
  for (const auto& [by, rows] : groups()) {
    std::vector<std::string> command = arguments(rows);
    command.insert(command.begin(), "--json");
    const Folder folder;
    const std::string proofs = folder.write("proofs.json", lincheck(command).out);
    for (const Expected& row : rows) {
      const ProgramOutcome outcome = lincheck({"verify", folder_ + "/" + row.file, proofs});
      EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err;
    }
  }
}

TEST_F(SharedHistories, WithAWrongInitialStateAVerdictChanges) {
  EXPECT_EQ(lincheck({folder_ + "/kv/c01-ok.txt"}).code, 0);
  EXPECT_EQ(lincheck({"--initial", "\"x\"", folder_ + "/kv/c01-ok.txt"}).code, 1);
}

}  // namespace
}  // namespace raftkv::linearizability
