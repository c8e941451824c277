#include "sim/tally.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace raftkv::sim {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr Mark kEarly = Mark::chunk_came_early;
constexpr Mark kLost = Mark::pre_vote_lost;

SeedResult seed(std::uint64_t number, std::initializer_list<Mark> marks = {}) {
  SeedResult result;
  result.seed = number;
  result.events = 100;
  result.operations = 10;
  result.lively = 1;
  result.simulated = 20s;
  for (const Mark mark : marks) result.marks.set(mark);
  return result;
}

Tally tally_of(std::initializer_list<SeedResult> results) {
  Tally tally;
  for (const SeedResult& result : results) tally.add(result);
  return tally;
}

TEST(Tally, CountsHowManySeedsCameToAMarkAndWhichDidFirst) {
  // Two processes take turns: seeds come in any order.
  const Tally tally = tally_of({seed(3, {kEarly}), seed(1), seed(2, {kEarly, kLost})});
  EXPECT_EQ(tally.count(kEarly).seeds, 2u);
  EXPECT_EQ(tally.count(kEarly).first, 2u);
  EXPECT_EQ(tally.count(kLost).seeds, 1u);
  EXPECT_EQ(tally.unreached().size(), kMarks - 2);
  EXPECT_THAT(tally.unreached(), Not(Contains(kEarly)));
  EXPECT_THAT(tally.ranges(), ElementsAre(SeedRange{1, 3}));
  EXPECT_THAT(tally.marks_table(), HasSubstr("       2          2  chunk came early "));
  EXPECT_THAT(tally.summary(), HasSubstr("seeds=3 failed=0 lively=3 undecided=0 events=300"));
}

TEST(Tally, SaysWhichSeedsWereNotRun) {
  const Tally tally = tally_of({seed(1), seed(7), seed(2), seed(6), seed(9)});
  EXPECT_THAT(tally.ranges(), ElementsAre(SeedRange{1, 2}, SeedRange{6, 7}, SeedRange{9, 9}));
  EXPECT_THAT(tally.gaps(), ElementsAre(SeedRange{3, 5}, SeedRange{8, 8}));
}

TEST(Tally, OfPartsIsThatOfTheWhole) {
  SeedResult failing = seed(4, {kLost});
  set_violated(failing, "I6");
  Tally whole = tally_of({seed(1), seed(2, {kEarly}), seed(3, {kLost}), failing});
  Tally one = tally_of({seed(3, {kLost}), failing});
  Tally other = tally_of({seed(1), seed(2, {kEarly})});
  whole.took(30s, 1);
  one.took(20s, 1);
  other.took(10s, 1);
  ASSERT_TRUE(one.merge(other));
  EXPECT_EQ(one.marks_table(), whole.marks_table());
  EXPECT_EQ(one.seeds(), 4u);
  EXPECT_THAT(one.gaps(), IsEmpty());
  ASSERT_EQ(one.failed().size(), 1u);
  EXPECT_EQ(one.failed().front().invariant, "I6");
  // Parts may run at the same time: as long as the longest, and as much work as all.
  EXPECT_THAT(one.summary(), HasSubstr("wall=20.0s (4 simulated seconds a second) (3 of each"));
}

TEST(Tally, RefusesPartsThatDoNotAddUp) {
  Tally tally = tally_of({seed(1), seed(2), seed(3)});
  const Status twice = tally.merge(tally_of({seed(5), seed(3)}));
  ASSERT_FALSE(twice);
  EXPECT_THAT(twice.error().message, HasSubstr("seed 3 is in two parts"));
  Tally longer({.nodes = 0, .duration = 60s});
  longer.add(seed(9));
  EXPECT_FALSE(tally.merge(longer));
  EXPECT_EQ(tally.seeds(), 3u);
}

TEST(Tally, ComesBackFromItsJson) {
  Tally tally({.nodes = 3, .duration = 5s});
  SeedResult failing = seed(8, {kEarly});
  set_violated(failing, "CHECK");
  tally.add(failing);
  tally.add(seed(2));
  tally.took(1500ms, 2);
  const auto back = Tally::from_json(tally.to_json());
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->to_json(), tally.to_json());
  EXPECT_EQ(back->summary(), tally.summary());
  EXPECT_THAT(tally.to_json(), HasSubstr("raftkv-sim run --seed 8 --nodes 3 --duration 5s"));
}

TEST(Tally, RefusesWhatIsNoResult) {
  const std::string good = tally_of({seed(1)}).to_json();
  const auto with = [&](std::string_view what, std::string_view instead) {
    std::string text = good;
    text.replace(text.find(what), what.size(), instead);
    return Tally::from_json(text).has_value();
  };
  EXPECT_TRUE(with("\"events\":100", "\"events\":101"));
  EXPECT_FALSE(with("\"events\":100", "\"events\":\"100\""));
  EXPECT_FALSE(with("\"events\"", "\"occurrences\""));
  EXPECT_FALSE(with("\"version\":1", "\"version\":2"));
  EXPECT_FALSE(with("\"first\":1,\"last\":1", "\"first\":2,\"last\":1"));
  EXPECT_FALSE(with("pre vote lost", "pre vote found"));
  EXPECT_FALSE(Tally::from_json("").has_value());
  EXPECT_FALSE(Tally::from_json("[]").has_value());
}

}  // namespace
}  // namespace raftkv::sim
