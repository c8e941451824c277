#include "src/replica/peers.h"

#include <algorithm>

#include <fmt/format.h>

#include "src/base/bytes.h"
#include "src/base/check.h"

namespace raftkv::replica {

Peers::Peer* Peers::find(raft::MemberId id) {
  const auto it = std::ranges::find(peers_, id, &Peer::id);
  return it == peers_.end() ? nullptr : &*it;
}

raft::Incarnation Peers::incarnation(raft::MemberId member) const {
  const auto it = std::ranges::find(peers_, member, &Peer::id);
  return it == peers_.end() ? raft::Incarnation() : it->incarnation;
}

Result<Peers::Admitted> Peers::admit(const raft::Route& route, const raft::Configuration& members) {
  if (route.cluster != identity_.cluster) {
    return failure(ErrorCode::invalid,
                   fmt::format("a peer of another cluster ({}); this is cluster {}",
                               to_hex(route.cluster.value), to_hex(identity_.cluster.value)));
  }
  if (route.to != identity_.member) {
    return failure(ErrorCode::invalid, fmt::format("a frame for member {}; this is member {}",
                                                   route.to.value, identity_.member.value));
  }
  if (!route.from || route.from == identity_.member) {
    return failure(ErrorCode::invalid,
                   fmt::format("a frame from member {}, which is no peer of member {}",
                               route.from.value, identity_.member.value));
  }
  Peer* peer = find(route.from);
  if (peer == nullptr) {
    if (peers_.size() >= kPeersMax) {
      std::erase_if(peers_, [&](const Peer& p) { return members.find(p.id) == nullptr; });
      CHECK(peers_.size() <= raft::kMembersMax);
    }
    peers_.push_back({.id = route.from, .incarnation = route.from_incarnation});
    return Admitted{};
  }
  if (route.from_incarnation < peer->incarnation) {
    return failure(
        ErrorCode::invalid,
        fmt::format("a frame from incarnation {} of member {}, which is at incarnation {}",
                    route.from_incarnation.value, route.from.value, peer->incarnation.value));
  }
  if (route.from_incarnation == peer->incarnation) return Admitted{};
  *peer = {.id = route.from, .incarnation = route.from_incarnation};
  return Admitted{.restarted = true};
}

bool Peers::first_time(raft::MemberId from, raft::Ticket ticket) {
  Peer* const peer = find(from);
  CHECK(peer != nullptr);
  const std::uint64_t t = ticket.value;
  if (t > peer->ticket_max) {
    const std::uint64_t ahead = t - peer->ticket_max;
    peer->tickets_seen = ahead < kTicketWindow ? peer->tickets_seen << ahead : 0;
    peer->tickets_seen |= 1;
    peer->ticket_max = t;
    return true;
  }
  const std::uint64_t behind = peer->ticket_max - t;
  if (behind >= kTicketWindow) return false;
  const std::uint64_t bit = std::uint64_t{1} << behind;
  const bool first = (peer->tickets_seen & bit) == 0;
  peer->tickets_seen |= bit;
  return first;
}

}  // namespace raftkv::replica
