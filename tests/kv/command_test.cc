#include "src/kv/command.h"

#include <gtest/gtest.h>

namespace raftkv::kv {
namespace {

std::string payload_of(const Command& command) {
  return encode(command).substr(kCommandHeadroom);
}

std::vector<SetView::Pair> pairs_of(const Result<CommandView>& decoded) {
  std::vector<SetView::Pair> out;
  if (!decoded || !std::holds_alternative<SetView>(*decoded)) return out;
  for (const auto& pair : std::get<SetView>(*decoded)) out.push_back(pair);
  return out;
}

TEST(Command, LeavesRoomForTheHeaderOfTheEntry) {
  const std::string encoded = encode(Delete{"k"});
  EXPECT_EQ(encoded.substr(0, kCommandHeadroom), std::string(kCommandHeadroom, '\0'));
}

TEST(Command, HasTheDocumentedBytes) {
  EXPECT_EQ(payload_of(Set{{{"k", "va"}}}),
            std::string("\x01\x01\0\0\x01\0\0\0\x01\0\0\0k\x02\0\0\0va", 19));
  EXPECT_EQ(payload_of(Delete{"k"}), std::string("\x01\x02\0\0\x01\0\0\0k", 9));
}

TEST(Command, ReadsBackPairsInOrder) {
  const std::string payload = payload_of(Set{{{"b", "1"}, {"a", ""}, {std::string(1, '\0'), "3"}}});
  const auto decoded = decode(payload);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(std::get<SetView>(*decoded).size(), 3u);
  EXPECT_EQ(pairs_of(decoded),
            (std::vector<SetView::Pair>{{"b", "1"}, {"a", ""}, {std::string_view("\0", 1), "3"}}));
}

TEST(Command, BorrowsTheBytesItWasDecodedFrom) {
  const std::string payload = payload_of(Set{{{"key", "value"}}});
  const auto value = pairs_of(decode(payload)).at(0).second;
  EXPECT_GE(value.data(), payload.data());
  EXPECT_LE(value.data() + value.size(), payload.data() + payload.size());
}

TEST(Command, EncodesOnePairAsASetOfOne) {
  EXPECT_EQ(encode_set("key", "value"), encode(Set{{{"key", "value"}}}));
}

TEST(Command, RefusesKeysOfNoLegalSize) {
  std::string longest = payload_of(Delete{std::string(kKeySizeMax, 'k')});
  EXPECT_TRUE(decode(longest));
  longest.push_back('k');
  longest[4] = 1;  // 2048 is 00 08, 2049 is 01 08
  EXPECT_EQ(decode(longest).error().code, ErrorCode::corrupt);
  EXPECT_EQ(decode(std::string("\x01\x02\0\0\0\0\0\0", 8)).error().code, ErrorCode::corrupt);
}

TEST(Command, RefusesASetOfNothingAndACountThatLies) {
  EXPECT_EQ(decode(std::string("\x01\x01\0\0\0\0\0\0", 8)).error().code, ErrorCode::corrupt);
  std::string payload = payload_of(Set{{{"k", "v"}}});
  payload[7] = '\x7f';  // two billion pairs
  EXPECT_EQ(decode(payload).error().code, ErrorCode::corrupt);
}

TEST(Command, SaysThatItIsOfANewerVersion) {
  std::string payload = payload_of(Delete{"k"});
  payload[0] = 2;
  EXPECT_EQ(decode(payload).error().code, ErrorCode::unsupported);
  payload[0] = 1;
  payload[1] = 3;
  EXPECT_EQ(decode(payload).error().code, ErrorCode::unsupported);
}

TEST(CommandDeathTest, EncodingAnIllegalCommandIsABug) {
  EXPECT_DEATH((void)encode(Set{}), "CHECK failed");
  EXPECT_DEATH((void)encode(Delete{""}), "CHECK failed");
  EXPECT_DEATH((void)encode_set(std::string(kKeySizeMax + 1, 'k'), "v"), "CHECK failed");
}

}  // namespace
}  // namespace raftkv::kv
