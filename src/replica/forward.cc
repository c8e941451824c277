#include "src/replica/forward.h"

#include <array>
#include <type_traits>
#include <utility>

#include "src/base/check.h"
#include "src/raft/configuration.h"

// Layout of a body (little-endian; text is a u32 size and its bytes; an optional is a u8 0 or 1,
// then what it holds). Every byte means something: two different bodies never decode to the same
// thing.
//
//   forward        u8 version (1), u64 ticket, u8 kind of request, its fields
//   forward_reply  u8 version (1), u64 ticket, text node, u64 index, u64 term, optional leader
//   (text name, text
//                  http address), optional u64 last contact in ms, u8 kind of answer, its fields
namespace raftkv::replica {
namespace {

constexpr std::uint8_t kVersion = 1;

enum class WireRequest : std::uint8_t {
  write = 1,
  read = 2,
  join = 3,
  remove = 4,
  transfer = 5,
  get_members = 6,
  get_status = 7,
};

enum class WireAnswer : std::uint8_t {
  written = 1,
  read_result = 2,
  members = 3,
  joined = 4,
  removed = 5,
  transferred = 6,
  node_status = 7,
  failed = 8,
};

// --- writing ---

class Encoder {
 public:
  explicit Encoder(std::string& out) : out_(out) {}

  void flag(bool value) { out_.u8(value ? 1 : 0); }
  void i64(std::int64_t value) { out_.u64(static_cast<std::uint64_t>(value)); }
  template <typename T, typename Write>
  void optional(const std::optional<T>& value, Write write) {
    flag(value.has_value());
    if (value) write(*value);
  }
  ByteWriter& raw() { return out_; }

  void operator()(const Write& r) {
    kind(WireRequest::write);
    CHECK(r.command.size() >= kv::kCommandHeadroom);
    out_.sized(std::string_view(r.command).substr(kv::kCommandHeadroom));
  }
  void operator()(const Read& r) {
    kind(WireRequest::read);
    out_.u8(static_cast<std::uint8_t>(r.level));
    out_.sized(r.key);
  }
  void operator()(const Join& r) {
    kind(WireRequest::join);
    out_.sized(r.name);
    out_.sized(r.http_address);
    out_.sized(r.raft_address);
    out_.u64(r.instance.value);
  }
  void operator()(const Remove& r) {
    kind(WireRequest::remove);
    out_.sized(r.name);
  }
  void operator()(const Transfer& r) {
    kind(WireRequest::transfer);
    out_.sized(r.name);
  }
  void operator()(const GetMembers&) { kind(WireRequest::get_members); }
  void operator()(const GetStatus&) { kind(WireRequest::get_status); }
  void operator()(const Barrier&) { CHECK(false, "a barrier is never passed on"); }

  void operator()(const Written& a) {
    kind(WireAnswer::written);
    out_.u64(a.index.value);
    flag(a.outcome.deleted);
  }
  void operator()(const ReadResult& a) {
    kind(WireAnswer::read_result);
    optional(a.value, [this](const kv::Value& value) {
      out_.u64(value.index);
      out_.sized(value.bytes);
    });
  }
  void operator()(const Members& a) {
    kind(WireAnswer::members);
    members(a);
  }
  void operator()(const Joined& a) {
    kind(WireAnswer::joined);
    out_.u64(a.cluster.value);
    out_.u64(a.member.value);
    members(a.members);
  }
  void operator()(const Removed& a) {
    kind(WireAnswer::removed);
    out_.u64(a.index.value);
  }
  void operator()(const Transferred& a) {
    kind(WireAnswer::transferred);
    out_.sized(a.name);
  }
  void operator()(const NodeStatus& a) {
    kind(WireAnswer::node_status);
    out_.sized(a.name);
    out_.u64(a.member.value);
    out_.u64(a.cluster.value);
    out_.sized(a.role);
    out_.u64(a.term.value);
    out_.u64(a.commit_index.value);
    out_.u64(a.applied_index.value);
    out_.u64(a.first_index.value);
    out_.u64(a.last_index.value);
    out_.u64(a.digest);
    out_.u64(a.incarnation.value);
    i64(a.uptime_ms);
    flag(a.ready);
    out_.sized(a.not_ready);
  }
  void operator()(const Failed& a) {
    kind(WireAnswer::failed);
    out_.u8(static_cast<std::uint8_t>(a.problem));
    out_.u8(static_cast<std::uint8_t>(a.effect));
    out_.sized(a.detail);
  }

