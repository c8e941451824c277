#include "linearizability/cli/options.h"

#include <gtest/gtest.h>

namespace raftkv::linearizability {
namespace {

using namespace std::chrono_literals;

TEST(Options, ReadsDurations) {
  EXPECT_EQ(parse_duration("90s"), 90s);
  EXPECT_EQ(parse_duration("90"), 90s);
  EXPECT_EQ(parse_duration("1.5m"), 90s);
  EXPECT_EQ(parse_duration("200ms"), 200ms);
  EXPECT_EQ(parse_duration("2h"), 2h);
  EXPECT_EQ(parse_duration("0"), 0s);
  for (const char* wrong : {"", "s", "-1s", "3 s", "3d", "nan", "1e30h"})
    EXPECT_FALSE(parse_duration(wrong)) << wrong;
}

TEST(Options, ReadsSizes) {
  EXPECT_EQ(parse_size("1000000"), 1'000'000u);
  EXPECT_EQ(parse_size("512MiB"), 512u << 20);
  EXPECT_EQ(parse_size("512M"), 512u << 20);
  EXPECT_EQ(parse_size("1.5GB"), 1'500'000'000u);
  for (const char* wrong : {"", "MiB", "-1", "0", "3 MiB", "3TB"})
    EXPECT_FALSE(parse_size(wrong)) << wrong;
}

}  // namespace
}  // namespace raftkv::linearizability
