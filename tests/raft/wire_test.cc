#include "src/raft/wire.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "src/base/prng.h"
#include "src/raft/configuration.h"

namespace raftkv::raft {
namespace {

std::uint64_t any_number() {
  return *rc::gen::arbitrary<std::uint64_t>();
}
bool any_flag() {
  return *rc::gen::arbitrary<bool>();
}

Entry any_entry(Index index) {
  const Term term(1 + any_number() % 100);
  const auto payload = *rc::gen::arbitrary<std::string>();
  return Entry::seal(EntryDraft::copy_of(EntryKind::command, payload), term, index);
}

Configuration any_configuration() {
  Configuration c;
  const int members = *rc::gen::inRange(1, 8);
  for (int i = 1; i <= members; ++i) {
    c.members.push_back({.id = MemberId(static_cast<std::uint64_t>(i) * 3),
                         .instance = InstanceId(any_number()),
                         .name = *rc::gen::string<std::string>(),
                         .http_address = "h",
                         .raft_address = "r",
                         .replaces = MemberId(any_flag() ? 3 : 0)});
    if (i == 1 || any_flag()) c.voters.push_back(c.members.back().id);
    if (any_flag()) c.outgoing.push_back(c.members.back().id);
  }
  if (any_flag()) c.removed.push_back(InstanceId(any_number()));
  return c;
}

InstallSnapshot any_snapshot() {
  InstallSnapshot m;
  m.snapshot.last_included_index = Index(any_number());
  m.snapshot.last_included_term = Term(any_number());
  m.snapshot.configuration_index = Index(any_number());
  if (any_flag()) m.snapshot.configuration = any_configuration();
  m.stream = StreamId(any_number());
  m.chunk = any_number();
  m.last = any_flag();
  m.contents_digest = any_number();
  m.leader_address = *rc::gen::arbitrary<std::string>();
  m.data = SharedBytes::from(*rc::gen::arbitrary<std::string>());
  return m;
}

Message any_message() {
  switch (*rc::gen::inRange(0, 9)) {
    case 0: {
      PreVote m;
      m.next_term = Term(any_number());
      m.last_log_index = Index(any_number());
      m.last_log_term = Term(any_number());
      return m;
    }
    case 1: {
      PreVoteReply m;
      m.next_term = Term(any_number());
      m.vote_granted = any_flag();
      return m;
    }
    case 2: {
      RequestVote m;
      m.last_log_index = Index(any_number());
      m.last_log_term = Term(any_number());
      m.leadership_transfer = any_flag();
      return m;
    }
    case 3: {
      return RequestVoteReply{any_flag()};
    }
    case 4: {
      AppendEntries m;
      m.prev_log_index = Index(any_number() % 1000);
      m.prev_log_term = Term(any_number());
      m.leader_commit = Index(any_number());
      m.read_round = ReadRound(any_number());
      m.leader_address = *rc::gen::arbitrary<std::string>();
      const int count = *rc::gen::inRange(0, 4);
      for (int i = 0; i < count; ++i)
        m.entries.push_back(
            any_entry(Index(m.prev_log_index.value + 1 + static_cast<std::uint64_t>(i))));
      return m;
    }
    case 5: {
      AppendEntriesReply m;
      m.match_index = Index(any_number());
      m.read_round = ReadRound(any_number());
      if (any_flag()) {
        AppendEntriesReply::Conflict c;
        c.prev_log_index = Index(any_number());
        c.hint_index = Index(any_number());
        c.hint_term = Term(any_number());
        m.conflict = c;
      }
      m.snapshot_wanted = any_flag();
      return m;
    }
    case 6:
      return any_snapshot();
    case 7: {
      InstallSnapshotReply m;
      m.stream = StreamId(any_number());
      m.next_chunk = any_number();
      m.installed = Index(any_number());
      m.failed = any_flag();
      return m;
    }
    default:
      return TimeoutNow{};
  }
}

Envelope any_envelope() {
  Envelope e;
  e.route.cluster = ClusterId(any_number());
  e.route.from = MemberId(any_number());
  e.route.from_incarnation = Incarnation(any_number());
  e.route.to = MemberId(any_number());
  e.route.to_incarnation = Incarnation(any_number());
  e.term = Term(any_number());
  e.message = any_message();
  return e;
}

Result<Envelope> read(std::string bytes) {
  auto frame = parse_frame(SharedBytes::from(std::move(bytes)));
  if (!frame) return failure(frame);
  return decode(std::move(*frame));
}

TEST(Wire, RoundTripsEveryMessage) {
  EXPECT_TRUE(rc::check("decode(encode(m)) encodes to the same bytes", [] {
    const Envelope e = any_envelope();
    const std::string bytes = encode(e).flatten();
    RC_ASSERT(frame_size(bytes).value() == bytes.size());
    auto back = read(bytes);
    RC_ASSERT(back.has_value());
    RC_ASSERT(back->message.index() == e.message.index());
    RC_ASSERT(encode(std::move(*back)).flatten() == bytes);
  }));
}

TEST(Wire, SaysTheSameOfAFrameThatWasJustMade) {
  EXPECT_TRUE(rc::check("decode(frame) encodes to the same bytes", [] {
    const Frame frame = encode(any_envelope());
    auto said = decode(frame);
    RC_ASSERT(said.has_value());
    RC_ASSERT(encode(std::move(*said)).flatten() == frame.flatten());
  }));
}

TEST(Wire, RefusesEveryChangedByte) {
  EXPECT_TRUE(rc::check("one byte differs", [] {
    const std::string bytes = encode(any_envelope()).flatten();
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ (1 << *rc::gen::inRange(0, 8)));
      RC_ASSERT(!read(changed));
    }
  }));
}

