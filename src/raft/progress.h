// Progress: what a leader knows of one peer's log, and what it has sent without an answer (§5.3).
// Pipelined, bounded by messages and bytes in flight, and falling back to probing.
#pragma once

#include <cstddef>
#include <optional>

#include "src/base/check.h"
#include "src/base/ring.h"
#include "src/base/time.h"
#include "src/raft/options.h"
#include "src/raft/types.h"

namespace raftkv::raft {

class Progress {
 public:
  enum class State {
    probe,      // looking for the last common entry: one message at a time
    replicate,  // the logs are known to match: messages are sent without waiting
    snapshot,   // what it needs next is no longer in the log: it gets a snapshot (§7)
  };

  // A peer about which nothing is known: it is probed at `next`.
  explicit Progress(Index next) : next_index_(next) { CHECK(next); }
  Progress() : Progress(Index(1)) {}

  // The peer's log durably agrees with ours through here. Rises with acknowledgements; starts again
  // at 0 with another incarnation of the peer. Invariant (I11): at most the true common prefix, and
  // below next_index.
  [[nodiscard]] Index match_index() const { return match_index_; }
  // The next entry to send.
  [[nodiscard]] Index next_index() const { return next_index_; }
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] ReadRound acknowledged_round() const { return acknowledged_round_; }
  [[nodiscard]] std::size_t inflight_messages() const { return inflight_.size(); }

  // May entries be sent now?
  [[nodiscard]] bool window_open(const Options& options) const;
  // AppendEntries with entries through `last` (0: none) of `bytes` left.
  void sent(Index last, std::size_t bytes);
  // The probe, or the whole window, may be lost: allow one more message.
  void heartbeat_due() { probe_sent_ = false; }

  // An acknowledgement through `match`. True if it says something new.
  bool acknowledged(Index match);
  // The peer has no entry that matches at `prev`; the last that may is at `hint`. True if it is not
  // a stale answer.
  bool refused(Index prev, Index hint);
  void round_acknowledged(ReadRound round) {
    if (round > acknowledged_round_) acknowledged_round_ = round;
  }
  // The log begins with `first`, behind next_index(). Heartbeats ask about the entry before it
  // meanwhile: when the peer has that, it needs no snapshot any more.
  // True: it did not wait for one before.
  bool await_snapshot(Index first);
  // Its log does not reach ours, or its state does not reach its log.
  [[nodiscard]] bool needs_snapshot() const { return state_ == State::snapshot || snapshot_wanted; }
  // What is in flight is lost, and what the peer has must be found again; match is still what it
  // was.
  void probe_again();
  // Another incarnation: what was acknowledged before proves nothing now.
  void restarted();

  // --- contact, kept by the leader ---
  std::optional<Time> last_contact;  // of this incarnation of the peer within our term
  bool disconnected = false;         // its connection was reset or refused since
  bool message_owed = false;         // a heartbeat, a read round or a commit index to tell
  bool fetching = false;             // a LogFetch for it is under way
  bool snapshot_wanted = false;      // it said that its state is lost
  bool snapshot_due = false;         // a stream for it may be opened now
  bool catching_up = false;          // it has got a snapshot: the log behind that is kept for it
  bool departing = false;            // no member any more: it is only told so (Raft::say_farewell)
  bool farewell_sent = false;        // what tells it that its removal is committed has left

 private:
  struct Inflight {
    Index last;
    std::size_t bytes = 0;
  };
  void free_through(Index match);

  State state_ = State::probe;
  Index match_index_;
  Index next_index_;
  bool probe_sent_ = false;
  Ring<Inflight> inflight_;
  std::size_t inflight_bytes_ = 0;
  ReadRound acknowledged_round_;
};

}  // namespace raftkv::raft
