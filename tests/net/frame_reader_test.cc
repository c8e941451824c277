#include "src/net/frame_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "src/base/prng.h"
#include "tests/net/frames.h"

namespace raftkv::net {
namespace {

// A connection whose bytes come in pieces.
class Stream {
 public:
  // What the next read() of a socket would do with at most `most` of these bytes.
  Status read(std::string_view& bytes, std::size_t most) {
    const auto space = reader_.space();
    std::size_t total = 0;
    for (const auto part : space) {
      const std::size_t size = std::min({part.size(), bytes.size(), most - total});
      if (size == 0) continue;
      std::memcpy(part.data(), bytes.data(), size);
      bytes.remove_prefix(size);
      total += size;
    }
    return reader_.received(total, sink_);
  }
  Status read_all(std::string_view bytes, std::size_t most) {
    while (!bytes.empty()) {
      if (auto ok = read(bytes, most); !ok) return ok;
    }
    return {};
  }

  std::vector<SharedBytes> frames;
  std::optional<Error> refuse_with;
  const FrameReader& reader() const { return reader_; }

 private:
  FrameReader reader_;
  FrameReader::Sink sink_ = [this](SharedBytes frame) -> Status {
    if (refuse_with) return std::unexpected(*refuse_with);
    frames.push_back(std::move(frame));
    return {};
  };
};

std::string body(std::size_t size, std::uint64_t seed) {
  Prng prng(seed);
  std::string bytes(size, '\0');
  std::ranges::generate(bytes, [&] { return static_cast<char>(prng.below(256)); });
  return bytes;
}

TEST(FrameReader, CutsFramesHoweverTheirBytesCome) {
  std::vector<std::string> bodies;
  std::string stream;
  for (const std::size_t size :
       {0u, 1u, 100u, 16'000u, 17'000u, 64'000u, 70'000u, 3u, 300'000u, 2u}) {
    bodies.push_back(body(size, size + 1));
    stream += frame_from(1, bodies.back()).flatten();
  }
  for (const std::size_t piece : {1u, 7u, 71u, 72u, 73u, 4096u, 65'536u, 1'000'000u}) {
    Stream reader;
    ASSERT_TRUE(reader.read_all(stream, piece)) << piece;
    ASSERT_EQ(reader.frames.size(), bodies.size()) << piece;
    for (std::size_t i = 0; i < bodies.size(); ++i)
      EXPECT_EQ(body_of(reader.frames[i]), bodies[i]) << piece;
    EXPECT_FALSE(reader.reader().inside_frame());
  }
}

TEST(FrameReader, CutsFramesAtRandomPlaces) {
  Prng prng(11);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::string> bodies;
    std::string stream;
    for (int i = 0; i < 20; ++i) {
      const std::size_t size = prng.chance(1, 5) ? prng.below(200'000) : prng.below(300);
      bodies.push_back(body(size, prng.next()));
      stream += frame_from(1, bodies.back()).flatten();
    }
    Stream reader;
    std::string_view rest = stream;
    while (!rest.empty()) ASSERT_TRUE(reader.read(rest, 1 + prng.below(100'000)));
    ASSERT_EQ(reader.frames.size(), bodies.size());
    for (std::size_t i = 0; i < bodies.size(); ++i) EXPECT_EQ(body_of(reader.frames[i]), bodies[i]);
  }
}

TEST(FrameReader, SaysThatTheRestOfAFrameIsMissing) {
  const std::string whole = frame_from(1, "body").flatten();
  Stream reader;
  ASSERT_TRUE(reader.read_all(std::string_view(whole).substr(0, whole.size() - 1), 1000));
  EXPECT_TRUE(reader.reader().inside_frame());
  EXPECT_TRUE(reader.frames.empty());
}

TEST(FrameReader, RefusesASizeThatNoFrameHas) {
  for (const std::uint32_t size : {0u, 1u, 60u, 64u << 20, 0xffffffffu}) {
    std::string bytes = frame_from(1, "body").flatten();
    put_u32(bytes.data(), size);
    Stream reader;
    const auto read = reader.read_all(bytes, 1000);
    ASSERT_FALSE(read) << size;
    EXPECT_EQ(read.error().code, ErrorCode::invalid);
  }
}

TEST(FrameReader, RefusesAnotherVersionBeforeItsBytesCome) {
  std::string bytes = frame_from(1, "body").flatten();
  put_u32(bytes.data(), 60u << 20);
  bytes[4] = 2;
  Stream reader;
  const auto read = reader.read_all(std::string_view(bytes).substr(0, 5), 1000);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::unsupported);
}

TEST(FrameReader, HandsOnWhatTheSinkSays) {
  Stream reader;
  reader.refuse_with = Error{ErrorCode::corrupt, "not this one"};
  const auto read = reader.read_all(frame_from(1, "body").flatten(), 1000);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().message, "not this one");
}

TEST(FrameReader, FramesStayWhenTheReaderIsGone) {
  std::vector<SharedBytes> kept;
  {
    Stream reader;
    ASSERT_TRUE(reader.read_all(
        frame_from(1, "small").flatten() + frame_from(1, body(100'000, 4)).flatten(), 50'000));
    kept = reader.frames;
  }
  ASSERT_EQ(kept.size(), 2u);
  EXPECT_EQ(body_of(kept[0]), "small");
  EXPECT_EQ(body_of(kept[1]), body(100'000, 4));
}

}  // namespace
}  // namespace raftkv::net
