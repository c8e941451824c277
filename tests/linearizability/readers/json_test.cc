#include "linearizability/readers/json.h"

#include <gmock/gmock.h>

#include <string>

namespace raftkv::linearizability {
namespace {

std::string spelled(std::string_view text) {
  JsonScanner scanner(text);
  std::string out;
  if (!scanner.spell(out, scanner.next())) return "bad";
  return scanner.next().kind == TokenKind::end ? out : "more than one value";
}

TEST(Json, SpellsValuesAsEdnDoes) {
  EXPECT_EQ(spelled("null"), "nil");
  EXPECT_EQ(spelled(" [1, 2,\"a\"] "), "[1 2 \"a\"]");
  EXPECT_EQ(spelled("{\"b\":2,\"a\":[]}"), "{\"a\" [] \"b\" 2}");
  EXPECT_EQ(spelled("-12"), "-12");
  EXPECT_EQ(spelled("1.5e3"), "1.5e3");
}

TEST(Json, ResolvesEscapes) {
  EXPECT_EQ(spelled(R"("\u00e9\/\b")"), "\"é/\\u0008\"");
  EXPECT_EQ(spelled(R"("\ud83d\ude00")"), "\"😀\"");
  for (const char* text : {R"("\ud83d")", R"("\ud83dx")", R"("\ude00")", R"("\u12")", R"("\q")"}) {
    EXPECT_EQ(spelled(text), "bad") << text;
  }
}

TEST(Json, RefusesWhatIsNoJson) {
  for (const char* text : {"[1 2]", "[1,]", "[,1]", "{\"a\" 1}", "{a:1}", "{\"a\":}", "{\"a\":1,}",
                           "[1}", "[", "nul", "+1", "", "]"}) {
    EXPECT_EQ(spelled(text), "bad") << text;
  }
  EXPECT_EQ(spelled(std::string(10'000, '[')), "bad");
}

}  // namespace
}  // namespace raftkv::linearizability
