// What is kept: states, disks, and what a start finds of them.
#include "sim/invariants.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "src/base/checksum.h"
#include "src/kv/store.h"
#include "src/replica/state_record.h"

namespace raftkv::sim {

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

// Until the process has turned to a snapshot that is installed on its disk it may sync the state
// that this replaces: a crash would leave the snapshot all the same.
void Invariants::durable_state(std::size_t node, Index applied) {
  GhostNode& ghost = ghost_.nodes[node];
  if (applied < ghost.replacing) return;
  ghost.replacing = Index();
  ghost.durable_state = applied;
}

void Invariants::durable_installed(std::size_t node, Index index, Term term) {
  if (index > ghost_.committed_last() || ghost_.committed_at(index).entry.term() != term) {
    return fail("I10", node, "a snapshot on its disk ends with entry {} of term {}, not committed",
                index.value, term.value);
  }
  ghost_.nodes[node].durable_state = ghost_.nodes[node].replacing = index;
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
  for (Index i = std::min(ghost.durable.last(), ghost_.committed_last()); i > log.last();
       i = i.prev()) {
    if (ghost.durable.at(i).prefix != ghost_.committed_at(i).prefix) continue;
    ghost.owed = std::max(ghost.owed, i);
    break;
  }
  ghost.durable = log;
  ghost.durable_hard_state = found.hard_state;
}

// It votes and campaigns again: what it acknowledged once and others counted on must be there.
void Invariants::promise_repaired(std::size_t node) {
  GhostNode& ghost = ghost_.nodes[node];
  ghost.promise_lost = false;
  const Index owed = std::exchange(ghost.owed, Index());
  if (!owed || ghost.durable.holds(owed, ghost_.committed_at(owed).prefix)) return;
  fail("I19", node, "counts its lost promise as repaired, without the entry {} that it had",
       owed.value);
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
