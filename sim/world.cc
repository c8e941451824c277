#include "sim/world.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/describe.h"
#include "sim/transport.h"
#include "src/base/check.h"

namespace raftkv::sim {
namespace {

// What waits for a node while it is paused.
bool waits_while_paused(EventKind kind) {
  switch (kind) {
    case EventKind::frame:
    case EventKind::peer_event:
    case EventKind::turn:
    case EventKind::wake:
    case EventKind::job_run:
    case EventKind::job_done:
    case EventKind::request:
      return true;
    default:
      return false;
  }
}

// Meant for one process, and void when that is gone.
bool of_one_process(EventKind kind) {
  return kind == EventKind::turn || kind == EventKind::wake || kind == EventKind::job_run ||
         kind == EventKind::job_done;
}

std::string node_name(std::size_t node) {
  return fmt::format("n{}", node + 1);
}

}  // namespace

World::World(const Options& options, Trace::Sink sink, Watcher* watcher)
    : options_(options),
      kernel_(options, options.voters + options.learners + options.spares, std::move(sink)),
      resolve_([this](const Who& who) { return resolve(who); }),
      held_(options.voters + options.learners + options.spares) {
  kernel_.watcher = watcher;
  for (std::size_t i = 0; i < held_.size(); ++i) {
    nodes_.push_back(std::make_unique<Node>(kernel_, i, node_name(i)));
  }
  found_cluster();
  for (std::size_t i = 0; i < options.schedule.size(); ++i) {
    kernel_.queue.push({.at = options.schedule[i].at,
                        .payload = static_cast<std::uint32_t>(i),
                        .kind = EventKind::action});
  }
}

// A cluster grows from one node by configurations, each in an entry: the first members are written
// as if that had happened, so that a member's number is the index of the entry that added it.
void World::found_cluster() {
  const raft::ClusterId cluster(kernel_.identities.next() | 1);
  const std::size_t members = options_.voters + options_.learners;
  Configuration configuration;
  std::vector<raft::Entry> entries;
  std::vector<raft::InstanceId> instances;
  for (std::size_t i = 0; i < members; ++i) {
    instances.emplace_back(kernel_.identities.next() | 1);
    const MemberId id(i + 1);
    const Node& node = *nodes_[i];
    configuration.members.push_back(
        {id, instances.back(), node.name(), node.http_address(), node.raft_address(), MemberId()});
    if (i < options_.voters) configuration.voters.push_back(id);
    std::string payload;
    configuration.encode(payload);
    entries.push_back(raft::Entry::seal(
        raft::EntryDraft::copy_of(raft::EntryKind::configuration, payload), Term(1), Index(i + 1)));
    kernel_.invariants.begins_with(entries.back());
  }
  for (std::size_t i = 0; i < members; ++i) {
    nodes_[i]->found(cluster, MemberId(i + 1), instances[i], entries);
    kernel_.ghost.nodes[i].member = MemberId(i + 1);
  }
  for (std::size_t i = 0; i < members; ++i) start(i);
}

// --- the run ---

void World::run() {
  run_until(options_.duration);
  if (options_.liveness != 0 && !kernel_.verdict.failed()) run_second_phase();
  if (!kernel_.verdict.failed()) finish();
  if (kernel_.watcher != nullptr) kernel_.watcher->ended(*this);
}

// What is checked once, and what is still to be mixed into the trace's hash.
void World::finish() {
  kernel_.client_checks.finish();
  for (const auto& node : nodes_) {
    if (node->running()) {
      kernel_.invariants.ends_with(node->number(), node->process()->host().applied().applied,
                                   node->storage().contents());
    }
    if (const std::uint64_t trace = node->storage().trace(); trace != 0) kernel_.trace.mix(trace);
  }
}

void World::run_second_phase() {
  kernel_.now = options_.duration;
  if (!heal_a_quorum()) return;
  lively_ = true;
  plan(Milestone::probe, settling_time());
  run_until(Instant::max());
}

void World::run_until(Instant end) {
  while (!kernel_.queue.empty() && kernel_.queue.top().at <= end && !judged_ &&
         !kernel_.verdict.failed()) {
    const Event event = kernel_.queue.pop();
    kernel_.now = event.at;
    ++events_;
    kernel_.trace.mix(static_cast<std::uint64_t>(event.at.count()) << 8 |
                      static_cast<std::uint64_t>(event.kind) << 4 | event.node);
    dispatch(event);
    if (kernel_.watcher != nullptr) kernel_.watcher->happened(*this, event);
  }
}

void World::dispatch(const Event& event) {
  if (nodes_[event.node < nodes_.size() ? event.node : 0]->paused() &&
      waits_while_paused(event.kind)) {
    held_[event.node].push_back(event);
    return;
  }
  switch (event.kind) {
    case EventKind::action:
      return act(options_.schedule[event.payload]);
    case EventKind::response:
      return respond(event.payload);
    case EventKind::client_timeout:
      return clients_[event.payload]->on_timeout(event.epoch);
    case EventKind::client_next:
      return clients_[event.payload]->on_next(event.epoch);
    case EventKind::phase:
      return milestone(static_cast<Milestone>(event.payload));
    default:
      return to_node(event);
  }
}

void World::to_node(const Event& event) {
  Node& node = *nodes_[event.node];
  Process* process = node.process();
  const bool gone =
      process == nullptr || (of_one_process(event.kind) && process->epoch() != event.epoch);
  switch (event.kind) {
    case EventKind::frame: {
      FrameInFlight frame = kernel_.frames.take(event.payload);
      const bool lost = frame.connection != kernel_.network.connection(frame.from, frame.to);
      if (!gone && !lost) process->on_frame(std::move(frame));
      return;
    }
    case EventKind::peer_event: {
      const std::size_t peer = event.payload / 2;
      const bool connected = event.payload % 2 == 1;
      if (gone) return;
      return process->on_peer_event(
          peer, nodes_[peer]->identity().member,
          connected ? raft::PeerEvent::connected : raft::PeerEvent::disconnected);
    }
    case EventKind::request:
      if (!gone) return process->on_request(event.payload);
      kernel_.exchanges[event.payload].status = kRefused;
      return send_response(kernel_, event.payload);
    case EventKind::join_timer: {
      std::vector<std::string> endpoints;
      for (const auto& other : nodes_) {
        if (other->number() != node.number()) endpoints.push_back(other->http_address());
      }
      return node.on_join_timer(event.payload, std::move(endpoints));
    }
    case EventKind::turn:
      if (!gone) process->on_turn();
      return;
    case EventKind::wake:
      if (!gone) process->on_wake(event.payload);
      return;
    case EventKind::job_run:
    case EventKind::job_done:
      if (gone) return;
      process->on_job(event.kind, event.payload);
      // The disk stopped within the job: the machine is gone, and nobody hears of the job's end.
      if (node.storage().frozen()) return node.kill(Crash::power);
      if (process->host().stopped()) node.stopped();
      return;
    default:
      CHECK(false, "no event of a node");
  }
}

void World::respond(std::uint32_t at) {
  const Exchange exchange = kernel_.exchanges.take(at);
  if (exchange.requester >= kJoiningFrom)
    return nodes_[exchange.requester - kJoiningFrom]->on_response(exchange);
  clients_[exchange.requester]->on_response(exchange);
}

// --- actions ---

void World::act(const Action& action) {
  if (kernel_.trace.on()) kernel_.trace.line(kernel_.now, "--- {}", print(action));
  if (is_operation(action.verb) || is_administration(action.verb)) return operate(action);
  switch (action.verb) {
    case Verb::isolate:
    case Verb::split:
    case Verb::mute:
    case Verb::deafen:
    case Verb::bridge:
    case Verb::ring:
    case Verb::cut_clients:
      return cut(action);
    case Verb::heal:
      return heal(action.label);
    case Verb::unclog:
      return unclog(action);
    case Verb::weather:
      return kernel_.network.weather(action.count, action.count2, action.count3);
    default:
      break;
  }
  const auto who = resolve(action.who);
  if (!who) return;
  Node& node = *nodes_[*who];
  switch (action.verb) {
    case Verb::kill:
      return node.kill(Crash::process);
    case Verb::power:
      return node.kill(Crash::power);
    case Verb::strike:
      // A disk that has stopped already does not go on: its process is about to be killed.
      if (node.running() && !node.storage().frozen()) node.storage().freeze_after(action.count);
      return;
    case Verb::start:
      return start(*who);
    case Verb::pause:
      if (node.running()) node.pause();
      return;
    case Verb::resume:
      return resume(*who);
    case Verb::wipe:
      return wipe(*who);
    case Verb::damage:
      return damage(*who);
    case Verb::fail_syncs:
      return node.storage().set_fault(NodeStorage::Fault::syncs, 0);
    case Verb::fail_reads:
      return node.storage().set_fault(NodeStorage::Fault::reads, 0);
    case Verb::full:
      return node.storage().set_fault(NodeStorage::Fault::full, action.count);
    case Verb::mend:
      return node.storage().set_fault(NodeStorage::Fault::none, 0);
    case Verb::flip:
    case Verb::zero:
    case Verb::chop:
    case Verb::lose:
      return rot(*who, action);
    case Verb::disk:
      return node.set_disk_factor(action.count);
    default:
      break;
  }
  const auto other = resolve(action.other);
  if (!other || *other == *who) return;
  if (action.verb == Verb::clog) {
    kernel_.network.clog(node.endpoint(), nodes_[*other]->endpoint(), true);
  } else if (action.verb == Verb::reset) {
    break_connections(kernel_, node.endpoint(), nodes_[*other]->endpoint());
  }
}

void World::operate(const Action& action) {
  if (action.verb == Verb::remove) {
    last_removal_ = kernel_.now;
    const auto who = resolve(action.who);
    if (!who || !quorums_stay(std::nullopt, who)) return;
    removals_[*who] = kernel_.now;
  }
  std::size_t at = 0;
  const auto number = static_cast<std::size_t>(action.client);
  if (number > 0) {
    if (client_of_number_.size() <= number) client_of_number_.resize(number + 1);
    at = client_of_number_[number];
  }
  if (at == 0) {
    const auto next = static_cast<Requester>(clients_.size());
    clients_.push_back(std::make_unique<Client>(kernel_, next, processes_,
                                                kernel_.stream(Stream::clients, next), resolve_));
    at = clients_.size();
    if (number > 0) client_of_number_[number] = at;
  }
  clients_[at - 1]->enqueue(action);
}

void World::start(std::size_t node) {
  if (nodes_[node]->started()) return;
  std::vector<std::string> endpoints;
  for (const auto& other : nodes_) {
    if (other->number() != node) endpoints.push_back(other->http_address());
  }
  held_[node].clear();
  nodes_[node]->start(std::move(endpoints));
}

void World::resume(std::size_t node) {
  if (!nodes_[node]->paused()) return;
  nodes_[node]->resume();
  for (Event event : held_[node]) {
    event.at = kernel_.now;
    kernel_.queue.push(event);
  }
  held_[node].clear();
}

void World::wipe(std::size_t node) {
  if (nodes_[node]->has_identity()) {
    if (!quorums_stay(node, std::nullopt)) return;
    wiped_[kernel_.ghost.nodes[node].member] = kernel_.now;
  }
  nodes_[node]->wipe();
}

// Those who keep theirs must be able to lead without it.
void World::damage(std::size_t node) {
  if (!nodes_[node]->has_identity() || !quorums_stay(node, std::nullopt)) return;
  nodes_[node]->lose_state();
}

// What it may lose by it must be elsewhere.
void World::rot(std::size_t node, const Action& how) {
  if (options_.leveldb == 0) return;
  if (!nodes_[node]->has_identity() || !quorums_stay(node, std::nullopt)) return;
  nodes_[node]->rot(how);
}

void World::unclog(const Action& action) {
  const auto one = resolve(action.who);
  const auto two = resolve(action.other);
  std::erase_if(kernel_.clogged, [&](std::uint32_t at) {
    const FrameInFlight& frame = kernel_.frames[at];
    if (one && two && (frame.from != *one || frame.to != *two)) return false;
    kernel_.queue.push({.at = kernel_.now + kernel_.network.latency(),
                        .payload = at,
                        .kind = EventKind::frame,
                        .node = frame.to});
    return true;
  });
  for (std::size_t from = 0; from < nodes_.size(); ++from) {
    for (std::size_t to = 0; to < nodes_.size(); ++to) {
      if (one && two && (from != *one || to != *two)) continue;
      kernel_.network.clog(static_cast<Endpoint>(from), static_cast<Endpoint>(to), false);
    }
  }
}

// --- cuts ---

void World::heal(std::uint32_t label) {
  kernel_.network.heal(label);
  // Who lost a connection before, or could not be told of a restart, connects again.
  const auto connects = [&](const Node& node, const Node& other) {
    return node.running() && other.running() && node.process()->disconnected(other.number()) &&
           kernel_.network.open(node.endpoint(), other.endpoint()) &&
           kernel_.network.open(other.endpoint(), node.endpoint());
  };
  for (const auto& node : nodes_) {
    for (const auto& other : nodes_) {
      if (!connects(*node, *other)) continue;
      push_peer_event(kernel_, node->endpoint(), other->endpoint(), raft::PeerEvent::connected,
                      kernel_.now + kernel_.network.latency());
    }
  }
}

void World::cut(const Action& action) {
  std::vector<Network::Link> links = links_of(action);
  if (!links.empty()) kernel_.network.cut(action.label, std::move(links));
}

std::vector<bool> World::members_of(const std::vector<Who>& group) const {
  std::vector<bool> in(nodes_.size());
  for (const Who& who : group) {
    if (const auto node = resolve(who)) in[*node] = true;
  }
  return in;
}

std::vector<Network::Link> World::links_of(const Action& action) const {
  const std::size_t count = nodes_.size();
  std::vector<Network::Link> links;
  const auto block = [&](std::size_t from, std::size_t to) {
    if (from != to) links.push_back({static_cast<Endpoint>(from), static_cast<Endpoint>(to)});
  };
  const auto block_where = [&](auto blocked) {
    for (std::size_t a = 0; a < count; ++a) {
      for (std::size_t b = 0; b < count; ++b) {
        if (blocked(a, b)) block(a, b);
      }
    }
  };
  if (action.verb == Verb::split) {
    const std::vector<bool> in = members_of(action.group);
    block_where([&](std::size_t a, std::size_t b) { return in[a] != in[b]; });
    return links;
  }
  if (action.verb == Verb::ring) {
    // As many neighbours on each side as make a majority with the node itself.
    const std::size_t reach = (count / 2 + 1) / 2;
    block_where([&](std::size_t a, std::size_t b) {
      const std::size_t apart = a > b ? a - b : b - a;
      return std::min(apart, count - apart) > reach;
    });
    return links;
  }
  const auto who = resolve(action.who);
  if (!who) return links;
  switch (action.verb) {
    case Verb::isolate:
      block_where([&](std::size_t a, std::size_t b) { return a == *who || b == *who; });
      break;
    case Verb::mute:
      block_where([&](std::size_t a, std::size_t) { return a == *who; });
      break;
    case Verb::deafen:
      block_where([&](std::size_t, std::size_t b) { return b == *who; });
      break;
    case Verb::bridge: {
      // The others, in the order of their numbers, first half against second half.
      const auto half = [&](std::size_t a) { return (a > *who ? a - 1 : a) < (count - 1) / 2; };
      block_where([&](std::size_t a, std::size_t b) {
        return a != *who && b != *who && half(a) != half(b);
      });
      break;
    }
    case Verb::cut_clients:
      block(*who, count);
      block(count, *who);
      break;
    default:
      break;
  }
  return links;
}

// --- who is who ---

std::optional<std::size_t> World::find_leader() const {
  std::optional<std::size_t> best;
  Term best_term;
  for (const auto& node : nodes_) {
    if (!node->running() || node->process()->host().raft().role() != raft::Role::leader) continue;
    const Term term = node->process()->host().raft().current_term();
    if (term > best_term) {
      best = node->number();
      best_term = term;
    }
  }
  return best;
}

std::optional<std::size_t> World::find_deposed() const {
  const auto leader = find_leader();
  std::optional<std::size_t> best;
  for (const auto& node : nodes_) {
    if (!node->running() || node->number() == leader) continue;
    if (node->process()->host().raft().role() == raft::Role::leader) return node->number();
  }
  if (!kernel_.ghost.leaders.empty()) best = kernel_.ghost.leaders.rbegin()->second.node;
  if (best && nodes_[*best]->running() && !reaches_majority(*best)) return best;
  return find_side(false);
}

bool World::reaches_majority(std::size_t node) const {
  std::size_t reached = 0;
  std::size_t all = 0;
  for (const auto& other : nodes_) {
    if (!other->has_identity()) continue;
    ++all;
    const bool both = kernel_.network.open(static_cast<Endpoint>(node), other->endpoint()) &&
                      kernel_.network.open(other->endpoint(), static_cast<Endpoint>(node));
    if (other->running() && both) ++reached;
  }
  return reached * 2 > all;
}

std::optional<std::size_t> World::find_side(bool majority) const {
  std::optional<std::size_t> best;
  for (const auto& node : nodes_) {
    if (!node->running() || reaches_majority(node->number()) != majority) continue;
    if (node->process()->host().raft().role() == raft::Role::leader) return node->number();
    if (!best) best = node->number();
  }
  return best;
}

std::optional<std::size_t> World::resolve(const Who& who) const {
  const auto first_running = [&](std::optional<std::size_t> but) -> std::optional<std::size_t> {
    for (const auto& node : nodes_) {
      if (node->running() && node->number() != but) return node->number();
    }
    return std::nullopt;
  };
  switch (who.kind) {
    case Who::Kind::none:
      return std::nullopt;
    case Who::Kind::node: {
      const auto number = static_cast<std::size_t>(who.number - 1);
      return number < nodes_.size() ? std::optional(number) : std::nullopt;
    }
    case Who::Kind::leader: {
      const auto leader = find_leader();
      return leader ? leader : first_running(std::nullopt);
    }
    case Who::Kind::follower:
      return first_running(find_leader());
    case Who::Kind::deposed:
      return find_deposed();
    case Who::Kind::majority:
      return find_side(true);
    case Who::Kind::minority:
      return find_side(false);
  }
  return std::nullopt;
}

// --- what may be lost for ever ---

std::vector<Configuration> World::configurations_in_play() const {
  std::vector<Configuration> found;
  const auto add = [&](Index index, Term term) {
    const Ghost::Known* known = kernel_.ghost.find_known(index, term);
    if (known == nullptr || known->entry.kind() != raft::EntryKind::configuration) return;
    auto configuration = Configuration::decode(known->entry.payload());
    if (configuration && std::ranges::find(found, *configuration) == found.end()) {
      found.push_back(*std::move(configuration));
    }
  };
  // The last committed one, and every one behind it in anybody's memory or on anybody's disk.
  Index last = kernel_.ghost.committed_last();
  while (last && kernel_.ghost.committed_at(last).entry.kind() != raft::EntryKind::configuration)
    last = last.prev();
  if (last) add(last, kernel_.ghost.committed_at(last).entry.term());
  for (const GhostNode& node : kernel_.ghost.nodes) {
    for (const LogMirror* log : {&node.memory, &node.durable}) {
      for (Index i = last.next(); i <= log->last(); ++i) add(i, log->at(i).term);
    }
  }
  return found;
}

bool World::removal_under_way(std::size_t node) const {
  const auto asked = removals_.find(node);
  return asked != removals_.end() &&
         kernel_.now - asked->second < options_.client_timeout + options_.request_timeout;
}

// A learner that is no more, and that a leader may still take for one in contact and promote: it
// counts then, and never answers.
bool World::may_count_though_lost(MemberId learner, std::optional<std::size_t> lost) const {
  const auto at = kernel_.ghost.node_of_member.find(learner);
  if (at != kernel_.ghost.node_of_member.end()) return at->second == lost;
  const auto wiped = wiped_.find(learner);
  return wiped != wiped_.end() && kernel_.now - wiped->second < 2 * options_.election_timeout;
}

bool World::quorums_stay(std::optional<std::size_t> lost,
                         std::optional<std::size_t> removed) const {
  const auto quorum_stays = [&](const raft::VoterSet& voters, std::size_t promoted) {
    std::size_t all = promoted;
    std::size_t left = 0;
    for (const MemberId member : voters) {
      const auto at = kernel_.ghost.node_of_member.find(member);
      const bool there = at != kernel_.ghost.node_of_member.end();
      const bool stays =
          there && !kernel_.ghost.nodes[at->second].has_lost_something() && at->second != lost;
      // A removal that is still on its way takes one away that counts, or changes nothing.
      if (there && (at->second == removed || (stays && removal_under_way(at->second)))) continue;
      ++all;
      if (stays) ++left;
    }
    return all == 0 || left * 2 > all;
  };
  return std::ranges::all_of(configurations_in_play(), [&](const Configuration& configuration) {
    const auto lost_learners =
        std::ranges::count_if(configuration.members, [&](const raft::Member& member) {
          return configuration.is_learner(member.id) && may_count_though_lost(member.id, lost);
        });
    return quorum_stays(configuration.voters, static_cast<std::size_t>(lost_learners)) &&
           quorum_stays(configuration.outgoing, 0);
  });
}

// --- reports ---

std::string World::state() const {
  std::string text;
  for (const auto& node : nodes_) {
    const GhostNode& ghost = kernel_.ghost.nodes[node->number()];
    text += fmt::format("  {:4}", node->name());
    if (!node->running()) {
      text += node->joining() ? " joining" : " down";
    } else {
      const raft::Raft& raft = node->process()->host().raft();
      text += fmt::format(
          " member={} incarnation={} {} term={} vote={} commit={} applied={} stable={} last={}/{}",
          raft.identity().member.value, raft.identity().incarnation.value,
          raft::to_string(raft.role()), raft.current_term().value, raft.voted_for().value,
          raft.commit_index().value, raft.last_applied().value, raft.stable_index().value,
          raft.log().last_index().value, raft.log().last_term().value);
      if (node->paused()) text += " paused";
      if (raft.promise_lost()) text += " promise-lost";
    }
    text += fmt::format("; disk: term={} vote={} log={}/{}\n",
                        ghost.durable_hard_state.current_term.value,
                        ghost.durable_hard_state.voted_for.value, ghost.durable.last().value,
                        ghost.durable.at(ghost.durable.last()).term.value);
  }
  text += fmt::format("  committed: {}; leaders:", kernel_.ghost.committed_last().value);
  std::size_t shown = 0;
  for (auto it = kernel_.ghost.leaders.rbegin(); it != kernel_.ghost.leaders.rend() && shown < 5;
       ++it, ++shown) {
    text += fmt::format(" term {}=n{}", it->first.value, it->second.node + 1);
  }
  return text + "\n";
}

}  // namespace raftkv::sim
