#include "src/raft/configuration.h"

#include <algorithm>
#include <utility>

#include "src/base/bytes.h"
#include "src/base/check.h"

namespace raftkv::raft {
namespace {

constexpr std::uint8_t kVersion = 1;

void write_set(ByteWriter& out, const VoterSet& set) {
  out.u16(static_cast<std::uint16_t>(set.size()));
  for (const MemberId id : set) out.u64(id.value);
}

VoterSet read_set(ByteReader& in, const std::vector<Member>& members) {
  VoterSet set;
  const std::size_t count = in.u16();
  set.reserve(std::min(count, in.left() / sizeof(std::uint64_t)));
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    const MemberId id(in.u64());
    const bool ascending = set.empty() || set.back() < id;
    const bool named =
        std::any_of(members.begin(), members.end(), [id](const Member& m) { return m.id == id; });
    if (!ascending || !named) in.fail();
    set.push_back(id);
  }
  return set;
}

void read_member(ByteReader& in, Member& m) {
  m.id = MemberId(in.u64());
  m.instance = InstanceId(in.u64());
  m.replaces = MemberId(in.u64());
  m.name = in.sized();
  m.http_address = in.sized();
  m.raft_address = in.sized();
  const bool fits = m.name.size() <= kMemberTextMax && m.http_address.size() <= kMemberTextMax &&
                    m.raft_address.size() <= kMemberTextMax;
  if (!m.id || !fits) in.fail();
}

}  // namespace

bool contains(const VoterSet& set, MemberId id) {
  return std::binary_search(set.begin(), set.end(), id);
}

const Member* Configuration::find(MemberId id) const {
  const auto it =
      std::find_if(members.begin(), members.end(), [id](const Member& m) { return m.id == id; });
  return it == members.end() ? nullptr : &*it;
}

const Member* Configuration::find_name(std::string_view name) const {
  // Ascending by id: the one being replaced was there before the one that replaces it.
  const auto it = std::find_if(members.begin(), members.end(),
                               [name](const Member& m) { return m.name == name; });
  return it == members.end() ? nullptr : &*it;
}

const Member* Configuration::find_instance(InstanceId instance) const {
  const auto it = std::find_if(members.begin(), members.end(),
                               [instance](const Member& m) { return m.instance == instance; });
  return it == members.end() ? nullptr : &*it;
}

bool Configuration::was_removed(InstanceId instance) const {
  return std::find(removed.begin(), removed.end(), instance) != removed.end();
}

// Layout: u8 version, u16 members, each (u64 id, u64 instance, u64 replaces, sized name, http,
// raft), u16 voters and their ids, u16 outgoing and their ids, u16 removed and their instances.
void Configuration::encode(std::string& bytes) const {
  CHECK(members.size() <= kMembersMax);
  CHECK(removed.size() <= kRemovedInstancesMax);
  ByteWriter out(bytes);
  out.u8(kVersion);
  out.u16(static_cast<std::uint16_t>(members.size()));
  for (const Member& m : members) {
    out.u64(m.id.value);
    out.u64(m.instance.value);
    out.u64(m.replaces.value);
    out.sized(m.name);
    out.sized(m.http_address);
    out.sized(m.raft_address);
  }
  write_set(out, voters);
  write_set(out, outgoing);
  out.u16(static_cast<std::uint16_t>(removed.size()));
  for (const InstanceId instance : removed) out.u64(instance.value);
}

Result<Configuration> Configuration::decode(std::string_view bytes) {
  ByteReader in(bytes);
  if (in.u8() != kVersion)
    return failure(ErrorCode::corrupt, "configuration: of an unknown version");
  Configuration c;
  const std::size_t member_count = in.u16();
  if (member_count > kMembersMax) in.fail();
  if (in.ok()) c.members.reserve(member_count);
  MemberId previous;
  for (std::size_t i = 0; i < member_count && in.ok(); ++i) {
    Member& m = c.members.emplace_back();
    read_member(in, m);
    if (m.id <= previous) in.fail();
    previous = m.id;
  }
  c.voters = read_set(in, c.members);
  c.outgoing = read_set(in, c.members);
  const std::size_t removed_count = in.u16();
  if (removed_count > kRemovedInstancesMax) in.fail();
  for (std::size_t i = 0; i < removed_count && in.ok(); ++i)
    c.removed.push_back(InstanceId(in.u64()));
  if (!in.done()) return failure(ErrorCode::corrupt, "configuration: its structure does not hold");
  if (c.voters.empty() && !c.members.empty()) {
    return failure(ErrorCode::corrupt, "configuration: members but no voter");
  }
  return c;
}

Configuration bootstrap_configuration(std::string name, InstanceId instance,
                                      std::string http_address, std::string raft_address,
                                      MemberId id) {
  Configuration c;
  c.members.push_back({.id = id,
                       .instance = instance,
                       .name = std::move(name),
                       .http_address = std::move(http_address),
                       .raft_address = std::move(raft_address),
                       .replaces = MemberId()});
  c.voters.push_back(id);
  return c;
}

}  // namespace raftkv::raft
