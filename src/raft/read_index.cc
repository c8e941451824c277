#include "src/raft/read_index.h"

#include "src/base/check.h"
#include "src/raft/raft.h"

namespace raftkv::raft {

void ReadIndexQueue::start_round(Index read_index) {
  ++latest_;
  rounds_.push_back(
      {.round = latest_, .read_index = read_index, .reads = tickets_.size() - in_rounds_});
  in_rounds_ = tickets_.size();
}

void ReadIndexQueue::confirm(ReadRound round, std::vector<ReadGranted>& granted) {
  while (!rounds_.empty() && rounds_.front().round <= round) {
    const Round& confirmed = rounds_.front();
    CHECK(in_rounds_ >= confirmed.reads);
    in_rounds_ -= confirmed.reads;
    for (std::size_t i = 0; i < confirmed.reads; ++i) {
      granted.push_back({tickets_.front(), confirmed.read_index});
      tickets_.pop_front();
    }
    rounds_.pop_front();
  }
}

void ReadIndexQueue::refuse_all(std::vector<ReadRefused>& refused) {
  for (; !tickets_.empty(); tickets_.pop_front()) {
    refused.push_back({tickets_.front(), Refusal::not_leader});
  }
  in_rounds_ = 0;
  rounds_.clear();
}

void Raft::read(Ticket ticket, Time /*now*/) {
  if (role_ != Role::leader) {
    out_.reads_refused.push_back({ticket, Refusal::not_leader});
  } else if (reads_.size() >= options_.reads_waiting_max) {
    mark(Mark::read_refused_too_many_wait);
    out_.reads_refused.push_back({ticket, Refusal::busy});
  } else {
    reads_.add(ticket);
  }
}

// One round at a time: what arrives meanwhile shares the next. A lost message costs nothing but a
// heartbeat's time, because every later message carries the round too.
void Raft::start_read_round() {
  if (!reads_.waiting() || reads_.round_under_way()) return;
  // Before its first own commit a leader does not know what its predecessors committed (§8).
  if (commit_index_ < term_start_) return mark(Mark::read_waited_for_the_own_terms_commit);
  reads_.start_round(commit_index_);
  for (auto& [id, progress] : progress_) progress.message_owed = true;
  confirm_reads();  // a leader that is alone is its own quorum
  if (!reads_.round_under_way()) mark(Mark::lone_leader_confirmed_its_reads);
}

void Raft::confirm_reads() {
  if (!reads_.round_under_way()) return;
  const auto round_of = [&](MemberId id) -> std::uint64_t {
    if (is_self(id)) return reads_.latest().value;
    const auto peer = progress_.find(id);
    return peer == progress_.end() ? 0 : peer->second.acknowledged_round().value;
  };
  reads_.confirm(ReadRound(quorum_reached(configuration(), round_of)), out_.reads_granted);
}

}  // namespace raftkv::raft
