#include "src/http/problem.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "src/http/text.h"

namespace raftkv::http {
namespace {

using testing::UnorderedElementsAreArray;

// "code status", as the table of docs/api.md and as the server's have it.
std::vector<std::string> documented_kinds() {
  std::ifstream in(RAFTKV_SOURCE_DIR "/docs/api.md");
  std::vector<std::string> kinds;
  bool in_table = false;
  for (std::string text; std::getline(in, text);) {
    if (text.starts_with("| code | status |")) {
      in_table = true;
    } else if (!text.starts_with('|')) {
      in_table = false;
    } else if (in_table && text.starts_with("| `")) {
      std::string_view rest = text;
      rest.remove_prefix(3);
      std::string kind(cut(rest, '`'));
      rest.remove_prefix(std::min<std::size_t>(3, rest.size()));
      kinds.push_back(kind + " " + std::string(trimmed(cut(rest, '|'))));
    }
  }
  return kinds;
}

TEST(Problems, AreThoseOfTheDocumentation) {
  std::vector<std::string> kinds;
  for (const ProblemKind& kind : problem_kinds()) {
    const std::string redirect = kind.code == "not_leader" ? "307, " : "";
    kinds.push_back(std::string(kind.code) + " " + redirect + std::to_string(kind.status));
  }
  EXPECT_THAT(documented_kinds(), UnorderedElementsAreArray(kinds));
}

TEST(Problems, EachHasACodeOfItsOwnAndAStatusWithAName) {
  std::set<std::string_view> codes;
  for (const ProblemKind& kind : problem_kinds()) {
    EXPECT_TRUE(codes.insert(kind.code).second) << kind.code;
    EXPECT_NE(reason_phrase(kind.status), "Unknown") << kind.code;
  }
}

TEST(Problems, EveryProblemOfTheNodeHasAKind) {
  for (int i = 0; i <= static_cast<int>(replica::Problem::internal); ++i) {
    EXPECT_EQ(problem_kind(code_of(static_cast<replica::Problem>(i))).code,
              code_of(static_cast<replica::Problem>(i)));
  }
}

TEST(Problems, ADocumentSaysWhatIsKnown) {
  EXPECT_EQ(problem_document(problem_kind("timeout"), 504, "no quorum", replica::Effect::unknown,
                             replica::LeaderHint{"n1", "a:1"}),
            R"({"type":"urn:raft-kv:problem:timeout","title":"No answer in time","status":504,)"
            R"("code":"timeout","detail":"no quorum","outcome":"unknown",)"
            R"("leader":{"id":"n1","httpAddr":"a:1"}})");
  EXPECT_EQ(problem_document(problem_kind("no_such_key"), 404, "", std::nullopt, std::nullopt),
            R"({"type":"urn:raft-kv:problem:no_such_key","title":"The key is not there",)"
            R"("status":404,"code":"no_such_key","detail":"The key is not there"})");
}

}  // namespace
}  // namespace raftkv::http
