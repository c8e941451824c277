#include "src/raft/wire.h"

#include <algorithm>
#include <array>
#include <utility>

#include "src/base/check.h"
#include "src/base/checksum.h"

namespace raftkv::raft {
namespace {

constexpr std::size_t kSizeField = 4;
constexpr std::size_t kHeadSizeAt = 8;
constexpr std::size_t kEntryCountAt = 12;
constexpr std::size_t kChecksumAt = 16;
constexpr std::size_t kRouteAt = 24;

std::uint64_t checksum_of(std::string_view head) {
  return checksum64(head.substr(kRouteAt), checksum64(head.substr(0, kChecksumAt)));
}

// The head with room for sizes and checksum, which finish() fills in once the body is behind it.
std::string begin_head(FrameKind kind, const Route& route, Term term, std::size_t body_size) {
  std::string head;
  head.reserve(kFrameHeaderSize + body_size);
  ByteWriter out(head);
  out.u32(0);
  out.u8(kWireVersion);
  out.u8(static_cast<std::uint8_t>(kind));
  out.u16(0);
  out.u32(0);
  out.u32(0);
  out.u64(0);
  out.u64(route.cluster.value);
  out.u64(route.from.value);
  out.u64(route.from_incarnation.value);
  out.u64(route.to.value);
  out.u64(route.to_incarnation.value);
  out.u64(term.value);
  CHECK(head.size() == kFrameHeaderSize);
  return head;
}

Frame finish(std::string head, std::vector<Entry> entries) {
  Frame frame{std::move(head), std::move(entries)};
  const std::size_t size = frame.size();
  CHECK(size <= kFrameSizeMax, "a frame is larger than its receiver would take");
  put_u32(frame.head.data(), static_cast<std::uint32_t>(size - kSizeField));
  put_u32(&frame.head[kHeadSizeAt], static_cast<std::uint32_t>(frame.head.size()));
  put_u32(&frame.head[kEntryCountAt], static_cast<std::uint32_t>(frame.entries.size()));
  put_u64(&frame.head[kChecksumAt], checksum_of(frame.head));
  return frame;
}

constexpr std::uint8_t kHasConflict = 1;
constexpr std::uint8_t kSnapshotWanted = 2;

struct BodyWriter {
  ByteWriter out;

