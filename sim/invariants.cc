#include "sim/invariants.h"

#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include "src/base/bytes.h"
#include "src/base/check.h"
#include "src/kv/command.h"
#include "src/replica/state_record.h"

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

template <typename... Args>
void Invariants::fail(std::string_view invariant, std::size_t node, std::string_view format,
                      const Args&... args) {
  verdict_.fail(invariant, fmt::format("n{}: ", node + 1) +
                               fmt::vformat(format, fmt::make_format_args(args...)));
}

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
  ghost.durable_state = Index();
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

// --- I1, I4, I16: leaders ---

void Invariants::registers_leader(std::size_t node, const raft::Raft& raft, Term term) {
  const Leader self{node, raft.identity().member, raft.identity().incarnation};
  const auto [it, fresh] = ghost_.leaders.emplace(term, self);
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

// --- I5: the state machine ---

void Invariants::applied(std::size_t node, const replica::StateMeta& meta,
                         const kv::MemoryStore::Contents* contents) {
  GhostNode& ghost = ghost_.nodes[node];
  if (meta.applied <= ghost.applied) {
    fail("I5", node, "applies through {} after {}", meta.applied.value, ghost.applied.value);
  } else if (meta.applied > ghost_.committed_last()) {
    fail("I5", node, "applies through {}, committed is {}", meta.applied.value,
         ghost_.committed_last().value);
  } else if (meta.prefix_hash != ghost_.committed_prefix(meta.applied)) {
    fail("I5", node, "has applied another log than the committed one through {}",
         meta.applied.value);
  } else if (meta.digest != ghost_.committed_at(meta.applied).digest) {
    fail("I5", node, "its state machine has another digest at {}", meta.applied.value);
  } else if (meta.applied == ghost.to_be_adopted) {
    check_configuration_of(node, "I20", meta.applied, meta.configuration_index, meta.configuration);
    check_contents(node, "installed", meta.applied, contents);
  }
  if (meta.applied >= ghost.to_be_adopted) ghost.to_be_adopted = Index();
  ghost.applied = meta.applied;
}

// --- I20: what a state holds ---

void Invariants::check_contents(std::size_t node, std::string_view what, Index applied,
                                const kv::MemoryStore::Contents* all) {
  if (all == nullptr) {
    if (!ghost_.nodes[node].damaged)
      fail("I20", node, "{} a state at {} that cannot be read", what, applied.value);
    return;
  }
  const kv::MemoryStore::Contents& contents = *all;
  auto it = contents.lower_bound("k");
  for (const auto& [key, history] : ghost_.keys) {
    const Version version = history.at(applied);
    if (!version.value) continue;
    const auto stored = it == contents.end() ? Result<kv::StoredValue>(kv::StoredValue{})
                                             : kv::parse_stored_value(it->second);
    const bool same = it != contents.end() && std::string_view(it->first).substr(1) == key &&
                      stored && stored->index == version.index.value &&
                      checksum64(stored->bytes) == *version.value;
    if (!same) return fail("I20", node, "{} at {} with another '{}'", what, applied.value, key);
    ++it;
  }
  if (it != contents.end() && it->first.starts_with('k')) {
    fail("I20", node, "{} at {} with '{}', which is not there", what, applied.value,
         it->first.substr(1));
  }
}

// How far the state is it says itself: a job that has run may not have been reported yet.
void Invariants::ends_with(std::size_t node, Index reported,
                           const kv::MemoryStore::Contents* contents) {
  if (contents == nullptr) return check_contents(node, "ended", reported, nullptr);
  const auto record = contents->find(replica::kRecordKey);
  const auto meta = record == contents->end() ? Result<replica::StateMeta>(replica::StateMeta{})
                                              : replica::decode_record(record->second);
  if (!meta) {
    fail("I20", node, "ended with a state whose record cannot be read: {}", meta.error().message);
  } else if (meta->applied < reported || meta->applied > ghost_.committed_last()) {
    fail("I20", node, "ended with a state at {}, it has reported {}, committed is {}",
         meta->applied.value, reported.value, ghost_.committed_last().value);
  } else if (meta->prefix_hash != ghost_.committed_prefix(meta->applied)) {
    fail("I20", node, "ended with a state at {} whose prefix is not the committed one",
         meta->applied.value);
  } else {
    check_configuration_of(node, "I20", meta->applied, meta->configuration_index,
                           meta->configuration);
    check_contents(node, "ended", meta->applied, contents);
  }
}

// The configuration of a state is the last of the committed log through its applied index.
void Invariants::check_configuration_of(std::size_t node, std::string_view invariant, Index applied,
                                        Index configuration_index,
                                        const Configuration& configuration) {
  Index last = applied;
  while (last && ghost_.committed_at(last).entry.kind() != raft::EntryKind::configuration)
    last = last.prev();
  const auto expected = last ? Configuration::decode(ghost_.committed_at(last).entry.payload())
                             : Result<Configuration>(Configuration{});
  if (configuration_index != last || !expected || configuration != *expected) {
    fail(invariant, node, "its state at {} has the configuration of {}, that of {} is in force",
         applied.value, configuration_index.value, last.value);
  }
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
  for (const auto& [peer, progress] : raft.progress()) {
    const auto at = ghost_.node_of_member.find(peer);
    if (at == ghost_.node_of_member.end()) continue;  // its disk is gone
    const GhostNode& other = ghost_.nodes[at->second];
    auto seen = std::ranges::find(ghost.progress, peer, &SeenProgress::peer);
    if (seen == ghost.progress.end()) seen = ghost.progress.insert(seen, {peer, Term(), {}, {}});
    if (seen->term != term) *seen = {peer, term, other.incarnation, Index()};
    const Index match = progress.match_index();
    if (match == seen->match) continue;
    if (match >= progress.next_index()) {
      fail("I11", node, "member {}: match {} is not below next {}", peer.value, match.value,
           progress.next_index().value);
    }
    if (match < seen->match) {
      // Once for each restart of the peer, and not before the leader has heard of it.
      if (other.incarnation == seen->incarnation) {
        fail("I11", node, "member {}: match falls from {} to {} in term {}", peer.value,
             seen->match.value, match.value, term.value);
      }
      seen->incarnation = other.incarnation;
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

// --- I8, I9: disks ---

void Invariants::durable_hard_state(std::size_t node, const raft::HardState& hard_state) {
  GhostNode& ghost = ghost_.nodes[node];
  const raft::HardState& before = ghost.durable_hard_state;
  if (hard_state.current_term < before.current_term) {
    fail("I9", node, "on its disk the term falls from {} to {}", before.current_term.value,
         hard_state.current_term.value);
  }
  if (hard_state.current_term == before.current_term && before.voted_for &&
      hard_state.voted_for != before.voted_for) {
    fail("I9", node, "on its disk the vote of term {} changes from {} to {}",
         before.current_term.value, before.voted_for.value, hard_state.voted_for.value);
  }
  ghost.durable_hard_state = hard_state;
  if (hard_state.voted_for && hard_state.voted_for == ghost.member) {
    ghost_.votes[hard_state.current_term].push_back({ghost.member, ghost.member});
  }
}

void Invariants::durable_truncated(std::size_t node, Index from) {
  GhostNode& ghost = ghost_.nodes[node];
  if (from > ghost.durable.last()) return;
  if (from <= ghost_.committed_last() &&
      ghost.durable.at(from).prefix == ghost_.committed_prefix(from)) {
    fail("I8", node, "its disk drops the committed entry {}", from.value);
  }
  ghost.durable.truncate_from(from);
}

void Invariants::durable_appended(std::size_t node, const raft::Entry& entry) {
  LogMirror& log = ghost_.nodes[node].durable;
  if (entry.index() <= log.last()) {
    fail("I2", node, "on its disk entry {} is replaced, and what lies behind it is kept",
         entry.index().value);
    return;
  }
  log.append(entry);
}

// --- I10: snapshots on disks. The mirror of a log goes on to hold what a snapshot stands for. ---

void Invariants::durable_cut(std::size_t node, Index first) {
  const Index before = first.prev();
  if (before > ghost_.committed_last() ||
      !ghost_.nodes[node].durable.holds(before, ghost_.committed_prefix(before))) {
    fail("I10", node, "its disk drops entries that are not committed: its log begins with {}",
         first.value);
  }
  if (before > ghost_.nodes[node].durable_state) {
    fail("I10", node, "its disk's log begins with {}, the state there is synced through {}",
         first.value, ghost_.nodes[node].durable_state.value);
  }
}

void Invariants::durable_state(std::size_t node, Index applied) {
  ghost_.nodes[node].durable_state = applied;
}

void Invariants::durable_installed(std::size_t node, Index index, Term term) {
  if (index > ghost_.committed_last() || ghost_.committed_at(index).entry.term() != term) {
    return fail("I10", node, "a snapshot on its disk ends with entry {} of term {}, not committed",
                index.value, term.value);
  }
  ghost_.nodes[node].durable_state = index;
  ghost_.nodes[node].state_lost = false;
  LogMirror& log = ghost_.nodes[node].durable;
  if (log.holds(index, ghost_.committed_prefix(index))) return;
  log.clear();
  for (Index i = Index(1); i <= index; ++i) log.append(ghost_.committed_at(i).entry);
}

// --- I21: what a start finds ---

namespace {

// In the order in which they become durable.
std::vector<Step> steps_of(std::span<const raft::LogWrite> writes) {
  std::vector<Step> steps;
  for (const raft::LogWrite& write : writes) {
    if (write.hard_state) steps.emplace_back(*write.hard_state);
    if (write.snapshot) steps.emplace_back(&*write.snapshot);
    if (write.truncate_from) steps.emplace_back(*write.truncate_from);
    for (const raft::Entry& entry : write.entries) steps.emplace_back(&entry);
  }
  return steps;
}

bool same_log(const LogMirror& a, const LogMirror& b) {
  return a.last() == b.last() && a.at(a.last()).prefix == b.at(b.last()).prefix;
}

}  // namespace

void Invariants::found(std::size_t node, const FoundOnDisk& found,
                       std::span<const raft::LogWrite> under_way) {
  GhostNode& ghost = ghost_.nodes[node];
  if (found.promise_lost && !ghost.damaged && !ghost.promise_lost) {
    return fail("I21", node, "says that it has lost a promise ({}), its disk has lost nothing",
                found.loss);
  }
  if (found.first.prev() > ghost_.committed_last()) {
    return fail("I10", node, "recovered a log that begins with {}, committed is {}",
                found.first.value, ghost_.committed_last().value);
  }
  ghost.hidden_damage = found.unreadable || found.damage_left;
  if (found.unreadable) return check_unreadable(node, found, under_way);
  LogMirror log;
  for (Index i = Index(1); i < found.first; ++i) log.append(ghost_.committed_at(i).entry);
  for (const raft::Entry& entry : found.entries) log.append(entry);
  if (found.promise_lost) {
    found_less(node, found, log);
  } else {
    const bool lost = ghost.state_lost;
    check_found(node, found, under_way, log);
    // A snapshot that is found installed may have lost its state at rest since.
    if (lost) {
      ghost.state_lost = true;
      ghost.durable_state = Index();
    }
    // A state that is lost has nothing synced, and the log begins where it did.
    const bool whole = !ghost.damaged && !ghost.state_lost;
    if (whole && found.first > Index(1)) durable_cut(node, found.first);
  }
  ghost.promise_lost = found.promise_lost;
}

// The node has not noticed yet. Where its log ends is all that can be seen of it, and not before it
// runs; the promise file is another one, and was not damaged with it.
void Invariants::check_unreadable(std::size_t node, const FoundOnDisk& found,
                                  std::span<const raft::LogWrite> under_way) {
  GhostNode& ghost = ghost_.nodes[node];
  if (!found.promise_lost) (void)check_hard_state(node, found.hard_state, under_way);
  if (!ghost.damaged) {
    return fail("I21", node, "has a log through {} that cannot be read, its disk has lost nothing",
                found.last.value);
  }
  if (found.promise_lost && found.last < ghost.durable.last()) {
    ghost.durable.truncate_from(found.last.next());
  } else {
    ghost.under_way.assign(under_way.begin(), under_way.end());
  }
  ghost.promise_lost = found.promise_lost;
}

// Of the writes that were under way as many are there as it takes to come to this end. An entry's
// index and term tell it from all others, and what is before it.
void Invariants::find_end(std::size_t node, Index last, Term term) {
  GhostNode& ghost = ghost_.nodes[node];
  const std::vector<raft::LogWrite> under_way = std::exchange(ghost.under_way, {});
  for (const Step& step : steps_of(under_way)) {
    const LogMirror& log = ghost.durable;
    if (verdict_.failed() || (log.last() == last && log.at(last).term == term)) return;
    become_durable(node, step);
  }
}

// Less than was promised, and it says so. What is left is what somebody wrote.
void Invariants::found_less(std::size_t node, const FoundOnDisk& found, const LogMirror& log) {
  GhostNode& ghost = ghost_.nodes[node];
  for (Index i = found.first; i <= found.last; ++i) {
    const Ghost::Known* known = ghost_.find_known(i, log.at(i).term);
    if (known == nullptr || known->prefix != log.at(i).prefix)
      return fail("I21", node, "recovered an entry {} that nobody wrote", i.value);
  }
  if (found.hard_state.current_term < ghost.durable_hard_state.current_term) {
    return fail("I9", node, "recovered term {}, its disk had {}",
                found.hard_state.current_term.value, ghost.durable_hard_state.current_term.value);
  }
  ghost.durable = log;
  ghost.durable_hard_state = found.hard_state;
}

// The one that was promised, or one of those under way: then that is durable now. How many steps
// there are through it; the hard states of writes that go together are saved together, before their
// entries.
std::optional<std::size_t> Invariants::check_hard_state(std::size_t node,
                                                        const raft::HardState& found,
                                                        std::span<const raft::LogWrite> under_way) {
  const std::vector<Step> steps = steps_of(under_way);
  const raft::HardState promised = ghost_.nodes[node].durable_hard_state;
  std::optional<std::size_t> through;
  if (found == promised) through = 0;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto* hard_state = std::get_if<raft::HardState>(&steps[i]);
    if (hard_state != nullptr && *hard_state == found) through = i + 1;
  }
  if (!through) {
    fail("I9", node, "recovered term {} and vote {}, its disk has {} and {}",
         found.current_term.value, found.voted_for.value, promised.current_term.value,
         promised.voted_for.value);
  } else if (found != promised) {
    durable_hard_state(node, found);
  }
  return through;
}

// A step of the log; who has the hard states has looked at them before.
void Invariants::become_durable(std::size_t node, const Step& step) {
  if (const auto* const* snapshot = std::get_if<const raft::SnapshotMeta*>(&step)) {
    durable_installed(node, (*snapshot)->last_included_index, (*snapshot)->last_included_term);
  } else if (const auto* from = std::get_if<Index>(&step)) {
    durable_truncated(node, *from);
  } else if (const auto* const* entry = std::get_if<const raft::Entry*>(&step)) {
    durable_appended(node, **entry);
  }
}

// All that was promised, and of what was under way a first part: then that is durable now.
void Invariants::check_found(std::size_t node, const FoundOnDisk& found,
                             std::span<const raft::LogWrite> under_way, const LogMirror& log) {
  const std::vector<Step> steps = steps_of(under_way);
  GhostNode& ghost = ghost_.nodes[node];
  const LogMirror promised = ghost.durable;
  const auto hard_states = check_hard_state(node, found.hard_state, under_way);
  if (!hard_states) return;
  for (std::size_t i = 0; i < steps.size() && !verdict_.failed(); ++i) {
    const auto* const* snapshot = std::get_if<const raft::SnapshotMeta*>(&steps[i]);
    const bool installed = snapshot != nullptr && (*snapshot)->last_included_index < found.first;
    if (same_log(ghost.durable, log) && !installed) continue;
    // What follows a hard state is not there without it.
    if (std::holds_alternative<raft::HardState>(steps[i]) && i >= *hard_states) break;
    become_durable(node, steps[i]);
  }
  if (verdict_.failed() || same_log(ghost.durable, log)) return;
  fail("I21", node, "recovered a log through {} of term {}; promised was one through {} of term {}",
       log.last().value, log.at(log.last()).term.value, promised.last().value,
       promised.at(promised.last()).term.value);
}

}  // namespace raftkv::sim
