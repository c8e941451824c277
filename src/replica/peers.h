// Peers: which run of each other node this node has heard from, and which of their forwarded
// requests it has seen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "src/base/result.h"
#include "src/raft/configuration.h"
#include "src/raft/message.h"
#include "src/raft/types.h"

namespace raftkv::replica {

// Nodes that are remembered. When there are more, all that are no members are forgotten.
inline constexpr std::size_t kPeersMax = 4 * raft::kMembersMax;

class Peers {
 public:
  explicit Peers(const raft::Identity& identity) : identity_(identity) {}

  struct Admitted {
    bool restarted = false;  // the sender was heard from before, in an earlier incarnation
  };
  // Checks who a frame is from and for. Errors are reasons to close the connection: invalid
  // (another cluster, another addressee, this node's own number, an old incarnation).
  [[nodiscard]] Result<Admitted> admit(const raft::Route& route,
                                       const raft::Configuration& members);

  // The latest incarnation that was heard from; 0: none.
  [[nodiscard]] raft::Incarnation incarnation(raft::MemberId member) const;

  // True for the first frame with this ticket from the sender's present incarnation: a network may
  // double frames, and a request must not be executed twice. Tickets rise; one that comes later
  // than kTicketWindow others is taken for seen (and its sender times out). The sender must have
  // been admitted.
  [[nodiscard]] bool first_time(raft::MemberId from, raft::Ticket ticket);
  static constexpr std::uint64_t kTicketWindow = 64;

 private:
  struct Peer {
    raft::MemberId id;
    raft::Incarnation incarnation;
    std::uint64_t ticket_max = 0;    // the highest ticket seen
    std::uint64_t tickets_seen = 0;  // bit i: ticket_max - i was seen
  };
  [[nodiscard]] Peer* find(raft::MemberId id);

  raft::Identity identity_;
  std::vector<Peer> peers_;
};

}  // namespace raftkv::replica
