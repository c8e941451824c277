// Times without an acknowledged write.
#include "tests/chaos/figures.h"

#include <gtest/gtest.h>

namespace raftkv::chaos {
namespace {

constexpr Nanos kSecond = 1'000'000'000;

Operation ended(Kind kind, End end, double at) {
  Operation op;
  op.kind = kind;
  op.end = end;
  op.returned = static_cast<Nanos>(at * kSecond);
  op.invoked = op.returned - 1;
  return op;
}
Operation write_at(double at) {
  return ended(Kind::put, End::ok, at);
}
Band fault(std::string what, int from, int to, bool quorum) {
  return {.name = "",
          .what = std::move(what),
          .from = from * kSecond,
          .to = to * kSecond,
          .quorum = quorum};
}

TEST(Gaps, AreTimesWithoutAnAcknowledgedWrite) {
  const std::vector<Operation> operations = {write_at(1), ended(Kind::get, End::ok, 4),
                                             ended(Kind::put, End::info, 6), write_at(8),
                                             write_at(12)};
  const auto gaps = gaps_of(operations, {}, 14 * kSecond, 5 * kSecond);
  ASSERT_EQ(gaps.size(), 1u);
  EXPECT_EQ(gaps[0].from, 1 * kSecond);
  EXPECT_EQ(gaps[0].to, 8 * kSecond);
  EXPECT_EQ(gaps[0].silence, 3 * kSecond);  // 1 to 4
  EXPECT_EQ(gaps_of(operations, {}, 14 * kSecond, 7 * kSecond).size(), 0u);
}

TEST(Gaps, ReachFromTheBeginningAndToTheEnd) {
  const auto gaps = gaps_of({write_at(6)}, {}, 12 * kSecond, 5 * kSecond);
  ASSERT_EQ(gaps.size(), 2u);
  EXPECT_EQ(gaps[0].to, 6 * kSecond);
  EXPECT_EQ(gaps[1].to, 12 * kSecond);
}

TEST(Gaps, CountOnlyWithAQuorum) {
  const std::vector<Band> bands = {fault("kill n1,n2,n3", 2, 8, false)};
  EXPECT_EQ(gaps_of({write_at(1)}, bands, 13 * kSecond, 5 * kSecond).size(), 0u);
  EXPECT_EQ(gaps_of({write_at(1)}, bands, 14 * kSecond, 5 * kSecond).size(), 1u);
}

TEST(Gaps, NameTheFaultsThatWereOnOrJustOver) {
  const std::vector<Band> bands = {fault("long over", 0, 2, true), fault("just over", 3, 6, true),
                                   fault("on", 12, 14, true), fault("later", 19, 20, true)};
  const auto gaps = gaps_of({write_at(8), write_at(18)}, bands, 20 * kSecond, 9 * kSecond);
  ASSERT_EQ(gaps.size(), 1u);
  ASSERT_EQ(gaps[0].faults.size(), 2u);
  EXPECT_EQ(gaps[0].faults[0].what, "just over");
  EXPECT_EQ(gaps[0].faults[1].what, "on");
}

}  // namespace
}  // namespace raftkv::chaos