TEST(Wire, RefusesEveryPrefixAndWhatIsTooLong) {
  EXPECT_TRUE(rc::check("bytes are missing or too many", [] {
    const std::string bytes = encode(any_envelope()).flatten();
    for (std::size_t n = 0; n < bytes.size(); ++n) RC_ASSERT(!read(bytes.substr(0, n)));
    RC_ASSERT(!read(bytes + "x"));
  }));
}

TEST(Wire, KeepsWhatASnapshotSays) {
  InstallSnapshot sent;
  sent.snapshot = {.last_included_index = Index(9),
                   .last_included_term = Term(4),
                   .configuration_index = Index(5),
                   .configuration = bootstrap_configuration("n1", InstanceId(7), "h", "r")};
  sent.stream = StreamId(3);
  sent.chunk = 12;
  sent.last = true;
  sent.contents_digest = 77;
  sent.leader_address = "r";
  sent.data = SharedBytes::from("pairs");
  const auto back = read(encode({{}, Term(4), sent}).flatten());
  ASSERT_TRUE(back.has_value());
  const auto& m = std::get<InstallSnapshot>(back->message);
  EXPECT_EQ(m.snapshot, sent.snapshot);
  EXPECT_EQ(m.stream, sent.stream);
  EXPECT_EQ(m.chunk, 12u);
  EXPECT_TRUE(m.last);
  EXPECT_EQ(m.contents_digest, 77u);
  EXPECT_EQ(m.leader_address, "r");
  EXPECT_EQ(m.data.view(), "pairs");
}

TEST(Wire, NamesAVersionThatItDoesNotSpeak) {
  std::string bytes = encode({{}, Term(1), TimeoutNow{}}).flatten();
  bytes[4] = 2;
  const auto result = read(bytes);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::unsupported);
}

TEST(Wire, RefusesSizesThatNoFrameHas) {
  std::string first(4, '\0');
  EXPECT_FALSE(frame_size(first));
  put_u32(first.data(), 0xffffffff);
  EXPECT_FALSE(frame_size(first));
  put_u32(first.data(), kFrameHeaderSize - 4);
  EXPECT_EQ(frame_size(first).value(), kFrameHeaderSize);
}

TEST(Wire, SurvivesAnyBytes) {
  Prng prng(5);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes(prng.below(200), '\0');
    for (char& c : bytes) c = static_cast<char>(prng.next());
    if (bytes.size() >= 4) put_u32(bytes.data(), static_cast<std::uint32_t>(bytes.size() - 4));
    if (bytes.size() >= 5) bytes[4] = 1;
    EXPECT_FALSE(read(bytes));
  }
}

TEST(EntryBytes, AreRefusedWhenChangedOrCut) {
  const Entry entry =
      Entry::seal(EntryDraft::copy_of(EntryKind::command, "payload"), Term(3), Index(9));
  const std::string bytes(entry.bytes().view());
  ASSERT_EQ(Entry::decode(SharedBytes::from(bytes))->payload(), "payload");
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      EXPECT_FALSE(Entry::decode(SharedBytes::from(changed))) << i;
    }
    EXPECT_FALSE(Entry::decode(SharedBytes::from(bytes.substr(0, i))));
  }
}

TEST(EntryBytes, AreAsDocumented) {
  const Entry entry = Entry::seal(EntryDraft::copy_of(EntryKind::noop, ""), Term(2), Index(5));
  const std::string_view b = entry.bytes().view();
  EXPECT_EQ(b.size(), kEntryHeaderSize);
  EXPECT_EQ(b.substr(8, 8), std::string_view("\x02\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(b.substr(16, 8), std::string_view("\x05\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(b.substr(24, 8), std::string_view("\0\0\0\0\x01\x01\0\0", 8));
}

TEST(ConfigurationBytes, RoundTripAndRefuseEveryPrefix) {
  EXPECT_TRUE(rc::check("configurations", [] {
    const Configuration c = any_configuration();
    std::string bytes;
    c.encode(bytes);
    const auto back = Configuration::decode(bytes);
    RC_ASSERT(back.has_value());
    RC_ASSERT(*back == c);
    for (std::size_t n = 0; n < bytes.size(); ++n)
      RC_ASSERT(!Configuration::decode(bytes.substr(0, n)));
  }));
}

}  // namespace
}  // namespace raftkv::raft
