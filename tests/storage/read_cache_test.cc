#include "src/storage/read_cache.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace raftkv::storage {
namespace {

constexpr std::size_t kBytesMax = 20'000;

TEST(ReadCache, FindsWhatWasPutAndNotErased) {
  ReadCache cache(kBytesMax);
  EXPECT_TRUE(cache.empty());
  EXPECT_EQ(cache.find("a"), nullptr);
  cache.put("a", "1");
  cache.put("b", std::nullopt);
  EXPECT_EQ(*cache.find("a"), "1");
  EXPECT_EQ(*cache.find("b"), std::nullopt) << "known not to be there";
  cache.put("a", "2");
  EXPECT_EQ(*cache.find("a"), "2");
  cache.erase("a");
  EXPECT_EQ(cache.find("a"), nullptr);
  cache.erase("b");
  EXPECT_TRUE(cache.empty());
}

TEST(ReadCache, ForgetsTheOldestFirstAndStaysBounded) {
  ReadCache cache(kBytesMax);
  const auto key = [](int i) { return fmt::format("key{}", i); };
  const std::string value(100, 'x');
  std::size_t most = 0;
  for (int i = 0; i < 1000; ++i) {
    cache.put(key(i), value);
    ASSERT_NE(cache.find(key(i)), nullptr);
    std::size_t bytes = 0;
    int oldest = i;
    for (int j = 0; j <= i; ++j) {
      if (cache.find(key(j)) == nullptr) continue;
      bytes += memory_of(key(j), value);
      oldest = std::min(oldest, j);
    }
    for (int j = oldest; j <= i; ++j) ASSERT_NE(cache.find(key(j)), nullptr) << j << " of " << i;
    ASSERT_LE(bytes, kBytesMax);
    most = std::max(most, bytes);
  }
  EXPECT_GT(most, kBytesMax * 9 / 10);
}

// One that stands in the older half is put again: there is one value of it.
TEST(ReadCache, AKeyHasOneValue) {
  ReadCache cache(kBytesMax);
  cache.put("a", "old");
  const std::string filler(kBytesMax / 2 - memory_of("f", "") - 1, 'x');
  cache.put("f", filler);
  EXPECT_EQ(*cache.find("a"), "old");
  cache.put("a", "new");
  EXPECT_EQ(*cache.find("a"), "new");
  cache.erase("a");
  EXPECT_EQ(cache.find("a"), nullptr);
}

TEST(ReadCache, DoesNotKeepWhatFillsHalfOfIt) {
  ReadCache cache(kBytesMax);
  cache.put("a", "1");
  cache.put("b", std::string(kBytesMax / 2, 'x'));
  EXPECT_EQ(cache.find("b"), nullptr);
  EXPECT_EQ(*cache.find("a"), "1");
}

}  // namespace
}  // namespace raftkv::storage
