// The format of a backup: what is written is read back, and nothing else is.
#include "src/replica/backup.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/checksum.h"
#include "src/base/prng.h"
#include "src/replica/state_store.h"

namespace raftkv::replica {
namespace {

constexpr raft::ClusterId kCluster(77);

raft::Entry command(std::uint64_t index, const std::string& key, const std::string& value) {
  return raft::Entry::seal(raft::EntryDraft(raft::EntryKind::command, kv::encode_set(key, value)),
                           raft::Term(3), raft::Index(index));
}

// A state of which entry 1 is the configuration.
struct State {
  explicit State(int keys, std::size_t value_size = 10) {
    EXPECT_TRUE(store.load());
    std::string configuration;
    raft::bootstrap_configuration("node01", raft::InstanceId(5), "h:1", "h:2")
        .encode(configuration);
    std::vector entries = {
        raft::Entry::seal(raft::EntryDraft::copy_of(raft::EntryKind::configuration, configuration),
                          raft::Term(2), raft::Index(1))};
    for (int i = 0; i < keys; ++i) {
      entries.push_back(command(entries.size() + 1, "key" + std::to_string(i),
                                std::string(value_size, static_cast<char>('a' + i % 26))));
    }
    EXPECT_TRUE(store.apply(entries));
  }

  std::string backup(std::size_t piece_size = 64) {
    BackupEncoder encoder(kCluster, store.open_snapshot().value());
    std::string file;
    for (;;) {
      const std::string piece = encoder.next(piece_size).value();
      if (piece.empty()) return file;
      file += piece;
    }
  }

  kv::MemoryStore contents;
  StateStore store{contents};
};

struct Decoded {
  Status status;
  std::string pairs;
  BackupTotals totals;
  std::optional<BackupHeader> header;
  int last_chunks = 0;
};

// In pieces of these sizes, again and again.
Decoded decode(std::string_view file, std::vector<std::size_t> sizes = {1u << 20}) {
  Decoded out;
  BackupDecoder decoder;
  for (std::size_t n = 0; !file.empty(); ++n) {
    std::string_view piece = file.substr(0, sizes[n % sizes.size()]);
    file.remove_prefix(piece.size());
    while (!piece.empty()) {
      const auto chunk = decoder.take(piece);
      if (!chunk) {
        out.status = failure(chunk);
        return out;
      }
      if (!*chunk) continue;
      out.pairs += (*chunk)->data;
      out.last_chunks += (*chunk)->last ? 1 : 0;
    }
  }
  out.status = decoder.finish();
  out.totals = decoder.totals();
  out.header = decoder.header();
  return out;
}

TEST(Backup, IsTheStateAndSaysWhoseItIs) {
  for (const int keys : {0, 1, 100}) {
    State state(keys);
    const Decoded decoded = decode(state.backup());
    ASSERT_TRUE(decoded.status) << decoded.status.error().message;
    EXPECT_EQ(decoded.last_chunks, 1);
    EXPECT_EQ(decoded.header->cluster, kCluster);
    EXPECT_EQ(decoded.header->applied, raft::Index(static_cast<std::uint64_t>(keys) + 1));
    EXPECT_EQ(decoded.header->applied_term, raft::Term(keys == 0 ? 2 : 3));
    EXPECT_EQ(decoded.header->configuration.members.front().name, "node01");
    EXPECT_EQ(decoded.totals.pairs, static_cast<std::uint64_t>(keys) + 1);
    EXPECT_EQ(decoded.totals.contents_digest, kv::contents_digest(state.contents).value());
    // What a snapshot's receiver makes of the pairs is the same state.
    kv::MemoryStore other;
    SnapshotWriter writer(other);
    ASSERT_TRUE(writer.add(decoded.pairs));
    ASSERT_TRUE(writer.complete(decoded.totals.contents_digest));
    EXPECT_EQ(other.contents(), state.contents.contents());
  }
}

TEST(Backup, IsTheSameHoweverItIsCut) {
  State state(50);
  const std::string file = state.backup();
  const Decoded whole = decode(file);
  Prng prng(1);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::size_t> sizes;
    for (int i = 0; i < 7; ++i) sizes.push_back(1 + prng.below(round < 5 ? 2 : 90));
    const Decoded decoded = decode(file, sizes);
    ASSERT_TRUE(decoded.status) << decoded.status.error().message;
    EXPECT_EQ(decoded.pairs, whole.pairs);
    EXPECT_EQ(decoded.totals, whole.totals);
  }
  for (const std::size_t piece : {1u, 100u, 1u << 20}) {
    EXPECT_EQ(decode(state.backup(piece)).pairs, whole.pairs);
  }
}

TEST(Backup, IsAViewOfOneMoment) {
  State state(20);
  BackupEncoder encoder(kCluster, state.store.open_snapshot().value());
  std::string file = encoder.next(64).value();
  const std::vector later = {command(22, "key19", "later"), command(23, "key7777", "later")};
  ASSERT_TRUE(state.store.apply(later));
  for (std::string piece; !(piece = encoder.next(64).value()).empty();) file += piece;
  const Decoded decoded = decode(file);
  ASSERT_TRUE(decoded.status);
  EXPECT_EQ(decoded.header->applied, raft::Index(21));
  EXPECT_EQ(decoded.pairs.find("later"), std::string::npos);
  EXPECT_EQ(encoder.totals(), decoded.totals);
}

TEST(Backup, ThatIsCutShortAnywhereIsNone) {
  State state(12);
  const std::string file = state.backup();
  for (std::size_t size = 0; size < file.size(); ++size) {
    EXPECT_FALSE(decode(std::string_view(file).substr(0, size)).status) << size;
  }
  EXPECT_TRUE(decode(file).status);
}

TEST(Backup, WithOneFlippedBitIsNone) {
  State state(8);
  std::string file = state.backup();
  for (std::size_t at = 0; at < file.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      const char flip = static_cast<char>(1 << bit);
      file[at] = static_cast<char>(file[at] ^ flip);
      EXPECT_FALSE(decode(file).status) << "byte " << at << " bit " << bit;
      file[at] = static_cast<char>(file[at] ^ flip);
    }
  }
}

