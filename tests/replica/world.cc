#include "tests/replica/world.h"

#include <algorithm>

#include "src/base/check.h"

namespace raftkv::replica {

// --- a node ---

World::Node::Node(World& world, std::string node_name, raft::InstanceId instance_id)
    : name(std::move(node_name)),
      http_address(name + ":http"),
      raft_address(name + ":raft"),
      options(world.options_),
      world_(world) {
  identity.cluster = world.cluster_;
  identity.instance = instance_id;
}

void World::Node::start() {
  CHECK(!up());
  CHECK(identity.member);
  ++identity.incarnation;
  log_store = std::make_unique<MemoryLogStore>(log);
  state_store = std::make_unique<StateStore>(contents);
  auto meta = state_store->load();
  CHECK(meta.has_value());
  options.name = name;
  options.http_address = http_address;
  options.raft_address = raft_address;
  events.clear();
  raft::Recovered recovered = recover(log, *meta);
  const std::uint64_t seed = world_.prng_.next();
  host = std::make_unique<Host>(options, identity, std::move(recovered), *meta,
                                HostPorts{*this, *this, log_worker, apply_worker, read_worker,
                                          upkeep_worker, *this, *this, *log_store, *state_store},
                                Prng(seed));
}

void World::Node::stop_process() {
  CHECK(up());
  log_worker.jobs.clear();
  apply_worker.jobs.clear();
  read_worker.jobs.clear();
  upkeep_worker.jobs.clear();
  host.reset();
  // Of what was written and not synced the machine may have saved a part.
  log = log_store->torn(world_.prng_.below(log_store->unsynced() + 1));
  contents.restart(log.state_number);
  turn_asked = false;
  wake_up = kNever;
  kept.clear();
  log_stalled = apply_stalled = read_stalled = false;
}

bool World::Node::observed_stop() const {
  return std::ranges::any_of(events,
                             [](const Event& e) { return std::holds_alternative<Stopped>(e); });
}

void World::Node::send(const PeerAddress& to, raft::Frame frame) {
  CHECK(to.member != identity.member);
  for (const auto& [other, node] : world_.nodes_) {
    if (node->raft_address != to.address) continue;
    Packet packet{.from = name, .to = other, .bytes = frame.flatten()};
    if (world_.is_cut(name, other) || (world_.drop && world_.drop(packet))) return;
    world_.network_.push_back(std::move(packet));
    return;
  }
}

void World::Node::respond(Ticket ticket, Reply reply) {
  CHECK(world_.open_.erase(ticket) == 1, "a ticket was answered that is not open");
  const bool first = world_.replies_.emplace(ticket, std::move(reply)).second;
  CHECK(first, "a ticket was answered twice");
}

void World::Node::HandWorker::pump() {
  auto [job, done] = std::move(jobs.front());
  jobs.pop_front();
  Status status = job();
  done(std::move(status));
}

// --- nodes ---

World::~World() {
  for (auto& [name, node] : nodes_) {
    if (node->up()) node->stop_process();
  }
}

World::Node& World::add(const std::string& name) {
  auto node = std::make_unique<Node>(*this, name, raft::InstanceId(next_instance_++));
  return *(nodes_[name] = std::move(node));
}

World::Node& World::bootstrap(const std::string& name) {
  Node& node = add(name);
  node.identity.member = raft::MemberId(1);
  std::string payload;
  raft::bootstrap_configuration(name, node.identity.instance, node.http_address, node.raft_address)
      .encode(payload);
  node.log.hard_state.current_term = Term(1);
  node.log.entries.push_back(raft::Entry::seal(
      raft::EntryDraft::copy_of(raft::EntryKind::configuration, payload), Term(1), Index(1)));
  node.log.through = Index(1);
  start(name);
  return node;
}

World::Node& World::join(const std::string& name) {
  Node& node = add(name);
  for (int attempt = 0;; ++attempt) {
    CHECK(attempt < 50, "nobody lets the node in");
    const Reply reply =
        ask(elect(), Join{name, node.http_address, node.raft_address, node.identity.instance});
    if (const auto* joined = std::get_if<Joined>(&reply.answer)) {
      node.identity.member = joined->member;
      break;
    }
    run_for(100ms);
  }
  start(name);
  const bool promoted = run_until([&] {
    const raft::Configuration& c = node.host->raft().configuration();
    return !c.joint() && c.is_voter(node.identity.member);
  });
  CHECK(promoted, "the learner was not promoted");
  run_for(300ms);  // until that is committed everywhere
  return node;
}

void World::start(const std::string& name) {
  node(name).start();
}

Host& World::host(const std::string& name) {
  CHECK(node(name).up());
  return *node(name).host;
}

void World::kill(const std::string& name, bool silently) {
  Node& dead = node(name);
  dead.stop_process();
  std::erase_if(open_, [&](const auto& open) {
    if (open.second != name) return false;
    died_.insert(open.first);
    return true;
  });
  if (silently) return;
  for (auto& [other, node] : nodes_) {
    if (node->up() && !is_cut(name, other)) {
      node->host->peer_event(dead.identity.member, raft::PeerEvent::disconnected);
    }
  }
}

void World::forget_state(const std::string& name) {
  CHECK(!node(name).up());
  node(name).contents.forget();
}

// --- network ---

bool World::is_cut(const std::string& a, const std::string& b) const {
  return cuts_.contains(std::minmax(a, b));
}

void World::cut(const std::string& a, const std::string& b) {
  cuts_.insert(std::minmax(a, b));
}

void World::isolate(const std::string& name) {
  for (const auto& [other, node] : nodes_) {
    if (other != name) cut(name, other);
  }
}

void World::deliver(Packet packet) {
  Node& to = node(packet.to);
  if (!to.up() || is_cut(packet.from, packet.to)) return;
  // An error closes the connection; what that means for the frames of this test is its own
  // business.
  (void)to.host->receive(SharedBytes::from(std::move(packet.bytes)));
}

// --- time ---

void World::collect(std::vector<Choice>& out) const {
  out.clear();
  for (const auto& [name, node] : nodes_) {
    if (!node->up()) continue;
    Node* const n = node.get();
    if (n->turn_asked) out.push_back({n, 0, 0});
    if (!n->log_worker.jobs.empty() && !n->log_stalled) out.push_back({n, 1, 0});
    if (!n->apply_worker.jobs.empty() && !n->apply_stalled) out.push_back({n, 2, 0});
    if (!n->read_worker.jobs.empty() && !n->read_stalled) out.push_back({n, 3, 0});
    if (!n->upkeep_worker.jobs.empty()) out.push_back({n, 5, 0});
  }
  for (std::size_t i = 0; i < network_.size(); ++i) out.push_back({nullptr, 4, i});
}

void World::run(const Choice& choice) {
  switch (choice.what) {
    case 0:
      choice.node->turn_asked = false;
      return choice.node->host->turn();
    case 1:
      return choice.node->log_worker.pump();
    case 2:
      return choice.node->apply_worker.pump();
    case 3:
      return choice.node->read_worker.pump();
    case 5:
      return choice.node->upkeep_worker.pump();
    default: {
      Packet packet = std::move(network_[choice.packet]);
      network_.erase(network_.begin() + static_cast<std::ptrdiff_t>(choice.packet));
      return deliver(std::move(packet));
    }
  }
}

bool World::step_first() {
  std::vector<Choice> choices;
  collect(choices);
  if (choices.empty()) return false;
  run(choices.front());
  return true;
}

bool World::step_random() {
  std::vector<Choice> choices;
  collect(choices);
  if (choices.empty()) return false;
  run(choices[prng_.below(choices.size())]);
  return true;
}

Time World::next_wake_up() const {
  Time next = kNever;
  for (const auto& [name, node] : nodes_) {
    if (node->up()) next = std::min(next, node->wake_up);
  }
  return next;
}

void World::advance(Duration by) {
  now_ += by;
  for (auto& [name, node] : nodes_) {
    if (!node->up() || node->wake_up > now_) continue;
    node->wake_up = kNever;
    node->host->expire();
  }
}

bool World::run_until(const std::function<bool()>& done, Duration limit) {
  const Time end = now_ + limit;
  while (!done()) {
    if (step_first()) continue;
    const Time next = next_wake_up();
    if (next > end) {
      advance(end - now_);
      while (step_first()) {
      }
      return done();
    }
    advance(std::max(Duration(0), next - now_));
  }
  return true;
}

void World::run_for(Duration duration) {
  (void)run_until([] { return false; }, duration);
}

// --- clients ---

Ticket World::submit(const std::string& name, Request request) {
  const Ticket ticket(next_ticket_++);
  open_[ticket] = name;
  host(name).submit(ticket, std::move(request));
  return ticket;
}

const Reply* World::reply(Ticket ticket) const {
  const auto it = replies_.find(ticket);
  return it == replies_.end() ? nullptr : &it->second;
}

Reply World::ask(const std::string& name, Request request) {
  const Ticket ticket = submit(name, std::move(request));
  const bool answered = run_until([&] { return reply(ticket) != nullptr; }, 60s);
  CHECK(answered, "a request got no answer");
  return *reply(ticket);
}

std::string World::leader() const {
  const Node* best = nullptr;
  for (const auto& [name, node] : nodes_) {
    if (!node->up() || node->host->raft().role() != raft::Role::leader) continue;
    if (best == nullptr || node->host->raft().current_term() > best->host->raft().current_term()) {
      best = node.get();
    }
  }
  return best == nullptr ? "" : best->name;
}

std::string World::elect() {
  const bool elected = run_until([&] {
    const std::string name = leader();
    return !name.empty() && host(name).raft().may_serve_default_reads();
  });
  CHECK(elected, "nobody was elected");
  return leader();
}

// --- small words ---

Request set(const std::string& key, const std::string& value) {
  return Write{kv::encode_set(key, value)};
}
Request del(const std::string& key) {
  return Write{kv::encode(kv::Delete{key})};
}
Request get(const std::string& key, Level level) {
  return Read{key, level};
}
const Failed* failure_of(const Reply& reply) {
  return std::get_if<Failed>(&reply.answer);
}

}  // namespace raftkv::replica