 private:
  template <typename Kind>
  void kind(Kind k) {
    out_.u8(static_cast<std::uint8_t>(k));
  }
  void members(const Members& a) {
    out_.u64(a.index.value);
    out_.u16(static_cast<std::uint16_t>(a.members.size()));
    for (const MemberInfo& m : a.members) {
      out_.sized(m.name);
      out_.u64(m.member.value);
      flag(m.voter);
      out_.sized(m.http_address);
      out_.sized(m.raft_address);
      flag(m.leader);
      optional(m.match, [this](Index match) { out_.u64(match.value); });
      optional(m.lag, [this](std::uint64_t lag) { out_.u64(lag); });
      optional(m.last_contact_ms, [this](std::int64_t ms) { i64(ms); });
    }
  }

  ByteWriter out_;
};

// --- reading ---

class Decoder {
 public:
  explicit Decoder(std::string_view in) : in_(in) {}

  ByteReader& raw() { return in_; }
  bool flag() {
    const std::uint8_t value = in_.u8();
    if (value > 1) in_.fail();
    return value == 1;
  }
  std::int64_t i64() { return static_cast<std::int64_t>(in_.u64()); }
  template <typename N>
  N number() {
    return N(in_.u64());
  }
  std::string text() { return std::string(in_.sized()); }
  // A name or an address: what a configuration would not take is refused here.
  std::string member_text() {
    const std::string_view bytes = in_.sized();
    if (bytes.size() > raft::kMemberTextMax) in_.fail();
    return std::string(bytes);
  }
  template <typename Enum>
  Enum enumerator(Enum last) {
    const std::uint8_t value = in_.u8();
    if (value > static_cast<std::uint8_t>(last)) in_.fail();
    return static_cast<Enum>(value);
  }

  Request request();
  Answer answer();

 private:
  Write write();
  Read read();
  Join join();
  Members members();
  MemberInfo member_info();
  NodeStatus node_status();
  Failed failed();
  Joined joined();

