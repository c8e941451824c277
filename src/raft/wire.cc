#include "src/raft/wire.h"

#include <algorithm>
#include <array>
#include <utility>

#include "src/base/check.h"
#include "src/base/checksum.h"

namespace raftkv::raft {
namespace {

constexpr std::size_t kSizeField = 4;
constexpr std::size_t kVersionAt = 4;
constexpr std::size_t kKindAt = 5;
constexpr std::size_t kHeadSizeAt = 8;
constexpr std::size_t kEntryCountAt = 12;
constexpr std::size_t kChecksumAt = 16;
constexpr std::size_t kRouteAt = 24;

// Room for the body of any message but a snapshot's chunk.
constexpr std::size_t kUsualBodySize = 64;

std::uint64_t checksum_of(std::string_view head) {
  return checksum64(head.substr(kRouteAt), checksum64(head.substr(0, kChecksumAt)));
}

// Begins a head: of what it says of the whole frame only finish() knows, when the body is behind
// it.
std::string begin_head(const Route& route, Term term, std::size_t body_size) {
  std::string head;
  head.reserve(kFrameHeaderSize + body_size);
  head.append(kRouteAt, '\0');
  ByteWriter out(head);
  out.u64(route.cluster.value);
  out.u64(route.from.value);
  out.u64(route.from_incarnation.value);
  out.u64(route.to.value);
  out.u64(route.to_incarnation.value);
  out.u64(term.value);
  CHECK(head.size() == kFrameHeaderSize);
  return head;
}

Frame finish(FrameKind kind, std::string head, std::vector<Entry> entries) {
  Frame frame{std::move(head), std::move(entries)};
  const std::size_t size = frame.size();
  CHECK(size <= kFrameSizeMax, "a frame is larger than its receiver would take");
  char* const at = frame.head.data();
  put_u32(at, static_cast<std::uint32_t>(size - kSizeField));
  at[kVersionAt] = static_cast<char>(kWireVersion);
  at[kKindAt] = static_cast<char>(kind);
  put_u32(at + kHeadSizeAt, static_cast<std::uint32_t>(frame.head.size()));
  put_u32(at + kEntryCountAt, static_cast<std::uint32_t>(frame.entries.size()));
  put_u64(at + kChecksumAt, checksum_of(frame.head));
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

void read_install_snapshot(InstallSnapshot& m, const SharedBytes& body, ByteReader& in) {
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
}

// Fields are read one statement each: the order of evaluation within an expression is not fixed.
void read_body(Message& message, FrameKind kind, const SharedBytes& body, ByteReader& in,
               std::vector<Entry> entries) {
  switch (kind) {
    case FrameKind::pre_vote: {
      auto& m = message.emplace<PreVote>();
      m.next_term = Term(in.u64());
      m.last_log_index = Index(in.u64());
      m.last_log_term = Term(in.u64());
      m.candidate_address = in.sized();
      return;
    }
    case FrameKind::pre_vote_reply: {
      auto& m = message.emplace<PreVoteReply>();
      m.next_term = Term(in.u64());
      m.vote_granted = read_flag(in);
      return;
    }
    case FrameKind::request_vote: {
      auto& m = message.emplace<RequestVote>();
      m.last_log_index = Index(in.u64());
      m.last_log_term = Term(in.u64());
      m.leadership_transfer = read_flag(in);
      m.candidate_address = in.sized();
      return;
    }
    case FrameKind::request_vote_reply: {
      auto& m = message.emplace<RequestVoteReply>();
      m.vote_granted = read_flag(in);
      return;
    }
    case FrameKind::append_entries: {
      auto& m = message.emplace<AppendEntries>();
      m.prev_log_index = Index(in.u64());
      m.prev_log_term = Term(in.u64());
      m.leader_commit = Index(in.u64());
      m.read_round = ReadRound(in.u64());
      m.leader_address = in.sized();
      m.entries = std::move(entries);
      return;
    }
    case FrameKind::append_entries_reply: {
      auto& m = message.emplace<AppendEntriesReply>();
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
      return;
    }
    case FrameKind::timeout_now:
      message.emplace<TimeoutNow>();
      return;
    case FrameKind::install_snapshot:
      return read_install_snapshot(message.emplace<InstallSnapshot>(), body, in);
    case FrameKind::install_snapshot_reply: {
      auto& m = message.emplace<InstallSnapshotReply>();
      m.stream = StreamId(in.u64());
      m.next_chunk = in.u64();
      m.installed = Index(in.u64());
      m.failed = read_flag(in);
      return;
    }
    case FrameKind::forward:
    case FrameKind::forward_reply:
      break;
  }
  in.fail();
}

bool known(std::uint8_t kind) {
  const auto is = [kind](FrameKind k) { return kind == static_cast<std::uint8_t>(k); };
  return (kind >= static_cast<std::uint8_t>(FrameKind::pre_vote) &&
          kind <= static_cast<std::uint8_t>(FrameKind::install_snapshot_reply)) ||
         is(FrameKind::forward) || is(FrameKind::forward_reply);
}

// The last part of every header.
void read_route_and_term(ByteReader& header, ReceivedFrame& out) {
  out.route.cluster = ClusterId(header.u64());
  out.route.from = MemberId(header.u64());
  out.route.from_incarnation = Incarnation(header.u64());
  out.route.to = MemberId(header.u64());
  out.route.to_incarnation = Incarnation(header.u64());
  out.term = Term(header.u64());
  CHECK(header.done());
}

Status parse_entries(const SharedBytes& frame, std::size_t at, std::uint32_t count,
                     std::vector<Entry>& entries) {
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
  return {};
}

}  // namespace

std::size_t Frame::size() const {
  std::size_t size = head.size();
  for (const Entry& entry : entries) size += entry.size();
  return size;
}

std::string Frame::flatten() && {
  return entries.empty() ? std::move(head) : std::as_const(*this).flatten();
}

std::string Frame::flatten() const& {
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
  std::string head = begin_head(route, term, body.size());
  head.append(body);
  return finish(kind, std::move(head), {});
}

Result<ReceivedFrame> parse_frame(SharedBytes frame) {
  const std::string_view in = frame.view();
  if (in.size() < kFrameHeaderSize)
    return failure(ErrorCode::corrupt, "frame: shorter than its header");
  if (get_u32(in.data()) != in.size() - kSizeField) {
    return failure(ErrorCode::corrupt, "frame: its size field and its size differ");
  }
  // The version comes before all that depends on it, the checksum included.
  if (static_cast<std::uint8_t>(in[kVersionAt]) != kWireVersion) {
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
  ByteReader header(in.substr(kKindAt, kFrameHeaderSize - kKindAt));
  const std::uint8_t kind = header.u8();
  if (!known(kind))
    return failure(ErrorCode::unsupported, "frame: of a kind that this build does not know");
  if (header.u16() != 0) return failure(ErrorCode::corrupt, "frame: a reserved field is set");
  header.u32();  // head size, read above
  const std::uint32_t entry_count = header.u32();
  header.u64();  // checksum, checked above

  Result<ReceivedFrame> parsed;
  ReceivedFrame& out = *parsed;
  out.kind = static_cast<FrameKind>(kind);
  read_route_and_term(header, out);
  if (entry_count > 0 && out.kind != FrameKind::append_entries) {
    parsed = failure(ErrorCode::corrupt, "frame: entries behind a kind that has none");
    return parsed;
  }
  out.body = frame.slice(kFrameHeaderSize, head_size - kFrameHeaderSize);
  if (const Status entries = parse_entries(frame, head_size, entry_count, out.entries); !entries)
    parsed = failure(entries);
  return parsed;
}

Frame encode(Envelope envelope) {
  std::string head = begin_head(envelope.route, envelope.term, kUsualBodySize);
  const FrameKind kind = std::visit(BodyWriter{ByteWriter(head)}, envelope.message);
  auto* append = std::get_if<AppendEntries>(&envelope.message);
  return finish(kind, std::move(head), append ? std::move(append->entries) : std::vector<Entry>{});
}

Result<Envelope> decode(ReceivedFrame frame) {
  Result<Envelope> envelope;
  envelope->route = frame.route;
  envelope->term = frame.term;
  ByteReader in(frame.body.view());
  read_body(envelope->message, frame.kind, frame.body, in, std::move(frame.entries));
  if (!in.done()) envelope = failure(ErrorCode::corrupt, "frame: its body does not fit its kind");
  return envelope;
}

Result<Envelope> decode(const Frame& frame) {
  const std::string_view head = frame.head;
  CHECK(head.size() >= kFrameHeaderSize, "a frame that nobody has made");
  ReceivedFrame sent;
  sent.kind = static_cast<FrameKind>(head[kKindAt]);
  ByteReader header(head.substr(kRouteAt, kFrameHeaderSize - kRouteAt));
  read_route_and_term(header, sent);
  sent.body = SharedBytes({}, head.substr(kFrameHeaderSize));
  sent.entries = frame.entries;
  return decode(std::move(sent));
}

}  // namespace raftkv::raft
