#include "src/base/marks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace raftkv {
namespace {

using ::testing::ElementsAre;

TEST(Marks, HaveNamesOfTheirOwnAndSaySourceAndMeaning) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kMarks; ++i) {
    const MarkText& text = text_of(static_cast<Mark>(i));
    EXPECT_EQ(text.mark, static_cast<Mark>(i)) << text.name;
    EXPECT_TRUE(names.insert(text.name).second) << text.name << " is there twice";
    EXPECT_FALSE(text.source.empty()) << text.name;
    EXPECT_FALSE(text.what.empty()) << text.name;
    // In reports and as a label: words.
    EXPECT_TRUE(std::ranges::all_of(text.name, [](char c) {
      return c == ' ' || (c >= 'a' && c <= 'z');
    })) << text.name;
  }
  EXPECT_GE(kMarks, 80u);
}

TEST(Marks, AreASetOfBits) {
  const auto last = static_cast<Mark>(kMarks - 1);
  MarkSet set;
  EXPECT_FALSE(set.any());
  set.set(last);
  EXPECT_TRUE(set.any());
  EXPECT_TRUE(set.test(last));
  EXPECT_FALSE(set.test(Mark::pre_vote_lost));

  MarkSet other;
  other.set(Mark::pre_vote_lost);
  set |= other;
  std::vector<Mark> found;
  set.for_each([&](Mark mark) { found.push_back(mark); });
  EXPECT_THAT(found, ElementsAre(Mark::pre_vote_lost, last));

  set.clear();
  EXPECT_EQ(set, MarkSet());
}

}  // namespace
}  // namespace raftkv
