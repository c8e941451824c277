// ReadIndexQueue: consistent reads that wait for a confirmation of leadership (dissertation 6.4).
// All reads that wait when a round starts share it. Pure; Raft sends the rounds and counts their
// acknowledgements.
#pragma once

#include <cstddef>
#include <vector>

#include "src/base/ring.h"
#include "src/raft/effects.h"
#include "src/raft/types.h"

namespace raftkv::raft {

class ReadIndexQueue {
 public:
  [[nodiscard]] std::size_t size() const { return tickets_.size(); }
  [[nodiscard]] bool waiting() const { return tickets_.size() > in_rounds_; }
  [[nodiscard]] bool round_under_way() const { return !rounds_.empty(); }
  // The latest round that was started; what every AppendEntries carries.
  [[nodiscard]] ReadRound latest() const { return latest_; }

  void add(Ticket ticket) { tickets_.push_back(ticket); }
  // All reads that wait belong to a new round; they may be served at `read_index` once it is
  // confirmed.
  void start_round(Index read_index);
  // A quorum has acknowledged `round` after it was started: grants its reads and those of all
  // before it.
  void confirm(ReadRound round, std::vector<ReadGranted>& granted);
  // Leadership is gone: refuses everything.
  void refuse_all(std::vector<ReadRefused>& refused);

 private:
  struct Round {
    ReadRound round;
    Index read_index;
    std::size_t reads = 0;
  };
  Ring<Ticket> tickets_;       // those of rounds first, in order
  std::size_t in_rounds_ = 0;  // how many of them
  Ring<Round> rounds_;
  ReadRound latest_;
};

}  // namespace raftkv::raft