TEST(Backup, WithAnythingBehindItsEndIsNone) {
  State state(3);
  const std::string file = state.backup();
  for (const std::size_t size : {1u, 15u, 16u, 100u}) {
    EXPECT_FALSE(decode(file + std::string(size, '\0')).status) << size;
  }
  EXPECT_FALSE(decode(file + file).status);
}

// Where the blocks of a backup begin, and its end.
std::vector<std::size_t> borders(const std::string& file) {
  std::vector<std::size_t> at = {kBackupMagic.size()};
  while (at.back() < file.size()) {
    at.push_back(at.back() + 16 + get_u32(file.data() + at.back() + 8));
  }
  return at;
}

TEST(Backup, WithoutOrWithTwiceABlockIsNone) {
  State state(30);
  const std::string file = state.backup();
  const auto at = borders(file);
  ASSERT_GT(at.size(), 6u);
  for (std::size_t i = 0; i + 1 < at.size(); ++i) {
    const std::string block = file.substr(at[i], at[i + 1] - at[i]);
    EXPECT_FALSE(decode(file.substr(0, at[i]) + file.substr(at[i + 1])).status) << i;
    EXPECT_FALSE(decode(file.substr(0, at[i]) + block + file.substr(at[i])).status) << i;
  }
}

TEST(Backup, OfAnotherOnesBlocksIsNone) {
  State one(30);
  State other(30, 11);
  const std::string file = one.backup();
  const std::string foreign = other.backup();
  const auto at = borders(file);
  const auto there = borders(foreign);
  const std::size_t blocks = std::min(at.size(), there.size());
  ASSERT_GT(blocks, 6u);
  for (std::size_t i = 1; i + 1 < blocks; ++i) {  // their headers are the same
    const std::string block = foreign.substr(there[i], there[i + 1] - there[i]);
    EXPECT_FALSE(decode(file.substr(0, at[i]) + block + file.substr(at[i + 1])).status) << i;
  }
}

// Checksums that hold, over what does not: each block is sealed anew.
std::string resealed(std::string file) {
  const auto at = borders(file);
  std::uint64_t checksum = 0;
  for (std::size_t i = 0; i + 1 < at.size(); ++i) {
    const std::string_view block(file.data() + at[i] + 8, at[i + 1] - at[i] - 8);
    checksum = checksum64(block, checksum);
    put_u64(file.data() + at[i], checksum);
  }
  return file;
}

TEST(Backup, WhoseChecksumsHoldIsStillHeldAgainstItsEndAndItsRecord) {
  State state(8);
  const std::string file = state.backup();
  ASSERT_EQ(resealed(file), file);
  for (std::size_t at = kBackupMagic.size(); at < file.size(); ++at) {
    const auto starts = borders(file);
    const bool in_head = std::ranges::any_of(
        starts, [&](std::size_t start) { return at >= start && at < start + 12; });
    if (in_head) continue;  // a checksum, or a size
    std::string changed = file;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    const Decoded decoded = decode(resealed(changed));
    // Only the name of the cluster stands nowhere else.
    const bool cluster = at >= starts[0] + 16 + 4 && at < starts[0] + 16 + 12;
    EXPECT_EQ(decoded.status.has_value(), cluster) << at;
  }
}

TEST(Backup, OfNoiseIsNone) {
  Prng prng(3);
  State state(8);
  const std::string file = state.backup();
  for (int round = 0; round < 2000; ++round) {
    std::string noise = round % 2 == 0 ? file.substr(0, prng.below(file.size())) : std::string();
    const std::size_t size = 1 + prng.below(200);
    for (std::size_t i = 0; i < size; ++i) noise.push_back(static_cast<char>(prng.below(256)));
    EXPECT_FALSE(decode(noise, {1 + prng.below(64)}).status);
  }
}

TEST(Backup, OfANewerVersionOrNoBackupSaysSo) {
  State state(1);
  std::string file = state.backup();
  const Status foreign = decode("{\"foo\":1} and some more").status;
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code, ErrorCode::invalid);
  file[kBackupMagic.size() + 16] = 2;
  const Status newer = decode(resealed(file)).status;
  ASSERT_FALSE(newer);
  EXPECT_EQ(newer.error().code, ErrorCode::unsupported);
}

}  // namespace
}  // namespace raftkv::replica