  ByteReader in_;
};

Write Decoder::write() {
  const std::string_view payload = in_.sized();
  // A leader appends these bytes as they are, and every node must be able to execute them.
  if (!kv::decode(payload)) in_.fail();
  Write r;
  r.command.reserve(kv::kCommandHeadroom + payload.size());
  r.command.append(kv::kCommandHeadroom, '\0');
  r.command.append(payload);
  return r;
}

Read Decoder::read() {
  Read r;
  r.level = enumerator(Level::stale);
  r.key = text();
  if (r.key.empty() || r.key.size() > kv::kKeySizeMax) in_.fail();
  return r;
}

Join Decoder::join() {
  Join r;
  r.name = member_text();
  r.http_address = member_text();
  r.raft_address = member_text();
  r.instance = number<raft::InstanceId>();
  return r;
}

Request Decoder::request() {
  switch (static_cast<WireRequest>(in_.u8())) {
    case WireRequest::write:
      return write();
    case WireRequest::read:
      return read();
    case WireRequest::join:
      return join();
    case WireRequest::remove:
      return Remove{member_text()};
    case WireRequest::transfer:
      return Transfer{member_text()};
    case WireRequest::get_members:
      return GetMembers{};
    case WireRequest::get_status:
      return GetStatus{};
  }
  in_.fail();
  return GetStatus{};
}

MemberInfo Decoder::member_info() {
  MemberInfo m;
  m.name = text();
  m.member = number<raft::MemberId>();
  m.voter = flag();
  m.http_address = text();
  m.raft_address = text();
  m.leader = flag();
  if (flag()) m.match = number<Index>();
  if (flag()) m.lag = in_.u64();
  if (flag()) m.last_contact_ms = i64();
  return m;
}

Members Decoder::members() {
  Members a;
  a.index = number<Index>();
  const std::size_t count = in_.u16();
  if (count > raft::kMembersMax) in_.fail();
  for (std::size_t i = 0; i < count && in_.ok(); ++i) a.members.push_back(member_info());
  return a;
}

NodeStatus Decoder::node_status() {
  NodeStatus a;
  a.name = text();
  a.member = number<raft::MemberId>();
  a.cluster = number<raft::ClusterId>();
  a.role = text();
  a.term = number<Term>();
  a.commit_index = number<Index>();
  a.applied_index = number<Index>();
  a.first_index = number<Index>();
  a.last_index = number<Index>();
  a.digest = in_.u64();
  a.incarnation = number<raft::Incarnation>();
  a.uptime_ms = i64();
  a.ready = flag();
  a.not_ready = text();
  return a;
}

Failed Decoder::failed() {
  Failed a;
  a.problem = enumerator(Problem::internal);
  a.effect = enumerator(Effect::unknown);
  a.detail = text();
  return a;
}

Joined Decoder::joined() {
  Joined a;
  a.cluster = number<raft::ClusterId>();
  a.member = number<raft::MemberId>();
  a.members = members();
  return a;
}

Answer Decoder::answer() {
  switch (static_cast<WireAnswer>(in_.u8())) {
    case WireAnswer::written: {
      Written a;
      a.index = number<Index>();
      a.outcome.deleted = flag();
      return a;
    }
    case WireAnswer::read_result: {
      ReadResult a;
      if (flag()) {
        a.value.emplace();
        a.value->index = in_.u64();
        a.value->bytes = text();
      }
      return a;
    }
    case WireAnswer::members:
      return members();
    case WireAnswer::joined:
      return joined();
    case WireAnswer::removed:
      return Removed{number<Index>()};
    case WireAnswer::transferred:
      return Transferred{text()};
    case WireAnswer::node_status:
      return node_status();
    case WireAnswer::failed:
      return failed();
  }
  in_.fail();
  return Failed{};
}

}  // namespace

std::string encode(const Forward& forward) {
  std::string out;
  Encoder encoder(out);
  encoder.raw().u8(kVersion);
  encoder.raw().u64(forward.ticket.value);
  std::visit(encoder, forward.request);
  return out;
}

std::string encode(const ForwardReply& forward) {
  const Reply& reply = forward.reply;
  std::string out;
  Encoder encoder(out);
  encoder.raw().u8(kVersion);
  encoder.raw().u64(forward.ticket.value);
  encoder.raw().sized(reply.node);
  encoder.raw().u64(reply.index.value);
  encoder.raw().u64(reply.term.value);
  encoder.optional(reply.leader, [&encoder](const LeaderHint& leader) {
    encoder.raw().sized(leader.name);
    encoder.raw().sized(leader.http_address);
  });
  encoder.optional(reply.last_contact_ms, [&encoder](std::int64_t ms) { encoder.i64(ms); });
  std::visit(encoder, reply.answer);
  return out;
}

Result<Forward> decode_forward(std::string_view body) {
  Decoder in(body);
  if (in.raw().u8() != kVersion) in.raw().fail();
  Forward forward;
  forward.ticket = in.number<Ticket>();
  forward.request = in.request();
  if (!in.raw().done()) {
    return failure(ErrorCode::corrupt, "forwarded request: its structure does not hold");
  }
  return forward;
}

Result<ForwardReply> decode_forward_reply(std::string_view body) {
  Decoder in(body);
  if (in.raw().u8() != kVersion) in.raw().fail();
  ForwardReply forward;
  forward.ticket = in.number<Ticket>();
  Reply& reply = forward.reply;
  reply.node = in.text();
  reply.index = in.number<Index>();
  reply.term = in.number<Term>();
  if (in.flag()) {
    reply.leader.emplace();
    reply.leader->name = in.text();
    reply.leader->http_address = in.text();
  }
  if (in.flag()) reply.last_contact_ms = in.i64();
  reply.answer = in.answer();
  if (!in.raw().done()) {
    return failure(ErrorCode::corrupt, "forwarded answer: its structure does not hold");
  }
  return forward;
}

}  // namespace raftkv::replica
