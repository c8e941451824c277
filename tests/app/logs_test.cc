#include "src/app/logs.h"

#include <gtest/gtest.h>

namespace raftkv::app {
namespace {

TEST(Logs, QuotedValuesStayOnOneLine) {
  EXPECT_EQ(quoted("plain"), "\"plain\"");
  EXPECT_EQ(quoted("a \"b\"\\\n"), "\"a \\\"b\\\"\\\\\\u000a\"");
}

TEST(Logs, PairsBecomeMembers) {
  EXPECT_EQ(json_line("T", "info", "event=role role=leader term=3"),
            R"({"time":"T","level":"info","event":"role","role":"leader","term":"3"})");
}

TEST(Logs, QuotedPairsKeepTheirBlanks) {
  EXPECT_EQ(json_line("T", "warn", R"(event=x reason="no \"space\" left" id=n1)"),
            R"({"time":"T","level":"warn","event":"x","reason":"no \"space\" left","id":"n1"})");
}

TEST(Logs, WhatIsNoPairIsTheMessage) {
  EXPECT_EQ(json_line("T", "info", "hello there =x event=e"),
            R"({"time":"T","level":"info","event":"e","message":"hello there =x"})");
  EXPECT_EQ(json_line("T", "info", ""), R"({"time":"T","level":"info"})");
  EXPECT_EQ(json_line("T", "info", "reason=\"open"),
            R"({"time":"T","level":"info","reason":"open"})");
}

}  // namespace
}  // namespace raftkv::app
