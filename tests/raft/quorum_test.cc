#include "src/raft/quorum.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

namespace raftkv::raft {
namespace {

// --- another project's cases: ../shared/quorum, see its README ---

std::filesystem::path shared_folder() {
  const char* named = std::getenv("RAFTKV_SHARED");
  return named != nullptr ? named : RAFTKV_SOURCE_DIR "/../shared";
}

// "cfg=(1,2,3)" gives 1,2,3; "" if there is no such word.
std::string in_brackets(const std::string& line, const std::string& name) {
  const auto at = line.find(" " + name + "=(");
  if (at == std::string::npos) return "";
  const auto from = at + name.size() + 3;
  return line.substr(from, line.find(')', from) - from);
}

std::vector<std::string> items(const std::string& list) {
  std::vector<std::string> out;
  std::stringstream in(list);
  for (std::string item; std::getline(in, item, ',');) {
    std::erase(item, ' ');
    if (!item.empty()) out.push_back(item);
  }
  return out;
}

struct Case {
  std::string command;
  std::vector<std::string> answer;
};

std::vector<Case> cases_of(const std::filesystem::path& path) {
  std::vector<Case> cases;
  std::ifstream in(path);
  bool in_answer = false;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("#")) continue;
    if (line.empty()) {
      in_answer = false;
    } else if (line == "----") {
      in_answer = true;
    } else if (in_answer) {
      cases.back().answer.push_back(line);
    } else {
      cases.push_back({line, {}});
    }
  }
  return cases;
}

// The command's voters, and for each what the list `values` says ("_" and what is missing:
// nothing).
struct Parsed {
  Configuration configuration;
  std::map<MemberId, std::string> values;
};

Parsed parse(const Case& c, const std::string& values) {
  Parsed parsed;
  std::vector<MemberId> order;
  const auto add = [&](const std::string& half, VoterSet& set) {
    for (const std::string& id : items(in_brackets(c.command, half))) {
      set.push_back(MemberId(std::stoull(id)));
      if (std::find(order.begin(), order.end(), set.back()) == order.end())
        order.push_back(set.back());
    }
    std::sort(set.begin(), set.end());
  };
  add("cfg", parsed.configuration.voters);
  add("cfgj", parsed.configuration.outgoing);
  std::sort(order.begin(), order.end());
  const auto list = items(in_brackets(c.command, values));
  for (std::size_t i = 0; i < list.size() && i < order.size(); ++i) {
    if (list[i] != "_") parsed.values[order[i]] = list[i];
  }
  return parsed;
}

TEST(Quorum, CommitsAsTheSharedCasesSay) {
  const auto path = shared_folder() / "quorum/majority_commit.txt";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there; set RAFTKV_SHARED";
  std::size_t checked = 0;
  for (const Case& c : cases_of(path)) {
    ASSERT_TRUE(c.command.starts_with("committed")) << c.command;
    const Parsed parsed = parse(c, "idx");
    const std::uint64_t index =
        quorum_reached(parsed.configuration, [&](MemberId id) -> std::uint64_t {
          const auto it = parsed.values.find(id);
          return it == parsed.values.end() ? 0 : std::stoull(it->second);
        });
    std::string expected = c.answer.back();
    if (expected.starts_with('<'))
      expected.erase(0, expected.find('>') + 1);  // their note on an empty set
    EXPECT_EQ(index == kEverything ? "∞" : std::to_string(index), expected) << c.command;
    ++checked;
  }
  EXPECT_GE(checked, 15u);
}

TEST(Quorum, VotesAsTheSharedCasesSay) {
  const auto path = shared_folder() / "quorum/majority_vote.txt";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there; set RAFTKV_SHARED";
  std::size_t checked = 0;
  for (const Case& c : cases_of(path)) {
    ASSERT_TRUE(c.command.starts_with("vote")) << c.command;
    const Parsed parsed = parse(c, "votes");
    const VoteResult result =
        quorum_vote(parsed.configuration, [&](MemberId id) -> std::optional<bool> {
          const auto it = parsed.values.find(id);
          if (it == parsed.values.end()) return std::nullopt;
          return it->second == "y";
        });
    const char* names[] = {"VotePending", "VoteWon", "VoteLost"};
    EXPECT_EQ(names[static_cast<int>(result)], c.answer.back()) << c.command;
    ++checked;
  }
  EXPECT_GE(checked, 10u);
}

// --- laws ---

struct Voters {
  Configuration configuration;
  std::map<MemberId, std::uint64_t> number;
};

Voters any_voters() {
  Voters v;
  for (VoterSet* set : {&v.configuration.voters, &v.configuration.outgoing}) {
    for (std::uint64_t id = 1; id <= 9; ++id) {
      if (*rc::gen::inRange(0, 3) == 0) set->push_back(MemberId(id));
    }
    for (const MemberId id : *set)
      v.number[id] = static_cast<std::uint64_t>(*rc::gen::inRange(0, 6));
  }
  return v;
}

bool majority_has(const VoterSet& voters, const Voters& v, std::uint64_t n) {
  const auto holders = std::count_if(voters.begin(), voters.end(),
                                     [&](MemberId id) { return v.number.at(id) >= n; });
  return voters.empty() || static_cast<std::size_t>(holders) * 2 > voters.size();
}

TEST(Quorum, ReachesWhatBruteForceFinds) {
  EXPECT_TRUE(rc::check("the largest number that majorities of both halves have", [] {
    const Voters v = any_voters();
    const std::uint64_t reached =
        quorum_reached(v.configuration, [&](MemberId id) { return v.number.at(id); });
    std::uint64_t expected = 0;
    for (std::uint64_t n = 0; n <= 6; ++n) {
      if (majority_has(v.configuration.voters, v, n) &&
          majority_has(v.configuration.outgoing, v, n))
        expected = n;
    }
    const bool nobody = v.configuration.voters.empty() && v.configuration.outgoing.empty();
    RC_ASSERT(reached == (nobody ? kEverything : expected));
  }));
}

// Tries every way in which the missing answers could still come.
TEST(Quorum, DecidesAnElectionExactlyWhenItIsDecided) {
  EXPECT_TRUE(rc::check("won or lost if and only if no missing answer can change it", [] {
    const Voters v = any_voters();
    std::vector<MemberId> missing;
    for (const auto& [id, n] : v.number) {
      if (n >= 4) missing.push_back(id);
    }
    bool can_win = false;
    bool can_lose = false;
    for (std::uint32_t ways = 0; ways < (1u << missing.size()); ++ways) {
      Voters all = v;
      for (auto& [id, n] : all.number) n = n <= 1 ? 1 : 0;  // 0, 1: granted
      for (std::size_t i = 0; i < missing.size(); ++i) all.number[missing[i]] = (ways >> i) & 1;
      const bool won = majority_has(v.configuration.voters, all, 1) &&
                       majority_has(v.configuration.outgoing, all, 1);
      (won ? can_win : can_lose) = true;
    }
    const VoteResult expected =
        can_win && can_lose ? VoteResult::pending : (can_win ? VoteResult::won : VoteResult::lost);
    RC_ASSERT(quorum_vote(v.configuration, [&](MemberId id) -> std::optional<bool> {
                const std::uint64_t n = v.number.at(id);
                if (n >= 4) return std::nullopt;
                return n <= 1;
              }) == expected);
  }));
}

}  // namespace
}  // namespace raftkv::raft