  FrameKind operator()(const PreVote& m) {
    out.u64(m.next_term.value);
    out.u64(m.last_log_index.value);
    out.u64(m.last_log_term.value);
    out.sized(m.candidate_address);
    return FrameKind::pre_vote;
  }
  FrameKind operator()(const PreVoteReply& m) {
    out.u64(m.next_term.value);
    out.u8(m.vote_granted ? 1 : 0);
    return FrameKind::pre_vote_reply;
  }
  FrameKind operator()(const RequestVote& m) {
    out.u64(m.last_log_index.value);
    out.u64(m.last_log_term.value);
    out.u8(m.leadership_transfer ? 1 : 0);
    out.sized(m.candidate_address);
    return FrameKind::request_vote;
  }
  FrameKind operator()(const RequestVoteReply& m) {
    out.u8(m.vote_granted ? 1 : 0);
    return FrameKind::request_vote_reply;
  }
  FrameKind operator()(const AppendEntries& m) {
    out.u64(m.prev_log_index.value);
    out.u64(m.prev_log_term.value);
    out.u64(m.leader_commit.value);
    out.u64(m.read_round.value);
    out.sized(m.leader_address);
    return FrameKind::append_entries;
  }
  FrameKind operator()(const AppendEntriesReply& m) {
    out.u64(m.match_index.value);
    out.u64(m.read_round.value);
    out.u8(static_cast<std::uint8_t>((m.conflict ? kHasConflict : 0) |
                                     (m.snapshot_wanted ? kSnapshotWanted : 0)));
    if (m.conflict) {
      out.u64(m.conflict->prev_log_index.value);
      out.u64(m.conflict->hint_index.value);
      out.u64(m.conflict->hint_term.value);
    }
    return FrameKind::append_entries_reply;
  }
  FrameKind operator()(const TimeoutNow&) { return FrameKind::timeout_now; }
  FrameKind operator()(const InstallSnapshot& m) {
    out.u64(m.snapshot.last_included_index.value);
    out.u64(m.snapshot.last_included_term.value);
    out.u64(m.snapshot.configuration_index.value);
    std::string configuration;
    m.snapshot.configuration.encode(configuration);
    out.sized(configuration);
    out.u64(m.stream.value);
    out.u64(m.chunk);
    out.u8(m.last ? 1 : 0);
    out.u64(m.contents_digest);
    out.sized(m.leader_address);
    out.sized(m.data.view());
    return FrameKind::install_snapshot;
  }
  FrameKind operator()(const InstallSnapshotReply& m) {
    out.u64(m.stream.value);
    out.u64(m.next_chunk);
    out.u64(m.installed.value);
    out.u8(m.failed ? 1 : 0);
    return FrameKind::install_snapshot_reply;
  }
};

bool read_flag(ByteReader& in) {
  const std::uint8_t flag = in.u8();
  if (flag > 1) in.fail();
  return flag == 1;
}

InstallSnapshot read_install_snapshot(const SharedBytes& body, ByteReader& in) {
  InstallSnapshot m;
  m.snapshot.last_included_index = Index(in.u64());
  m.snapshot.last_included_term = Term(in.u64());
  m.snapshot.configuration_index = Index(in.u64());
  auto configuration = Configuration::decode(in.sized());
  if (configuration) {
    m.snapshot.configuration = std::move(*configuration);
  } else {
    in.fail();
  }
  m.stream = StreamId(in.u64());
  m.chunk = in.u64();
  m.last = read_flag(in);
  m.contents_digest = in.u64();
  m.leader_address = in.sized();
  const std::size_t size = in.sized().size();
  if (in.done()) m.data = body.slice(body.size() - size, size);  // shared with the frame
  return m;
}

// Fields are read one statement each: the order of evaluation within an expression is not fixed.
Message read_body(FrameKind kind, const SharedBytes& body, ByteReader& in,
                  std::vector<Entry> entries) {
  switch (kind) {
    case FrameKind::pre_vote: {
      PreVote m;
      m.next_term = Term(in.u64());
      m.last_log_index = Index(in.u64());
      m.last_log_term = Term(in.u64());
      m.candidate_address = in.sized();
      return m;
    }
    case FrameKind::pre_vote_reply: {
      PreVoteReply m;
      m.next_term = Term(in.u64());
      m.vote_granted = read_flag(in);
      return m;
    }
    case FrameKind::request_vote: {
      RequestVote m;
      m.last_log_index = Index(in.u64());
      m.last_log_term = Term(in.u64());
      m.leadership_transfer = read_flag(in);
      m.candidate_address = in.sized();
      return m;
    }
    case FrameKind::request_vote_reply: {
      RequestVoteReply m;
      m.vote_granted = read_flag(in);
      return m;
    }
    case FrameKind::append_entries: {
      AppendEntries m;
      m.prev_log_index = Index(in.u64());
      m.prev_log_term = Term(in.u64());
      m.leader_commit = Index(in.u64());
      m.read_round = ReadRound(in.u64());
      m.leader_address = in.sized();
      m.entries = std::move(entries);
      return m;
    }
    case FrameKind::append_entries_reply: {
      AppendEntriesReply m;
      m.match_index = Index(in.u64());
      m.read_round = ReadRound(in.u64());
      const std::uint8_t flags = in.u8();
      if (flags > (kHasConflict | kSnapshotWanted)) in.fail();
      m.snapshot_wanted = (flags & kSnapshotWanted) != 0;
      if ((flags & kHasConflict) != 0) {
        AppendEntriesReply::Conflict conflict;
        conflict.prev_log_index = Index(in.u64());
        conflict.hint_index = Index(in.u64());
        conflict.hint_term = Term(in.u64());
        m.conflict = conflict;
      }
      return m;
    }
    case FrameKind::timeout_now:
      return TimeoutNow{};
    case FrameKind::install_snapshot:
      return read_install_snapshot(body, in);
    case FrameKind::install_snapshot_reply: {
      InstallSnapshotReply m;
      m.stream = StreamId(in.u64());
      m.next_chunk = in.u64();
      m.installed = Index(in.u64());
      m.failed = read_flag(in);
      return m;
    }
    case FrameKind::forward:
    case FrameKind::forward_reply:
      break;
  }
  in.fail();
  return TimeoutNow{};
}

bool known(std::uint8_t kind) {
  const auto is = [kind](FrameKind k) { return kind == static_cast<std::uint8_t>(k); };
  return (kind >= static_cast<std::uint8_t>(FrameKind::pre_vote) &&
          kind <= static_cast<std::uint8_t>(FrameKind::install_snapshot_reply)) ||
         is(FrameKind::forward) || is(FrameKind::forward_reply);
}

Result<std::vector<Entry>> parse_entries(const SharedBytes& frame, std::size_t at,
                                         std::uint32_t count) {
  std::vector<Entry> entries;
  entries.reserve(std::min<std::size_t>(count, (frame.size() - at) / kEntryHeaderSize));
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto size = Entry::size_at_front(frame.view().substr(at));
    if (!size) return failure(size);
    auto entry = Entry::decode(frame.slice(at, *size));
    if (!entry) return failure(entry);
    entries.push_back(std::move(*entry));
    at += *size;
  }
  if (at != frame.size())
    return failure(ErrorCode::corrupt, "frame: bytes left over behind its entries");
  return entries;
}

}  // namespace

