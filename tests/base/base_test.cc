#include <gtest/gtest.h>

#include <set>

#include "src/base/bytes.h"
#include "src/base/check.h"
#include "src/base/checksum.h"
#include "src/base/number.h"
#include "src/base/prng.h"
#include "src/base/result.h"

namespace raftkv {
namespace {

TEST(Bytes, ReadBackWhatWasWritten) {
  std::string out;
  ByteWriter writer(out);
  writer.u8(7);
  writer.u16(0xbeef);
  writer.u32(0xdeadbeef);
  writer.u64(0x0123456789abcdefULL);
  writer.sized("value");
  ByteReader reader(out);
  EXPECT_EQ(reader.u8(), 7);
  EXPECT_EQ(reader.u16(), 0xbeef);
  EXPECT_EQ(reader.u32(), 0xdeadbeefu);
  EXPECT_EQ(reader.u64(), 0x0123456789abcdefULL);
  EXPECT_EQ(reader.sized(), "value");
  EXPECT_TRUE(reader.done());
}

TEST(Bytes, AreLittleEndianOnDiskAndWire) {
  std::string out;
  ByteWriter(out).u32(0x01020304);
  EXPECT_EQ(out, std::string("\x04\x03\x02\x01"));
}

TEST(Bytes, ReaderRefusesEveryPrefix) {
  std::string out;
  ByteWriter writer(out);
  writer.u64(1);
  writer.sized("abc");
  for (std::size_t n = 0; n < out.size(); ++n) {
    ByteReader reader(std::string_view(out).substr(0, n));
    reader.u64();
    reader.sized();
    EXPECT_FALSE(reader.done()) << n;
  }
}

TEST(Bytes, ReaderFailsForGoodOnALengthThatLies) {
  std::string out;
  ByteWriter writer(out);
  writer.u32(0xffffffff);
  writer.raw("short");
  ByteReader reader(out);
  EXPECT_EQ(reader.sized(), "");
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.u8(), 0);
  EXPECT_FALSE(reader.ok());
}

TEST(Bytes, OrderedNumbersSortAsTheirBytes) {
  Prng prng(1);
  for (int i = 0; i < 1000; ++i) {
    const auto a = prng.next() >> prng.below(64);
    const auto b = prng.next() >> prng.below(64);
    char left[8];
    char right[8];
    put_u64_ordered(left, a);
    put_u64_ordered(right, b);
    EXPECT_EQ(a < b, std::string_view(left, 8) < std::string_view(right, 8));
    EXPECT_EQ(get_u64_ordered(left), a);
  }
}

TEST(Checksum, MatchesPublishedValues) {
  EXPECT_EQ(checksum64(""), 0x2d06800538d394c2ULL);       // XXH3-64 of nothing
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);            // the CRC-32C check value
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);  // RFC 3720, B.4
  const std::string text = "however the bytes are cut, the checksum is that of all";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    EXPECT_EQ(crc32c(text.substr(cut), crc32c(text.substr(0, cut))), crc32c(text)) << cut;
  }
}

TEST(Prng, GivesTheSameDrawsForEver) {
  Prng prng(42);
  EXPECT_EQ(prng.next(), 1546998764402558742ULL);
  EXPECT_EQ(prng.next(), 6990951692964543102ULL);
}

TEST(Prng, BelowReachesEveryValueAndNoOther) {
  Prng prng(3);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(prng.below(7));
  EXPECT_EQ(seen.size(), 7u);
  EXPECT_EQ(*seen.rbegin(), 6u);
}

TEST(Prng, StreamsDoNotDependOnEachOthersDraws) {
  Prng one(9);
  const auto first = one.split(1).next();
  one.next();
  EXPECT_EQ(one.split(1).next(), first);
  EXPECT_NE(one.split(2).next(), first);
}

TEST(Number, CountsWithoutMixing) {
  using A = Number<struct ATag>;
  EXPECT_EQ(A(3).next(), A(4));
  EXPECT_EQ(A(4) - A(1), 3u);
  EXPECT_EQ(A(4) + 2, A(6));
  EXPECT_FALSE(A());
}

TEST(NumberDeathTest, HasNothingBeforeZero) {
  using A = Number<struct ATag>;
  EXPECT_DEATH((void)A().prev(), "CHECK failed");
}

TEST(Result, CarriesASentence) {
  const Status bad = failure(ErrorCode::corrupt, "slot 0 has a bad checksum");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().message, "slot 0 has a bad checksum");
  EXPECT_EQ(to_string(bad.error().code), "corrupt");
}

}  // namespace
}  // namespace raftkv
