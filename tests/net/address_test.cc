#include "src/net/address.h"

#include <gtest/gtest.h>

namespace raftkv::net {
namespace {

TEST(Address, ReadsWhatPeopleWrite) {
  EXPECT_EQ(*parse_host_port("127.0.0.1:8089"), (HostPort{"127.0.0.1", 8089}));
  EXPECT_EQ(*parse_host_port("db1.example:1"), (HostPort{"db1.example", 1}));
  EXPECT_EQ(*parse_host_port("[::1]:65535"), (HostPort{"::1", 65535}));
  EXPECT_EQ(*parse_host_port("localhost:0"), (HostPort{"localhost", 0}));
}

TEST(Address, WritesWhatItReads) {
  for (const std::string text : {"127.0.0.1:8089", "[::1]:80", "db1.example:1"}) {
    EXPECT_EQ(to_string(*parse_host_port(text)), text);
  }
}

TEST(Address, RefusesAllElseWithASentence) {
  for (const std::string_view text : {"",
                                      ":",
                                      "8089",
                                      "localhost",
                                      "localhost:",
                                      ":8089",
                                      "localhost:http",
                                      "localhost:65536",
                                      "localhost:-1",
                                      "localhost:+1",
                                      "localhost: 1",
                                      "::1:8089",
                                      "[]:1",
                                      "[::1:8089",
                                      "a b:1",
                                      "http://host:1",
                                      "user@host:1",
                                      "host:1:",
                                      "host:99999999999999999999",
                                      "\n:1"}) {
    const auto parsed = parse_host_port(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::invalid);
    EXPECT_NE(parsed.error().message.find("HOST:PORT"), std::string::npos)
        << parsed.error().message;
  }
}

}  // namespace
}  // namespace raftkv::net
