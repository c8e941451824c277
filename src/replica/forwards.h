// Forwards: requests that this node has passed on to its leader and that wait for a reply. Tickets
// count up within an incarnation, so that the leader can tell a doubled frame (Peers::first_time).
#pragma once

#include <optional>
#include <vector>

#include "src/base/ring.h"
#include "src/raft/types.h"
#include "src/replica/request_table.h"

namespace raftkv::replica {

class Forwards {
 public:
  // Notes a request that is sent to `to`, and gives it its ticket.
  [[nodiscard]] Ticket sent(Handle handle, raft::MemberId to);
  // A ticket for a request whose reply nobody waits for.
  [[nodiscard]] Ticket sent_without_reply() { return sent(Handle(), raft::MemberId()); }
  // The request that this is the reply to; nullopt: none waits for it (any more).
  [[nodiscard]] std::optional<Handle> replied(Ticket ticket, raft::MemberId from);
  // What was sent to this member gets no reply any more. Appends to `out`.
  void lost(raft::MemberId to, std::vector<Handle>& out);
  // Forgets the oldest that wait no longer; `open` tells. Keeps the queue short when replies never
  // come.
  template <typename IsOpen>
  void trim(IsOpen is_open) {
    while (!sent_.empty() && !(sent_.front().handle && is_open(sent_.front().handle))) {
      sent_.pop_front();
      ++first_;
    }
  }

 private:
  struct Sent {
    Handle handle;  // 0: nobody waits
    raft::MemberId to;
  };
  Ring<Sent> sent_;
  Ticket first_ = Ticket(1);  // of sent_.front()
};

}  // namespace raftkv::replica
