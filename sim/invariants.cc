// A node: its life, its log, what it believes of disks, what its role allows.
#include "sim/invariants.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "src/base/check.h"

namespace raftkv::sim {

// --- a node's life ---

void Invariants::begins_with(const raft::Entry& entry) {
  auto& known = ghost_.known.emplace_back();
  const std::uint64_t prefix =
      chain64(ghost_.committed_prefix(ghost_.committed_last()), entry.checksum());
  known.push_back({entry, prefix});
  replay(entry, prefix, entry.term());
}

void Invariants::started(std::size_t node, const raft::Raft& raft, const replica::StateMeta& meta,
                         const kv::MemoryStore::Contents* contents) {
  GhostNode& ghost = ghost_.nodes[node];
  CHECK(!ghost.running);
  ghost.running = true;
  ghost.member = raft.identity().member;
  ghost.incarnation = raft.identity().incarnation;
  ghost_.node_of_member[ghost.member] = node;
  if (!ghost.under_way.empty()) find_end(node, raft.log().last_index(), raft.log().last_term());
  ghost.memory = ghost.durable;  // I2: a crash drops what D lacked, and nothing else
  ghost.role = raft::Role::follower;
  ghost.term = raft.current_term();
  ghost.commit = ghost.applied = meta.applied;
  ghost.stable = Index();
  if (meta.applied < ghost.durable_state && !ghost.damaged) {
    fail("I20", node, "recovered a state at {}, it was synced through {}", meta.applied.value,
         ghost.durable_state.value);
  }
  ghost.durable_state = meta.applied;
  ghost.replacing = Index();
  ghost.truncated_from.reset();
  ghost.installed.reset();
  ghost.to_be_adopted = Index();
  ghost.progress.clear();
  ghost.state_lost = raft.state_lost();  // else the log can redo it
  find_configurations(ghost);
  if (raft.current_term() != ghost.durable_hard_state.current_term ||
      raft.voted_for() != ghost.durable_hard_state.voted_for) {
    fail("I9", node, "recovered term {} and vote {}, its disk has {} and {}",
         raft.current_term().value, raft.voted_for().value,
         ghost.durable_hard_state.current_term.value, ghost.durable_hard_state.voted_for.value);
  }
  if (raft.log().last_index() != ghost.durable.last() ||
      raft.log().last_term() != ghost.durable.at(ghost.durable.last()).term) {
    fail("I9", node, "recovered a log through {}, its disk has one through {}",
         raft.log().last_index().value, ghost.durable.last().value);
  }
  if (meta.applied > ghost_.committed_last() ||
      meta.prefix_hash != ghost_.committed_prefix(meta.applied)) {
    fail("I20", node, "recovered a state at {} whose prefix is not the committed one",
         meta.applied.value);
  } else {
    check_configuration_of(node, "I20", meta.applied, meta.configuration_index, meta.configuration);
    check_contents(node, "recovered", meta.applied, contents);
  }
  if (contents != nullptr && !ghost.hidden_damage) ghost.damaged = false;
}

// Which entries of the log that was recovered are configurations.
void Invariants::find_configurations(GhostNode& ghost) const {
  ghost.configurations.clear();
  for (Index i = Index(1); i <= ghost.memory.last(); ++i) {
    const Ghost::Known* known = ghost_.find_known(i, ghost.memory.at(i).term);
    if (known != nullptr && known->entry.kind() == raft::EntryKind::configuration) {
      ghost.configurations.push_back(i);
    }
  }
  ghost.configurations_seen = ghost.configurations.size();
}

void Invariants::died(std::size_t node) {
  ghost_.nodes[node].running = false;
  ghost_.nodes[node].role = raft::Role::follower;
}

void Invariants::wiped(std::size_t node) {
  GhostNode& ghost = ghost_.nodes[node];
  CHECK(!ghost.running);
  ghost_.node_of_member.erase(ghost.member);
  ghost = GhostNode{};
  ghost.wiped_once = true;
}

void Invariants::lost_state(std::size_t node) {
  GhostNode& ghost = ghost_.nodes[node];
  CHECK(!ghost.running);
  ghost.state_lost = true;
  ghost.durable_state = ghost.replacing = Index();
}

void Invariants::damaged(std::size_t node) {
  CHECK(!ghost_.nodes[node].running);
  ghost_.nodes[node].damaged = true;
}

void Invariants::turned(std::size_t node, const raft::Raft& raft) {
  GhostNode& ghost = ghost_.nodes[node];
  follow_log(node, raft);
  if (raft.current_term() < ghost.term) {
    fail("I9", node, "its term falls from {} to {}", ghost.term.value, raft.current_term().value);
  }
  const bool new_role = raft.role() != ghost.role || raft.current_term() != ghost.term;
  if (new_role && raft.role() == raft::Role::leader) check_leadership(node, raft);
  if (raft.commit_index() != ghost.commit) check_commit(node, raft);
  if (raft.stable_index() != ghost.stable) check_stable(node, raft);
  if (raft.role() == raft::Role::leader) check_progress(node, raft);
  if (raft.role() != raft::Role::follower) check_roles(node, raft);
  check_configuration(node, raft);
  if (raft.log().prev_index() > raft.last_applied() && !raft.state_lost()) {
    fail("I10", node, "its log begins with {}, and it has applied {}",
         raft.log().first_index().value, raft.last_applied().value);
  }
  if (raft.last_applied() > raft.commit_index() || raft.commit_index() > raft.log().last_index()) {
    fail("I10", node, "applied {}, commit {}, last {}", raft.last_applied().value,
         raft.commit_index().value, raft.log().last_index().value);
  }
  ghost.role = raft.role();
  ghost.term = raft.current_term();
}

void Invariants::observed(std::size_t node, const raft::Raft& raft, const replica::Event& event) {
  const auto* core = std::get_if<raft::Event>(&event);
  if (core == nullptr) return;
  if (const auto* truncated = std::get_if<raft::Truncated>(core)) {
    auto& from = ghost_.nodes[node].truncated_from;
    from = from ? std::min(*from, truncated->from) : truncated->from;
  } else if (const auto* installed = std::get_if<raft::SnapshotInstalled>(core)) {
    ghost_.nodes[node].installed = std::pair(installed->index, installed->term);
    ghost_.nodes[node].to_be_adopted = installed->index;
  } else if (const auto* role = std::get_if<raft::RoleChanged>(core)) {
    if (role->role == raft::Role::leader) registers_leader(node, raft, role->term);
  }
}

// --- I2, I3, I8: logs ---

void Invariants::follow_log(std::size_t node, const raft::Raft& raft) {
  GhostNode& ghost = ghost_.nodes[node];
  const raft::RaftLog& log = raft.log();
  if (ghost.installed) follow_snapshot(node, raft);
  const Index old_last = ghost.memory.last();
  const bool same_end =
      log.last_index() == old_last && log.last_term() == ghost.memory.at(old_last).term;
  if (same_end && !ghost.truncated_from) return;

  // The last entry that stayed: not above what was truncated, and of the same term in both.
  Index common = std::min(old_last, log.last_index());
  if (ghost.truncated_from) common = std::min(common, ghost.truncated_from->prev());
  ghost.truncated_from.reset();
  const Index prev = log.prev_index();
  while (common > prev && log.term(common) != ghost.memory.at(common).term) common = common.prev();
  if (old_last < prev || ghost.memory.at(prev).term != log.prev_term()) {
    return fail("I10", node, "its log begins behind {} of term {}, which it has not had",
                prev.value, log.prev_term().value);
  }
  common = std::max(common, prev);
  if (common < old_last) dropped(node, raft, common.next());
  for (Index i = common.next(); i <= log.last_index() && !verdict_.failed(); ++i) {
    appended(node, log.at(i));
  }
}

// I2, I8: what the log has behind the snapshot stays, unless it contradicts the snapshot.
void Invariants::follow_snapshot(std::size_t node, const raft::Raft& raft) {
  GhostNode& ghost = ghost_.nodes[node];
  const auto [index, term] = *std::exchange(ghost.installed, std::nullopt);
  if (index > ghost_.committed_last() || ghost_.committed_at(index).entry.term() != term) {
    return fail("I10", node,
                "installs a snapshot that ends with entry {} of term {}, not committed",
                index.value, term.value);
  }
  if (ghost.memory.holds(index, ghost_.committed_prefix(index)) &&
      (!ghost.truncated_from || *ghost.truncated_from > index)) {
    return;
  }
  if (ghost.role == raft::Role::leader && raft.role() == raft::Role::leader &&
      ghost.term == raft.current_term()) {
    fail("I2", node, "leads in term {} and installs a snapshot", ghost.term.value);
  }
  ghost.memory.clear();
  for (Index i = Index(1); i <= index; ++i) ghost.memory.append(ghost_.committed_at(i).entry);
  ghost.truncated_from.reset();
  ghost.stable = Index();  // looked at again
  find_configurations(ghost);
}

void Invariants::dropped(std::size_t node, const raft::Raft& raft, Index from) {
  GhostNode& ghost = ghost_.nodes[node];
  if (ghost.role == raft::Role::leader && raft.role() == raft::Role::leader &&
      ghost.term == raft.current_term()) {
    fail("I2", node, "leads in term {} and drops its entries from {} on", ghost.term.value,
         from.value);
  }
  if (raft.log().last_index() < from || raft.log().term(from) == ghost.memory.at(from).term) {
    fail("I2", node, "drops entries from {} on that nothing conflicts with", from.value);
  }
  if (from <= ghost_.committed_last() &&
      ghost.memory.at(from).prefix == ghost_.committed_prefix(from)) {
    fail("I8", node, "its log drops the committed entry {}", from.value);
  }
  ghost.memory.truncate_from(from);
  std::erase_if(ghost.configurations, [&](Index index) { return index >= from; });
  ghost.configurations_seen = std::min(ghost.configurations_seen, ghost.configurations.size());
  ghost.stable = Index();  // looked at again
}

void Invariants::appended(std::size_t node, const raft::Entry& entry) {
  GhostNode& ghost = ghost_.nodes[node];
  const LogPoint point = ghost.memory.append(entry);
  if (ghost_.known.size() < entry.index().value) ghost_.known.resize(entry.index().value);
  if (const Ghost::Known* known = ghost_.find_known(entry.index(), entry.term())) {
    if (known->prefix != point.prefix) {
      fail("I3", node, "its log has another prefix than others at index {} of term {}",
           entry.index().value, entry.term().value);
    }
  } else {
    ghost_.known[entry.index().value - 1].push_back({entry, point.prefix});
  }
  if (entry.kind() == raft::EntryKind::configuration) ghost.configurations.push_back(entry.index());
}

// --- I12, I11: what a node believes of disks ---

void Invariants::check_stable(std::size_t node, const raft::Raft& raft) {
  GhostNode& ghost = ghost_.nodes[node];
  const Index stable = raft.stable_index();
  if (stable > ghost.memory.last() ||
      !ghost.durable.holds(stable, ghost.memory.at(stable).prefix)) {
    fail("I12", node, "takes its log for stable through {}, its disk holds {} entries",
         stable.value, ghost.durable.last().value);
  }
  ghost.stable = stable;
}

void Invariants::check_progress(std::size_t node, const raft::Raft& raft) {
  GhostNode& ghost = ghost_.nodes[node];
  const Term term = raft.current_term();
  std::size_t place = 0;
  for (const auto& [peer, progress] : raft.progress()) {
    const Index match = progress.match_index();
    // Nearly always all is as it was, and in this order.
    if (const std::size_t i = place++; i < ghost.progress.size()) {
      const SeenProgress& before = ghost.progress[i];
      if (before.peer == peer && before.term == term && before.match == match) continue;
    }
    auto seen = std::ranges::find(ghost.progress, peer, &SeenProgress::peer);
    if (seen != ghost.progress.end() && seen->term == term && seen->match == match) continue;
    const auto at = ghost_.node_of_member.find(peer);
    if (at == ghost_.node_of_member.end()) continue;  // its disk is gone
    const GhostNode& other = ghost_.nodes[at->second];
    if (seen == ghost.progress.end()) seen = ghost.progress.insert(seen, {peer, Term(), {}, {}});
    if (seen->term != term) *seen = {peer, term, other.incarnation, Index()};
    if (match == seen->match) continue;
    if (match >= progress.next_index()) {
      fail("I11", node, "member {}: match {} is not below next {}", peer.value, match.value,
           progress.next_index().value);
    }
    if (match < seen->match) {
      // Once for each restart of the peer, and not before the leader has heard of it: of several
      // perhaps one by one, long after they have happened.
      if (seen->incarnation >= other.incarnation) {
        fail("I11", node, "member {}: match falls from {} to {} in term {}", peer.value,
             seen->match.value, match.value, term.value);
      }
      seen->incarnation = seen->incarnation.next();
    }
    // What a damaged disk has lost was there when it was acknowledged.
    const bool comparable =
        other.durable_hard_state.current_term == term && !other.damaged && !other.promise_lost;
    if (comparable && (match > ghost.memory.last() ||
                       !other.durable.holds(match, ghost.memory.at(match).prefix))) {
      fail("I11", node, "member {}: match {} is more than its disk shares", peer.value,
           match.value);
    }
    seen->match = match;
  }
}

// --- I17, I19: roles ---

void Invariants::check_roles(std::size_t node, const raft::Raft& raft) {
  const MemberId self = raft.identity().member;
  if (raft.promise_lost())
    fail("I19", node, "has lost a promise and is {}", raft::to_string(raft.role()));
  if (raft.state_lost())
    fail("I19", node, "has lost its state and is {}", raft::to_string(raft.role()));
  if (raft.configuration().is_voter(self)) return;
  if (raft.role() == raft::Role::candidate && !may_be_needed(node, raft)) {
    fail("I17", node, "campaigns and is no voter");
  }
  if (raft.role() == raft::Role::leader && raft.configuration_index() <= raft.commit_index()) {
    fail("I17", node, "leads after its removal at {} is committed",
         raft.configuration_index().value);
  }
}

// A voter of a configuration that may still be in force for others: of the last that it knows to be
// committed, or of one behind that. It may be the only one that can win (docs/decisions/0001).
bool Invariants::may_be_needed(std::size_t node, const raft::Raft& raft) const {
  const GhostNode& ghost = ghost_.nodes[node];
  for (auto it = ghost.configurations.rbegin(); it != ghost.configurations.rend(); ++it) {
    if (configuration_at(ghost, *it).is_voter(raft.identity().member)) return true;
    if (*it <= raft.commit_index()) return false;
  }
  return false;
}

}  // namespace raftkv::sim
