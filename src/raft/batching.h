// Batching: when a leader's new entries leave (dissertation 10.2.2). They go in batches: what is
// proposed while a batch is on its way to a majority waits until that is committed, and then for
// those who were just answered, because most of them will ask again. Pure; Raft asks at each turn.
#pragma once

#include <cstdint>

#include "src/base/time.h"
#include "src/raft/types.h"

namespace raftkv::raft {

class Batching {
 public:
  enum class Verdict : std::uint8_t {
    nothing_new,
    waits_for_commit,    // the batch before it is on its way
    waits_for_clients,   // it is committed, and too few of those whose entries it had are back
    leaves,              // nothing to wait for, or enough for a message of its own
    leaves_overdue,      // the batch before it takes too long
    leaves_without_some  // of those clients: they stay away
  };

  // A leader's first batch is its no-op entry, which has just been appended at this index.
  void begin_term(Index noop, Duration wait_max, Time now);

  // What becomes of the entries behind end(): `last` is the log's last one, `committed` the commit
  // index, `fills_a_message` says that they need no company. Nothing waits for longer than
  // `wait_max` in either way; 0: not at all. After one of the verdicts "leaves" end() is `last`.
  [[nodiscard]] Verdict decide(Index last, Index committed, bool fills_a_message, Duration wait_max,
                               Time now);

  // A leader's entries behind it have not left: neither to its disk nor to a peer.
  [[nodiscard]] Index end() const { return end_; }
  // When entries behind end() have waited for long enough.
  [[nodiscard]] Time deadline() const { return deadline_; }

 private:
  void leave(Index last, Duration wait_max, Time now);
  // How many entries the answers bring back: as good as all, because a few clients may have gone.
  [[nodiscard]] std::uint64_t expected_again() const { return size_ - size_ / 10; }

  Index end_;
  std::uint64_t size_ = 0;    // what clients proposed of the last batch that left
  Time left_{};               // when
  bool under_way_ = false;    // and it is not committed yet
  std::uint64_t wanted_ = 0;  // once it is: so many entries make the next one
  Time deadline_{};
};

}  // namespace raftkv::raft
