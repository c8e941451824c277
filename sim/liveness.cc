// The second phase of a run: a quorum is healed, what is left broken stays so, and the cluster must
// get on.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sim/world.h"

namespace raftkv::sim {
namespace {

constexpr int kElectionTimeouts = 20;  // the bound of "a bounded number of election timeouts"

}  // namespace

// Long enough for elections, and for whatever the first phase left under way to end by its own
// timeouts.
Duration World::settling_time() const {
  return options_.election_timeout * kElectionTimeouts + options_.request_timeout +
         options_.tail_max * 4 + options_.latency_max * 40 + options_.sync_max * 40 +
         options_.work_max * 80;
}

void World::plan(Milestone which, Duration later) {
  kernel_.queue.push({.at = kernel_.now + later,
                      .payload = static_cast<std::uint32_t>(which),
                      .kind = EventKind::phase});
}

void World::milestone(Milestone which) {
  if (which == Milestone::judge) {
    judge();
    judged_ = true;
    return;
  }
  // Snapshots take turns where there are few streams: each member may need the time of one.
  if (++waits_for_snapshots_ < nodes_.size() && snapshot_needed())
    return plan(Milestone::probe, settling_time());
  if (const std::uint64_t lacking = entries_lacking();
      lacking > 0 && !std::exchange(waited_for_entries_, true))
    return plan(Milestone::probe, static_cast<std::int64_t>(lacking) * time_of_an_entry());
  probe();
  plan(Milestone::judge, options_.client_timeout + settling_time());
}

const raft::Raft& World::core(std::size_t node) const {
  return nodes_[node]->process()->host().raft();
}

// Nodes that are well and members of the configuration that `leader` knows, in its order.
std::vector<std::size_t> World::well_members(std::size_t leader) const {
  std::vector<std::size_t> nodes;
  for (const raft::Member& member : core(leader).configuration().members) {
    const auto at = kernel_.ghost.node_of_member.find(member.id);
    if (at != kernel_.ghost.node_of_member.end() && is_well(at->second))
      nodes.push_back(at->second);
  }
  return nodes;
}

// Somebody who is well cannot get on by the leader's log alone.
bool World::snapshot_needed() const {
  const auto leader = find_leader();
  if (!leader) return false;
  return std::ranges::any_of(well_members(*leader), [&](std::size_t node) {
    return core(node).state_lost() ||
           core(node).log().last_index() < core(*leader).log().prev_index();
  });
}

// What somebody who is well lacks of the leader's log, at most.
std::uint64_t World::entries_lacking() const {
  const auto leader = find_leader();
  if (!leader) return 0;
  const raft::Index end = core(*leader).log().last_index();
  std::uint64_t most = 0;
  for (const std::size_t node : well_members(*leader)) {
    const raft::Index last = core(node).log().last_index();
    if (last < end) most = std::max(most, end - last);
  }
  return most;
}

// Where limits let a follower take only one at a time: refused while the one before it is being
// applied, sent again with a heartbeat, made durable and applied.
Duration World::time_of_an_entry() const {
  return options_.heartbeat_interval + options_.latency_max * 2 + options_.sync_max +
         options_.work_max * 2;
}

bool World::heal_a_quorum() {
  kernel_.trace.line(kernel_.now, "--- second phase: a quorum is healed");
  heal(0);
  kernel_.calm = true;
  kernel_.network.calm();
  unclog({});
  for (const auto& client : clients_) client->stop();
  if (!quorums_stay(std::nullopt, std::nullopt)) return false;
  // One node that the others are quorums without may keep a fault for good.
  const std::size_t victim = kernel_.crashes.below(nodes_.size());
  if (kernel_.crashes.chance(1, 2) && may_break_for_good(victim)) left_broken_ = victim;
  for (const auto& node : nodes_) {
    resume(node->number());
    node->set_disk_factor(1);
    // What its process has written since is lost: it would not be the same process any more.
    if (node->running() && node->storage().frozen()) node->kill(Crash::power);
    node->storage().thaw();
    node->storage().set_fault(NodeStorage::Fault::none, 0);
    // Who checks the directory of a node that runs on hidden damage replaces it.
    if (node->running() && kernel_.ghost.nodes[node->number()].damaged) wipe(node->number());
    if (node->has_identity() || node->instance()) start(node->number());
  }
  if (left_broken_) break_for_good(*left_broken_);
  // A leader finds out that its disk has stalled when it has something to write.
  if (left_broken_) nudge_ = nudge_.through(node(static_cast<int>(*left_broken_ + 1)));
  operate(nudge_);
  return true;
}

// Also when a removal that is under way, or a learner's promotion, changes what a quorum is.
bool World::may_break_for_good(std::size_t victim) const {
  if (last_removal_ &&
      kernel_.now - *last_removal_ < options_.client_timeout + options_.request_timeout) {
    return false;
  }
  const auto stays = [&](const raft::Member& member) {
    const auto at = kernel_.ghost.node_of_member.find(member.id);
    return at != kernel_.ghost.node_of_member.end() && at->second != victim;
  };
  const auto most_stay = [&](const Configuration& configuration) {
    const auto left = std::ranges::count_if(configuration.members, stays);
    return static_cast<std::size_t>(left) * 2 > configuration.members.size();
  };
  return quorums_stay(victim, std::nullopt) &&
         std::ranges::all_of(configurations_in_play(), most_stay);
}

void World::break_for_good(std::size_t victim) {
  const auto name = node(static_cast<int>(victim + 1));
  switch (kernel_.crashes.below(3)) {
    case 0:
      return act(power(name));
    case 1:
      return act(isolate(name));
    default:
      return act(disk(name, 0));
  }
}

// A fresh write and a fresh consistent read through every live member.
void World::probe() {
  const auto leader = find_leader();
  if (!leader) return kernel_.verdict.fail("Liveness", "nobody leads, though a quorum is healed");
  std::uint64_t reads = 0;
  for (const std::size_t at : well_members(*leader)) {
    const Who who = node(static_cast<int>(at + 1));
    probes_.push_back(put("probe", fmt::format("probe-{}", at + 1)).through(who));
    // All reads end up with the leader, at once: no more of them than it lets wait.
    if (++reads > options_.reads_waiting_max) continue;
    probes_.push_back(get("probe", Level::consistent).through(who));
  }
  kernel_.closing = true;
  for (const Action& action : probes_) {
    probing_.push_back(clients_.size());
    operate(action);
  }
}

void World::judge() {
  const auto fail = [&](std::string what) { kernel_.verdict.fail("Liveness", std::move(what)); };
  for (std::size_t i = 0; i < probing_.size(); ++i) {
    if (clients_[probing_[i]]->last_outcome() != Outcome::ok) {
      return fail(
          fmt::format("'{}' does not succeed, though a quorum is healed", print(probes_[i])));
    }
  }
  const auto leader = find_leader();
  if (!leader) return fail("nobody leads, though a quorum is healed");
  if (leader == left_broken_) {
    return fail(
        fmt::format("n{} still leads, though it is cut off or its disk has stalled", *leader + 1));
  }
  const raft::Raft& leading = core(*leader);
  const LogMirror& log = kernel_.ghost.nodes[*leader].memory;
  for (const std::size_t at : well_members(*leader)) {
    const raft::Raft& raft = core(at);
    const GhostNode& ghost = kernel_.ghost.nodes[at];
    if (raft.current_term() != leading.current_term() ||
        raft.leader() != leading.identity().member) {
      return fail(fmt::format("n{} does not follow n{}", at + 1, *leader + 1));
    }
    if (ghost.durable.last() != log.last() ||
        !log.holds(ghost.durable.last(), ghost.durable.at(log.last()).prefix)) {
      return fail(fmt::format("n{}'s durable log is not the leader's", at + 1));
    }
    if (raft.last_applied() != leading.log().last_index()) {
      return fail(fmt::format("n{} has applied {}, the log ends at {}", at + 1,
                              raft.last_applied().value, leading.log().last_index().value));
    }
    if (const std::size_t open = nodes_[at]->process()->host().open_requests(); open > 0) {
      return fail(fmt::format("n{} still has {} open requests", at + 1, open));
    }
  }
  if (leading.configuration().joint()) return fail("the configuration is still joint");
}

}  // namespace raftkv::sim
