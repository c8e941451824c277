#include "src/replica/forwards.h"

#include <utility>

namespace raftkv::replica {

Ticket Forwards::sent(Handle handle, raft::MemberId to) {
  sent_.push_back({handle, to});
  return first_ + (sent_.size() - 1);
}

std::optional<Handle> Forwards::replied(Ticket ticket, raft::MemberId from) {
  if (ticket < first_ || ticket - first_ >= sent_.size()) return std::nullopt;
  Sent& sent = sent_[ticket - first_];
  if (!sent.handle || sent.to != from) return std::nullopt;
  return std::exchange(sent.handle, Handle());
}

void Forwards::lost(raft::MemberId to, std::vector<Handle>& out) {
  for (std::size_t i = 0; i < sent_.size(); ++i) {
    if (sent_[i].handle && sent_[i].to == to)
      out.push_back(std::exchange(sent_[i].handle, Handle()));
  }
}

}  // namespace raftkv::replica
