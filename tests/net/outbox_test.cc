#include "src/net/outbox.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "src/base/prng.h"
#include "tests/net/frames.h"

namespace raftkv::net {
namespace {

std::string gathered(Outbox& outbox) {
  std::string all;
  for (const iovec& piece : outbox.gather())
    all.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
  return all;
}

TEST(Outbox, GathersHeadAndEntriesOfAllFramesInOrder) {
  Outbox outbox(10, 1 << 20);
  ASSERT_TRUE(outbox.push(frame_with_entries(1, {"a", "bb"})));
  ASSERT_TRUE(outbox.push(frame_from(1, "body")));
  EXPECT_EQ(gathered(outbox),
            frame_with_entries(1, {"a", "bb"}).flatten() + frame_from(1, "body").flatten());
}

TEST(Outbox, SharesTheBytesOfEntries) {
  Outbox outbox(10, 1 << 20);
  const raft::Frame frame = frame_with_entries(1, {"payload"});
  ASSERT_TRUE(outbox.push(frame));
  EXPECT_EQ(outbox.gather()[1].iov_base, frame.entries[0].bytes().view().data());
}

TEST(Outbox, GoesOnWhereTheLastWriteStopped) {
  Prng prng(5);
  for (int round = 0; round < 30; ++round) {
    Outbox outbox(1000, 1 << 20);
    std::string expected;
    for (int i = 0; i < 50; ++i) {
      std::vector<std::string> payloads(prng.below(30));
      for (auto& payload : payloads) payload.assign(prng.below(50), 'x');
      const raft::Frame frame = frame_with_entries(1, payloads);
      expected += frame.flatten();
      ASSERT_TRUE(outbox.push(frame));
    }
    std::string written;
    std::size_t finished = 0;
    while (!outbox.empty()) {
      const std::string next = gathered(outbox);
      const std::size_t size = 1 + prng.below(std::min<std::size_t>(next.size(), 5000));
      written += next.substr(0, size);
      finished += outbox.sent(size);
      ASSERT_EQ(outbox.bytes(), expected.size() - written.size());
    }
    EXPECT_EQ(written, expected);
    EXPECT_EQ(finished, 50u);
  }
}

TEST(Outbox, DropsTheNewestFrameWhenItIsFull) {
  Outbox by_number(2, 1 << 20);
  EXPECT_TRUE(by_number.push(frame_from(1, "1")));
  EXPECT_TRUE(by_number.push(frame_from(1, "2")));
  EXPECT_FALSE(by_number.push(frame_from(1, "3")));
  EXPECT_EQ(gathered(by_number), frame_from(1, "1").flatten() + frame_from(1, "2").flatten());

  Outbox by_bytes(100, 1000);
  EXPECT_TRUE(by_bytes.push(frame_from(1, std::string(700, 'x'))));
  EXPECT_FALSE(by_bytes.push(frame_from(1, std::string(700, 'y'))));
  EXPECT_TRUE(by_bytes.push(frame_from(1, "z")));
}

TEST(Outbox, TakesAFrameAloneHoweverLarge) {
  Outbox outbox(100, 1000);
  EXPECT_TRUE(outbox.push(frame_from(1, std::string(5000, 'x'))));
}

TEST(Outbox, KeepsTheNewestWhileNobodyIsConnected) {
  Outbox outbox(100, 1 << 20);
  for (const char* body : {"1", "2", "3"}) EXPECT_TRUE(outbox.push(frame_from(1, body)));
  EXPECT_EQ(outbox.keep_newest(2), 1u);
  EXPECT_EQ(gathered(outbox), frame_from(1, "2").flatten() + frame_from(1, "3").flatten());
  EXPECT_EQ(outbox.bytes(), gathered(outbox).size());
}

}  // namespace
}  // namespace raftkv::net
