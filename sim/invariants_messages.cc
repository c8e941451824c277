// What messages say.
#include "sim/invariants.h"

#include <algorithm>
#include <utility>
#include <variant>

namespace raftkv::sim {

// --- I7, I9, I18, I19: what messages say ---

void Invariants::sent(std::size_t node, const raft::Raft& raft, const raft::Envelope& envelope) {
  GhostNode& ghost = ghost_.nodes[node];
  const raft::HardState& durable = ghost.durable_hard_state;
  if (const auto* append = std::get_if<raft::AppendEntries>(&envelope.message)) {
    return check_append(node, raft, envelope, *append);
  }
  if (const auto* reply = std::get_if<raft::AppendEntriesReply>(&envelope.message)) {
    if (reply->match_index) check_acknowledgement(node, envelope, reply->match_index);
    return;
  }
  if (const auto* chunk = std::get_if<raft::InstallSnapshot>(&envelope.message)) {
    return check_snapshot(node, raft, envelope, chunk->snapshot);
  }
  if (const auto* reply = std::get_if<raft::InstallSnapshotReply>(&envelope.message)) {
    if (reply->installed) check_acknowledgement(node, envelope, reply->installed);
    return;
  }
  if (const auto* vote = std::get_if<raft::RequestVote>(&envelope.message)) {
    if (durable.current_term < envelope.term ||
        (durable.current_term == envelope.term && durable.voted_for != envelope.route.from)) {
      fail("I9", node, "asks for votes in term {}, its disk has term {} and a vote for {}",
           envelope.term.value, durable.current_term.value, durable.voted_for.value);
    }
    if (vote->last_log_index > ghost.durable.last()) {
      fail("I9", node, "asks for votes with a log through {}, its disk holds {}",
           vote->last_log_index.value, ghost.durable.last().value);
    }
    return;
  }
  const auto* reply = std::get_if<raft::RequestVoteReply>(&envelope.message);
  if (reply == nullptr || !reply->vote_granted) return;
  if (raft.promise_lost())
    fail("I19", node, "has lost a promise and votes in term {}", envelope.term.value);
  const bool kept =
      durable.current_term > envelope.term ||
      (durable.current_term == envelope.term && durable.voted_for == envelope.route.to);
  if (!kept) {
    fail("I9", node, "votes for member {} in term {}, its disk has term {} and a vote for {}",
         envelope.route.to.value, envelope.term.value, durable.current_term.value,
         durable.voted_for.value);
  }
  ghost_.votes[envelope.term].push_back({envelope.route.from, envelope.route.to});
}

void Invariants::check_acknowledgement(std::size_t node, const raft::Envelope& envelope,
                                       Index match) {
  const GhostNode& ghost = ghost_.nodes[node];
  const auto leader = ghost_.leaders.find(envelope.term);
  if (leader == ghost_.leaders.end() || leader->second.member != envelope.route.to) {
    return fail("I18", node, "acknowledges {} in term {} to member {}, which does not lead there",
                match.value, envelope.term.value, envelope.route.to.value);
  }
  const GhostNode& other = ghost_.nodes[leader->second.node];
  const bool still_leads = other.running && other.role == raft::Role::leader &&
                           other.term == envelope.term && other.member == envelope.route.to;
  const LogMirror& log = still_leads ? other.memory : ghost.memory;
  if (match > log.last() || !ghost.durable.holds(match, log.at(match).prefix)) {
    return fail("I7", node, "acknowledges {} in term {}, but its disk does not hold that",
                match.value, envelope.term.value);
  }
  auto& acknowledged = ghost_.acknowledged[envelope.term];
  const auto found =
      std::ranges::find(acknowledged, ghost.member, &std::pair<MemberId, Index>::first);
  if (found == acknowledged.end()) {
    acknowledged.emplace_back(ghost.member, match);
  } else {
    found->second = std::max(found->second, match);
  }
}

void Invariants::check_snapshot(std::size_t node, const raft::Raft& raft,
                                const raft::Envelope& envelope,
                                const raft::SnapshotMeta& snapshot) {
  if (raft.role() == raft::Role::leader && raft.current_term() == envelope.term) {
    registers_leader(node, raft, envelope.term);
  }
  const auto leader = ghost_.leaders.find(envelope.term);
  if (leader == ghost_.leaders.end() || leader->second.node != node) {
    fail("I18", node, "sends InstallSnapshot of term {}, in which it does not lead",
         envelope.term.value);
  }
  const Index index = snapshot.last_included_index;
  if (index > ghost_.committed_last() ||
      ghost_.committed_at(index).entry.term() != snapshot.last_included_term) {
    return fail("I10", node, "sends a snapshot that ends with entry {} of term {}, not committed",
                index.value, snapshot.last_included_term.value);
  }
  check_configuration_of(node, "I10", index, snapshot.configuration_index, snapshot.configuration);
}

void Invariants::check_append(std::size_t node, const raft::Raft& raft,
                              const raft::Envelope& envelope, const raft::AppendEntries& append) {
  if (raft.role() == raft::Role::leader && raft.current_term() == envelope.term) {
    registers_leader(node, raft, envelope.term);
  }
  const auto leader = ghost_.leaders.find(envelope.term);
  if (leader == ghost_.leaders.end() || leader->second.node != node) {
    fail("I18", node, "sends AppendEntries of term {}, in which it does not lead",
         envelope.term.value);
  }
  Index index = append.prev_log_index;
  Term term = append.prev_log_term;
  for (const raft::Entry& entry : append.entries) {
    if (entry.index() != index.next() || entry.term() < term || entry.term() > envelope.term) {
      return fail("I18", node, "sends entry {} of term {} behind entry {} of term {}",
                  entry.index().value, entry.term().value, index.value, term.value);
    }
    index = entry.index();
    term = entry.term();
  }
}

}  // namespace raftkv::sim
