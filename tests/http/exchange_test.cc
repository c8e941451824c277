// What the table of conversations cannot see: memory, and what an exchange says that it waits for.
#include "src/http/exchange.h"

#include <gtest/gtest.h>

#include "tests/http/conversation.h"

namespace raftkv::http {
namespace {

using Phase = Exchange::Phase;

TEST(ExchangeMemory, OfALargeBodyIsGivenBack) {
  PureWorld world;
  world.send("PUT /key/a HTTP/1.1\r\nHost: n\r\nContent-Length: 90000\r\n\r\n" +
             std::string(89'999, 'v'));
  EXPECT_GE(world.exchange().memory(), 90'000u);
  world.send("v");
  EXPECT_EQ(world.exchange().requests(), 1u);
  EXPECT_LT(world.exchange().memory(), 20'000u);
}

TEST(ExchangeMemory, GrowsWithWhatHasArrivedNotWithWhatWasAnnounced) {
  PureWorld world;
  world.send("PUT /key/a HTTP/1.1\r\nHost: n\r\nContent-Length: 90000\r\n\r\nv");
  EXPECT_LT(world.exchange().memory(), 4'096u);
}

TEST(ExchangeMemory, OfTinyChunksIsThatOfTheirData) {
  PureWorld world(1000);
  world.send("PUT /key/a HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 20'000; ++i) world.send("1;x=yyyyyyyyyyyyyyyy\r\nv\r\n");
  EXPECT_LT(world.exchange().memory(), 100'000u);
}

TEST(ExchangeMemory, OfAnswersThatWaitCounts) {
  PureWorld world;
  world.send("PUT /key/a HTTP/1.1\r\nHost: n\r\nContent-Length: 90000\r\n\r\n" +
             std::string(90'000, 'v'));
  world.set_mood("holds");
  const std::string get = "GET /key/a?raw HTTP/1.1\r\nHost: n\r\n\r\n";
  world.send(get + get);
  const std::size_t before = world.exchange().memory();
  world.set_mood("releases last");
  EXPECT_GE(world.exchange().memory(), before + 90'000);
}

TEST(ExchangePhase, SaysWhatItWaitsFor) {
  PureWorld world;
  EXPECT_EQ(world.exchange().phase(), Phase::idle);
  world.send("PUT /key/a HTTP/1.1\r\n");
  EXPECT_EQ(world.exchange().phase(), Phase::header);
  world.send("Host: n\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(world.exchange().phase(), Phase::body);
  world.set_mood("holds");
  world.send("ab");
  EXPECT_EQ(world.exchange().phase(), Phase::node);
  world.set_mood("releases");
  EXPECT_EQ(world.exchange().phase(), Phase::output);
  EXPECT_FALSE(world.received([](std::string_view) { return true; }).empty());
  EXPECT_EQ(world.exchange().phase(), Phase::idle);
  world.end_of_input();
  EXPECT_EQ(world.exchange().phase(), Phase::closed);
}

TEST(ExchangePhase, StartsNothingMoreWhileTheClientDoesNotTakeItsAnswers) {
  ExchangeLimits limits;
  limits.output_bytes_max = 1;
  PureWorld world(SIZE_MAX, limits);
  world.set_mood("holds");
  const std::string get = "GET /key/a HTTP/1.1\r\nHost: n\r\n\r\n";
  world.send(get);
  world.set_mood("releases");
  EXPECT_FALSE(world.exchange().reads());  // an answer waits
  EXPECT_FALSE(world.received([](std::string_view) { return true; }).empty());
  EXPECT_TRUE(world.exchange().reads());
}

}  // namespace
}  // namespace raftkv::http
