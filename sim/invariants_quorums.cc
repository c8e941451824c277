// What quorums decide: who leads, what is committed, who counts.
#include "sim/invariants.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "src/base/check.h"
#include "src/base/checksum.h"
#include "src/kv/command.h"

namespace raftkv::sim {
namespace {

// True if `agrees` holds for a majority of the set; an empty set agrees.
template <typename Agrees>
bool majority_of(const raft::VoterSet& voters, Agrees agrees) {
  const auto count = std::ranges::count_if(voters, agrees);
  return voters.empty() || static_cast<std::size_t>(count) * 2 > voters.size();
}

std::size_t differences(const raft::VoterSet& a, const raft::VoterSet& b) {
  std::vector<MemberId> rest;
  std::ranges::set_symmetric_difference(a, b, std::back_inserter(rest));
  return rest.size();
}

}  // namespace

bool quorums_intersect(const Configuration& before, const Configuration& after) {
  if (before.voters.empty()) return true;  // the first of all
  if (!before.joint() && !after.joint()) return differences(before.voters, after.voters) <= 1;
  if (!before.joint()) return after.outgoing == before.voters;
  if (!after.joint()) return after.voters == before.voters;
  return after.voters == before.voters && after.outgoing == before.outgoing;
}

// --- I1, I4, I16: leaders ---

void Invariants::registers_leader(std::size_t node, const raft::Raft& raft, Term term) {
  const Leader self{node, raft.identity().member, raft.identity().incarnation};
  const auto [it, fresh] = ghost_.leaders.try_emplace(term, self);
  if (fresh) return;
  if (it->second.member != self.member || it->second.incarnation != self.incarnation) {
    fail("I1", node, "leads in term {}, and so did n{}", term.value, it->second.node + 1);
  }
}

void Invariants::check_leadership(std::size_t node, const raft::Raft& raft) {
  const Term term = raft.current_term();
  registers_leader(node, raft, term);
  // I4
  Index last = ghost_.committed_last();
  while (last && ghost_.committed_at(last).committed_in >= term) last = last.prev();
  const LogMirror& log = ghost_.nodes[node].memory;
  if (last && !log.holds(last, ghost_.committed_prefix(last))) {
    fail("I4", node, "leads in term {} without the entry {}, committed in term {}", term.value,
         last.value, ghost_.committed_at(last).committed_in.value);
  }
  // I16
  const MemberId self = raft.identity().member;
  const auto& votes = ghost_.votes[term];
  const auto gave = [&](MemberId voter) {
    return std::ranges::any_of(
        votes, [&](const Vote& vote) { return vote.voter == voter && vote.candidate == self; });
  };
  for (const MemberId voter : raft.votes_granted()) {
    if (!gave(voter)) {
      fail("I16", node, "counts a vote of member {} in term {} that was not given", voter.value,
           term.value);
    }
  }
  // The configuration that it was elected in: the one in force before its own entries.
  const Configuration& in_force = raft.configuration();
  if (!majority_of(in_force.voters, gave) || !majority_of(in_force.outgoing, gave)) {
    fail("I16", node, "leads in term {} without a quorum of votes", term.value);
  }
}

// --- I15: configurations ---

Configuration Invariants::configuration_at(const GhostNode& ghost, Index index) const {
  if (!index) return {};
  const Ghost::Known* known = ghost_.find_known(index, ghost.memory.at(index).term);
  CHECK(known != nullptr);
  auto configuration = Configuration::decode(known->entry.payload());
  CHECK(configuration.has_value(), "a configuration in a log cannot be read");
  return *std::move(configuration);
}

void Invariants::check_proposal(std::size_t node, const raft::Raft& raft, Index before,
                                Index proposed) {
  const GhostNode& ghost = ghost_.nodes[node];
  const Term term = raft.current_term();
  if (raft.role() != raft::Role::leader || ghost.memory.at(proposed).term != term) return;
  if (before > ghost_.committed_last()) {
    fail("I15", node, "proposes a configuration at {} while the one at {} is not committed",
         proposed.value, before.value);
  }
  // By its own knowledge: the first entry of its term may be committed by a successor before.
  if (ghost.memory.at(raft.commit_index()).term != term) {
    fail("I15", node, "proposes a configuration at {} before an entry of its term {} is committed",
         proposed.value, term.value);
  }
  if (!quorums_intersect(configuration_at(ghost, before), configuration_at(ghost, proposed))) {
    fail("I15", node, "the configurations at {} and {} have quorums that do not meet", before.value,
         proposed.value);
  }
}

void Invariants::check_configuration(std::size_t node, const raft::Raft& raft) {
  GhostNode& ghost = ghost_.nodes[node];
  const auto& in_log = ghost.configurations;
  const Index last = in_log.empty() ? Index() : in_log.back();
  // What was in force before the log begins was in the state that is lost.
  if (raft.configuration_index() != last && !raft.state_lost()) {
    fail("I15", node, "follows the configuration at {}, the last in its log is at {}",
         raft.configuration_index().value, last.value);
  }
  for (std::size_t& i = ghost.configurations_seen; i < in_log.size(); ++i) {
    check_proposal(node, raft, i == 0 ? Index() : in_log[i - 1], in_log[i]);
  }
}

// --- I6: commit ---

void Invariants::check_commit(std::size_t node, const raft::Raft& raft) {
  GhostNode& ghost = ghost_.nodes[node];
  const Index through = raft.commit_index();
  if (through < ghost.commit) {
    return fail("I6", node, "its commit index falls from {} to {}", ghost.commit.value,
                through.value);
  }
  if (through > ghost.memory.last()) {
    return fail("I10", node, "commits {}, its log ends at {}", through.value,
                ghost.memory.last().value);
  }
  if (through > ghost_.committed_last()) {
    const Term led = led_term(node, raft);
    if (!led)
      return fail("I6", node, "follows and commits {}, which no leader has committed",
                  through.value);
    check_commit_earned(node, raft, led, through);
    if (!verdict_.failed()) committed(node, led, through);
  } else if (!ghost.memory.holds(through, ghost_.committed_prefix(through))) {
    return fail("I6", node, "commits {}, but its log differs from the committed one there",
                through.value);
  }
  ghost.commit = through;
}

// The term that the node has led in since the last look, though it may have stepped down already: a
// leader that commits its own removal does.
Term Invariants::led_term(std::size_t node, const raft::Raft& raft) const {
  const GhostNode& ghost = ghost_.nodes[node];
  for (auto it = ghost_.leaders.rbegin(); it != ghost_.leaders.rend() && it->first >= ghost.term;
       ++it) {
    const bool own = it->second.node == node && it->second.incarnation == ghost.incarnation;
    if (own && it->first <= raft.current_term()) return it->first;
  }
  return {};
}

void Invariants::check_commit_earned(std::size_t node, const raft::Raft& raft, Term term,
                                     Index through) {
  const GhostNode& ghost = ghost_.nodes[node];
  if (ghost.memory.at(through).term != term) {
    fail("I6", node, "leads in term {} and commits {} by counting, which is of term {} (Figure 8)",
         term.value, through.value, ghost.memory.at(through).term.value);
  }
  const auto& acknowledged = ghost_.acknowledged[term];
  const auto holds = [&](MemberId voter) {
    if (voter == raft.identity().member)
      return ghost.durable.holds(through, ghost.memory.at(through).prefix);
    const auto found = std::ranges::find(acknowledged, voter, &std::pair<MemberId, Index>::first);
    return found != acknowledged.end() && found->second >= through;
  };
  const auto agrees = [&](const Configuration& in_force) {
    return majority_of(in_force.voters, holds) && majority_of(in_force.outgoing, holds);
  };
  // A configuration that was proposed since the last look may have come before or after the count.
  bool earned = agrees(raft.configuration());
  for (std::size_t i = ghost.configurations_seen; i < ghost.configurations.size() && i > 0; ++i) {
    earned = earned || agrees(configuration_at(ghost, ghost.configurations[i - 1]));
  }
  if (!earned) {
    fail("I6", node, "commits {} in term {} without quorums that hold it on disk", through.value,
         term.value);
  }
}

void Invariants::committed(std::size_t node, Term term, Index through) {
  const LogMirror& log = ghost_.nodes[node].memory;
  const Index before = ghost_.committed_last();
  if (!log.holds(before, ghost_.committed_prefix(before))) {
    return fail("I3", node, "commits {} on a log that differs from the committed one at {}",
                through.value, before.value);
  }
  for (Index i = before.next(); i <= through; ++i) {
    const Ghost::Known* known = ghost_.find_known(i, log.at(i).term);
    CHECK(known != nullptr);
    replay(known->entry, known->prefix, term);
  }
}

// The ghost's own state machine: what the committed log makes of the store, and every key's
// versions.
void Invariants::replay(const raft::Entry& entry, std::uint64_t prefix, Term committed_in) {
  if (ghost_.committed.empty()) CHECK(ghost_.replay.load().has_value());
  const auto result = ghost_.replay.apply({&entry, 1});
  CHECK(result.has_value(), "the replay cannot apply a committed entry");
  ghost_.committed.push_back({entry, prefix, committed_in, result->meta.digest});
  if (entry.kind() != raft::EntryKind::command) return;
  const auto command = kv::decode(entry.payload());
  CHECK(command.has_value());
  const auto key = [&](std::string_view name) -> KeyHistory& {
    auto it = ghost_.keys.find(name);
    if (it == ghost_.keys.end()) it = ghost_.keys.emplace(std::string(name), KeyHistory{}).first;
    return it->second;
  };
  if (const auto* set = std::get_if<kv::SetView>(&*command)) {
    for (const auto& [name, value] : *set)
      key(name).versions.push_back({entry.index(), checksum64(value)});
  } else {
    KeyHistory& history = key(std::get<kv::DeleteView>(*command).key);
    // A delete of nothing changes nothing, not even the key's version.
    if (history.at(entry.index()).value) history.versions.push_back({entry.index(), std::nullopt});
  }
}

}  // namespace raftkv::sim
