#include "linearizability/readers/edn.h"

#include <gmock/gmock.h>

#include <string>

namespace raftkv::linearizability {
namespace {

// The one value of a text in its one spelling, or "bad".
std::string spelled(std::string_view text) {
  EdnScanner scanner(text);
  std::string out;
  if (!scanner.spell(out, scanner.next())) return "bad";
  return scanner.next().kind == TokenKind::end ? out : "more than one value";
}

TEST(Edn, SpellsAValueInOneWayOnly) {
  EXPECT_EQ(spelled("[1,2 ,, 3]"), "[1 2 3]");
  EXPECT_EQ(spelled("(1 2)"), "[1 2]");  // EDN: lists and vectors are equal if their elements are
  EXPECT_EQ(spelled("#{3 1 2}"), spelled("#{2 3 1}"));
  EXPECT_EQ(spelled("{:b 2, :a 1}"), "{:a 1 :b 2}");
  EXPECT_EQ(spelled("\"a\\u0041\\n\""), "\"aA\\n\"");
  EXPECT_EQ(spelled("\"a\nb\""), "\"a\\nb\"");
  EXPECT_EQ(spelled("+7"), "7");
  EXPECT_EQ(spelled("7N"), "7");
  EXPECT_EQ(spelled("123456789012345678901234567890N"), "123456789012345678901234567890");
  EXPECT_EQ(spelled("123456789012345678901234567890"), "123456789012345678901234567890");
  EXPECT_EQ(spelled("1.5"), "1.5");
  EXPECT_EQ(spelled("\\c"), "\\c");
  EXPECT_EQ(spelled("\\("), "\\(");
  EXPECT_EQ(spelled("#inst   \"1985\""), "#inst \"1985\"");
  EXPECT_EQ(spelled("-"), "-");
  EXPECT_EQ(spelled("##Inf"), "Inf");
}

TEST(Edn, LeavesCommentsCommasAndDiscardsOut) {
  EXPECT_EQ(spelled("; before\n[1 ; within ]\n 2]"), "[1 2]");
  EXPECT_EQ(spelled("[1 #_ 2 3]"), "[1 3]");
  EXPECT_EQ(spelled("[1 #_ [2 {:a 3}] 4]"), "[1 4]");
  EXPECT_EQ(spelled("[1 #_ #_ 2 3 4]"), "[1 4]");  // the inner discard takes 2, the outer one 3
  EXPECT_EQ(spelled("[1 #_ #inst \"2\" 4]"), "[1 4]");
  EXPECT_EQ(spelled("[1 #_ 2]"), "[1]");
}

TEST(Edn, RefusesWhatDoesNotEndWell) {
  for (const char* text : {"[1 2", "[1 2)", "{:a}", "#{1 ]", "\"abc", "\"\\x\"", "#_", "[#_]", "#",
                           ":", "\\", "]", ""}) {
    EXPECT_EQ(spelled(text), "bad") << text;
  }
}

TEST(Edn, RefusesNestingBeyondItsLimit) {
  EXPECT_EQ(spelled(std::string(kDepthMax, '[') + std::string(kDepthMax, ']')).size(),
            2u * kDepthMax);
  EXPECT_EQ(spelled(std::string(10'000, '[') + std::string(10'000, ']')), "bad");
  std::string discards;
  for (int i = 0; i < 10'000; ++i) discards += "#_ ";
  EXPECT_EQ(spelled(discards + "1 2"), "bad");
}

TEST(Edn, CountsLines) {
  EdnScanner scanner("1\n; two\n\n\"a\nb\" #_ \n 5 6");
  EXPECT_EQ(scanner.next().integer, 1);
  EXPECT_EQ(scanner.line(), 1u);
  EXPECT_EQ(scanner.next().text, "a\nb");
  EXPECT_EQ(scanner.line(), 5u);
  EXPECT_EQ(scanner.next().integer, 6);
  EXPECT_EQ(scanner.line(), 6u);
}

}  // namespace
}  // namespace raftkv::linearizability
