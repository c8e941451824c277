#include "tests/raft/cluster.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/base/check.h"
#include "src/raft/wire.h"

namespace raftkv::raft {
namespace {

std::string join(const std::vector<std::uint64_t>& numbers) {
  return fmt::format("{}", fmt::join(numbers, ","));
}

std::string describe_set(const VoterSet& set) {
  std::vector<std::uint64_t> numbers;
  for (const MemberId id : set) numbers.push_back(id.value);
  return join(numbers);
}

std::string describe_entries(const std::vector<Entry>& entries) {
  std::string out;
  for (const Entry& e : entries)
    out += fmt::format("{}{}/{}", out.empty() ? "" : ",", e.index().value, e.term().value);
  return out;
}

struct Describer {
  std::string operator()(const PreVote& m) const {
    return fmt::format("next_term={} last={}/{}", m.next_term.value, m.last_log_index.value,
                       m.last_log_term.value);
  }
  std::string operator()(const PreVoteReply& m) const {
    return m.vote_granted ? "granted" : "refused";
  }
  std::string operator()(const RequestVote& m) const {
    return fmt::format("last={}/{}{}", m.last_log_index.value, m.last_log_term.value,
                       m.leadership_transfer ? " transfer" : "");
  }
  std::string operator()(const RequestVoteReply& m) const {
    return m.vote_granted ? "granted" : "refused";
  }
  std::string operator()(const AppendEntries& m) const {
    std::string out = fmt::format("prev={}/{} commit={}", m.prev_log_index.value,
                                  m.prev_log_term.value, m.leader_commit.value);
    if (m.read_round) out += fmt::format(" round={}", m.read_round.value);
    if (!m.entries.empty()) out += " entries=" + describe_entries(m.entries);
    return out;
  }
  std::string operator()(const AppendEntriesReply& m) const {
    std::string out = fmt::format("match={}", m.match_index.value);
    if (m.read_round) out += fmt::format(" round={}", m.read_round.value);
    if (m.conflict) {
      out += fmt::format(" conflict prev={} hint={}/{}", m.conflict->prev_log_index.value,
                         m.conflict->hint_index.value, m.conflict->hint_term.value);
    }
    if (m.snapshot_wanted) out += " snapshot_wanted";
    return out;
  }
  std::string operator()(const TimeoutNow&) const { return ""; }
  std::string operator()(const InstallSnapshot& m) const {
    return fmt::format("snapshot={}/{} stream={} chunk={}{}", m.snapshot.last_included_index.value,
                       m.snapshot.last_included_term.value, m.stream.value, m.chunk,
                       m.last ? " last" : "");
  }
  std::string operator()(const InstallSnapshotReply& m) const {
    std::string out = fmt::format("stream={} next_chunk={}", m.stream.value, m.next_chunk);
    if (m.installed) out += fmt::format(" installed={}", m.installed.value);
    if (m.failed) out += " failed";
    return out;
  }
};

struct EventDescriber {
  std::string operator()(const RoleChanged& e) const {
    return fmt::format("{} term={}: {}", to_string(e.role), e.term.value, e.reason);
  }
  std::string operator()(const LeaderChanged& e) const {
    return e.leader ? fmt::format("follows {}", e.leader.value) : "follows nobody";
  }
  std::string operator()(const Committed& e) const {
    return fmt::format("commit={}", e.commit_index.value);
  }
  std::string operator()(const Truncated& e) const {
    return fmt::format("truncates from {}", e.from.value);
  }
  std::string operator()(const ConfigurationChanged& e) const {
    std::string out = fmt::format("configuration {} voters={}", e.index.value,
                                  describe_set(e.configuration.voters));
    if (e.configuration.joint()) out += " outgoing=" + describe_set(e.configuration.outgoing);
    VoterSet learners;
    for (const Member& m : e.configuration.members) {
      if (e.configuration.is_learner(m.id)) learners.push_back(m.id);
    }
    if (!learners.empty()) out += " learners=" + describe_set(learners);
    return out;
  }
  std::string operator()(const TransferEnded& e) const {
    return fmt::format("transfer to {} {}", e.target.value, e.done ? "left" : "given up");
  }
  std::string operator()(const PromiseRepaired&) const { return "promise repaired"; }
  std::string operator()(const SnapshotInstalled& e) const {
    return fmt::format("installs snapshot {}/{}", e.index.value, e.term.value);
  }
  std::string operator()(const SnapshotSent& e) const {
    return fmt::format("has sent {} a snapshot at {}", e.peer.value, e.index.value);
  }
  std::string operator()(const LogCutTo& e) const {
    return fmt::format("cuts its log before {}", e.first.value);
  }
};

Configuration configuration_in(const std::vector<Entry>& log, Index through, Index& at) {
  Configuration configuration;
  for (const Entry& e : log) {
    if (e.index() > through || e.kind() != EntryKind::configuration) continue;
    configuration = Configuration::decode(e.payload()).value();
    at = e.index();
  }
  return configuration;
}

}  // namespace

Configuration configuration_of(const std::vector<std::uint64_t>& voters,
                               const std::vector<std::uint64_t>& learners) {
  std::vector<std::uint64_t> all = voters;
  all.insert(all.end(), learners.begin(), learners.end());
  std::sort(all.begin(), all.end());
  Configuration c;
  for (const std::uint64_t id : all) {
    c.members.push_back({.id = MemberId(id),
                         .instance = InstanceId(100 + id),
                         .name = fmt::format("n{}", id),
                         .http_address = fmt::format("h{}", id),
                         .raft_address = fmt::format("r{}", id),
                         .replaces = MemberId()});
  }
  for (const std::uint64_t id : voters) c.voters.push_back(MemberId(id));
  std::sort(c.voters.begin(), c.voters.end());
  return c;
}

std::string describe(const Envelope& e) {
  std::string body = std::visit(Describer{}, e.message);
  return fmt::format("{}->{} {} term={}{}{}", e.route.from.value, e.route.to.value,
                     name_of(e.message), e.term.value, body.empty() ? "" : " ", body);
}

std::string describe(MemberId node, const Event& event) {
  return fmt::format("{} {}", node.value, std::visit(EventDescriber{}, event));
}

std::string describe(const Node& node) {
  if (!node.up) return fmt::format("{} down log={}", node.id.value, node.disk.log.size());
  const Raft& raft = *node.raft;
  std::vector<std::uint64_t> terms;
  for (Index i(1); i <= raft.log().last_index(); ++i) terms.push_back(raft.log().term(i)->value);
  return fmt::format("{} {} term={} vote={} leader={} commit={} applied={} stable={} log={}",
                     node.id.value, to_string(raft.role()), raft.current_term().value,
                     raft.voted_for().value, raft.leader().value, raft.commit_index().value,
                     raft.last_applied().value, raft.stable_index().value, join(terms));
}

Node& Cluster::add(MemberId id, const Configuration& configuration,
                   const std::vector<std::uint64_t>& terms, HardState hard_state) {
  Node& node = add_empty(id);
  node.disk.hard_state = hard_state;
  for (const std::uint64_t term : terms) {
    const Index index(node.disk.log.size() + 1);
    std::string payload = fmt::format("{}@{}", index.value, term);
    EntryKind kind = EntryKind::command;
    if (index == Index(1)) {
      payload.clear();
      configuration.encode(payload);
      kind = EntryKind::configuration;
    }
    node.disk.log.push_back(Entry::seal(EntryDraft::copy_of(kind, payload), Term(term), index));
  }
  return node;
}

Node& Cluster::add_empty(MemberId id) {
  auto& slot = nodes_[id];
  slot = std::make_unique<Node>();
  slot->id = id;
  return *slot;
}

void Cluster::start(MemberId id) {
  Node& n = node(id);
  CHECK(!n.up);
  ++n.disk.incarnation;
  Recovered recovered;
  recovered.hard_state = n.disk.hard_state;
  recovered.applied = n.disk.applied;
  recovered.last = Index(n.disk.log.size());
  recovered.promise_lost = n.promise_lost;
  recovered.configuration =
      configuration_in(n.disk.log, n.disk.applied, recovered.configuration_index);
  for (const Entry& e : n.disk.log) {
    if (recovered.terms.empty() || recovered.terms.back().term != e.term()) {
      recovered.terms.push_back({e.term(), e.index()});
    }
    if (e.index() > n.disk.applied) recovered.tail.push_back(e);
  }
  const Identity identity{ClusterId(7), id, InstanceId(100 + id.value), n.disk.incarnation};
  n.raft = std::make_unique<Raft>(options_, identity, std::move(recovered),
                                  prng_.split(id.value * 1000 + n.disk.incarnation.value), now_);
  n.up = true;
  carry_out(n);
}

void Cluster::crash(MemberId id) {
  Node& n = node(id);
  n.up = false;
  n.raft.reset();
  n.writes.clear();
}

Raft& Cluster::raft(MemberId id) {
  CHECK(node(id).up);
  return *node(id).raft;
}

void Cluster::act(MemberId id, const std::function<void(Raft&)>& input) {
  input(raft(id));
  carry_out(node(id));
}

void Cluster::expire(MemberId id) {
  now_ = std::max(now_, raft(id).next_deadline());
  act(id, [this](Raft& r) { r.expire(now_); });
}

void Cluster::deliver(std::size_t message) {
  Envelope envelope = std::move(network_.at(message));
  network_.erase(network_.begin() + static_cast<std::ptrdiff_t>(message));
  const auto to = nodes_.find(envelope.route.to);
  if (to == nodes_.end() || !to->second->up) return;
  // Through the codec, as on the wire.
  auto frame = parse_frame(SharedBytes::from(encode(std::move(envelope)).flatten()));
  CHECK(frame.has_value());
  auto decoded = decode(std::move(*frame));
  CHECK(decoded.has_value());
  act(to->first, [&](Raft& r) { r.receive(std::move(*decoded), now_); });
}

void Cluster::make_durable(Node& node, const LogWrite& write) {
  if (write.hard_state) node.disk.hard_state = *write.hard_state;
  if (write.truncate_from && write.truncate_from->value <= node.disk.log.size()) {
    node.disk.log.resize(write.truncate_from->value - 1);
  }
  for (const Entry& e : write.entries) {
    CHECK(e.index().value == node.disk.log.size() + 1, "a log write leaves a gap");
    node.disk.log.push_back(e);
  }
}

void Cluster::write_one(MemberId id) {
  Node& n = node(id);
  CHECK(!n.writes.empty());
  const LogWrite write = std::move(n.writes.front());
  n.writes.pop_front();
  make_durable(n, write);
  act(id, [&](Raft& r) { r.log_written(write.id, now_); });
}

void Cluster::carry_out(Node& node) {
  Effects effects;
  for (;;) {
    node.raft->take_effects(now_, effects);
    if (effects.empty()) return;
    for (const Event& e : effects.events) say(describe(node.id, e));
    for (Envelope& e : effects.messages) {
      say(describe(e));
      network_.push_back(std::move(e));
    }
    for (LogWrite& w : effects.log_writes) node.writes.push_back(std::move(w));
    for (const ReadGranted& g : effects.reads_granted) {
      say(fmt::format("{} read {} granted at {}", node.id.value, g.ticket.value,
                      g.read_index.value));
      node.granted.push_back(g);
    }
    for (const ReadRefused& r : effects.reads_refused) {
      say(fmt::format("{} read {} refused: {}", node.id.value, r.ticket.value,
                      to_string(r.refusal)));
      node.refused.push_back(r);
    }
    if (!effects.apply.empty()) {
      for (const Entry& e : effects.apply) {
        CHECK(e.index() == node.disk.applied.next());
        node.disk.applied = e.index();
        if (node.applied.size() < e.index().value) node.applied.push_back(e);
      }
      node.raft->applied(node.disk.applied, now_);
    }
    for (const LogFetch& f : effects.fetches) {
      std::vector<Entry> entries(
          node.disk.log.begin() + static_cast<std::ptrdiff_t>(f.from.value - 1),
          node.disk.log.begin() + static_cast<std::ptrdiff_t>(f.to.value));
      node.raft->fetched(f, std::move(entries), now_);
    }
    while (node.auto_disk && !node.writes.empty()) {
      const LogWrite write = std::move(node.writes.front());
      node.writes.pop_front();
      make_durable(node, write);
      node.raft->log_written(write.id, now_);
    }
  }
}

void Cluster::settle() {
  for (int steps = 0; !network_.empty(); ++steps) {
    CHECK(steps < 100000, "the cluster does not come to rest");
    deliver(0);
  }
}

}  // namespace raftkv::raft