std::size_t Frame::size() const {
  std::size_t size = head.size();
  for (const Entry& entry : entries) size += entry.size();
  return size;
}

std::string Frame::flatten() const {
  std::string out;
  out.reserve(size());
  out.append(head);
  for (const Entry& entry : entries) out.append(entry.bytes().view());
  return out;
}

Result<std::size_t> frame_size(std::string_view first_four_bytes) {
  CHECK(first_four_bytes.size() >= kSizeField);
  const std::size_t size = kSizeField + get_u32(first_four_bytes.data());
  if (size < kFrameHeaderSize || size > kFrameSizeMax) {
    return failure(ErrorCode::invalid, "frame: its size is out of bounds; this is no raft-kv peer");
  }
  return size;
}

Frame make_frame(FrameKind kind, const Route& route, Term term, std::string_view body) {
  std::string head = begin_head(kind, route, term, body.size());
  head.append(body);
  return finish(std::move(head), {});
}

Result<ReceivedFrame> parse_frame(SharedBytes frame) {
  const std::string_view in = frame.view();
  if (in.size() < kFrameHeaderSize)
    return failure(ErrorCode::corrupt, "frame: shorter than its header");
  if (get_u32(in.data()) != in.size() - kSizeField) {
    return failure(ErrorCode::corrupt, "frame: its size field and its size differ");
  }
  // The version comes before all that depends on it, the checksum included.
  if (static_cast<std::uint8_t>(in[4]) != kWireVersion) {
    return failure(ErrorCode::unsupported,
                   "frame: of a protocol version that this build does not speak");
  }
  const std::size_t head_size = get_u32(&in[kHeadSizeAt]);
  if (head_size < kFrameHeaderSize || head_size > in.size()) {
    return failure(ErrorCode::corrupt, "frame: the size of its head is out of bounds");
  }
  if (get_u64(&in[kChecksumAt]) != checksum_of(in.substr(0, head_size))) {
    return failure(ErrorCode::corrupt, "frame: bad checksum");
  }
  ByteReader header(in.substr(5, kFrameHeaderSize - 5));
  const std::uint8_t kind = header.u8();
  if (!known(kind))
    return failure(ErrorCode::unsupported, "frame: of a kind that this build does not know");
  if (header.u16() != 0) return failure(ErrorCode::corrupt, "frame: a reserved field is set");
  header.u32();  // head size, read above
  const std::uint32_t entry_count = header.u32();
  header.u64();  // checksum, checked above

  ReceivedFrame out;
  out.kind = static_cast<FrameKind>(kind);
  out.route.cluster = ClusterId(header.u64());
  out.route.from = MemberId(header.u64());
  out.route.from_incarnation = Incarnation(header.u64());
  out.route.to = MemberId(header.u64());
  out.route.to_incarnation = Incarnation(header.u64());
  out.term = Term(header.u64());
  CHECK(header.done());
  if (entry_count > 0 && out.kind != FrameKind::append_entries) {
    return failure(ErrorCode::corrupt, "frame: entries behind a kind that has none");
  }
  out.body = frame.slice(kFrameHeaderSize, head_size - kFrameHeaderSize);
  auto entries = parse_entries(frame, head_size, entry_count);
  if (!entries) return failure(entries);
  out.entries = std::move(*entries);
  return out;
}

Frame encode(Envelope envelope) {
  std::string body;
  const FrameKind kind = std::visit(BodyWriter{ByteWriter(body)}, envelope.message);
  std::string head = begin_head(kind, envelope.route, envelope.term, body.size());
  head.append(body);
  auto* append = std::get_if<AppendEntries>(&envelope.message);
  return finish(std::move(head), append ? std::move(append->entries) : std::vector<Entry>{});
}

Result<Envelope> decode(ReceivedFrame frame) {
  ByteReader in(frame.body.view());
  Message message = read_body(frame.kind, frame.body, in, std::move(frame.entries));
  if (!in.done()) {
    return failure(ErrorCode::corrupt, "frame: its body does not fit its kind");
  }
  return Envelope{frame.route, frame.term, std::move(message)};
}

}  // namespace raftkv::raft
