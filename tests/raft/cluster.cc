#include "tests/raft/cluster.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/base/check.h"
#include "src/base/checksum.h"
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

Configuration configuration_in(const State& state, Index& at) {
  Configuration configuration;
  for (const Entry& e : state) {
    if (e.kind() != EntryKind::configuration) continue;
    configuration = Configuration::decode(e.payload()).value();
    at = e.index();
  }
  return configuration;
}

SnapshotMeta meta_of(const State& state) {
  SnapshotMeta meta;
  if (state.empty()) return meta;
  meta.last_included_index = state.back().index();
  meta.last_included_term = state.back().term();
  meta.configuration = configuration_in(state, meta.configuration_index);
  return meta;
}

std::uint64_t digest_of(const State& state) {
  std::uint64_t digest = 0;
  for (const Entry& e : state) digest = chain64(digest, e.checksum());
  return digest;
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
  if (!node.up) return fmt::format("{} down log={}", node.id.value, node.disk.last().value);
  const Raft& raft = *node.raft;
  std::vector<std::uint64_t> terms;
  for (Index i = raft.log().first_index(); i <= raft.log().last_index(); ++i)
    terms.push_back(raft.log().term(i)->value);
  std::string first;
  if (raft.log().prev_index()) {
    first = fmt::format("{}/{}..", raft.log().prev_index().value, raft.log().prev_term().value);
  }
  return fmt::format("{} {} term={} vote={} leader={} commit={} applied={} stable={} log={}{}{}",
                     node.id.value, to_string(raft.role()), raft.current_term().value,
                     raft.voted_for().value, raft.leader().value, raft.commit_index().value,
                     raft.last_applied().value, raft.stable_index().value, first, join(terms),
                     raft.state_lost() ? " state lost" : "");
}

std::optional<Term> Disk::term(Index index) const {
  if (index == first.prev()) return prev_term;
  if (index < first || index > last()) return std::nullopt;
  return at(index).term();
}

void Disk::cut_before(Index index) {
  if (index <= first) return;
  prev_term = term(index.prev()).value();
  log.erase(log.begin(), log.begin() + static_cast<std::ptrdiff_t>(index - first));
  first = index;
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
  recovered.configuration = configuration_in(n.applied, recovered.configuration_index);
  recovered.first = n.disk.first;
  recovered.prev_term = n.disk.prev_term;
  recovered.last = n.disk.last();
  recovered.promise_lost = n.promise_lost;
  recovered.state_lost = n.disk.applied < n.disk.first.prev();
  for (const Entry& e : n.disk.log) {
    if (recovered.terms.empty() || recovered.terms.back().term != e.term()) {
      recovered.terms.push_back({e.term(), e.index()});
    }
    if (e.index() > n.disk.applied) {
      recovered.tail.push_back(e);
    } else {
      recovered.bytes_before_tail += e.size();
    }
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
  n.to_apply.clear();
  n.snapshot_work.clear();
  n.views.clear();
  n.incoming.reset();
  n.applied.resize(n.disk.applied.value);
}

void Cluster::lose_state(MemberId id) {
  Node& n = node(id);
  CHECK(!n.up);
  n.applied.clear();
  n.disk.applied = Index();
}

void Cluster::lose_log(MemberId id, Index from) {
  Node& n = node(id);
  CHECK(!n.up);
  CHECK(from > n.disk.applied);
  n.disk.log.resize(from.prev().value);
  n.promise_lost = true;
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
  Disk& disk = node.disk;
  if (write.hard_state) disk.hard_state = *write.hard_state;
  if (write.snapshot) install(node, *write.snapshot);
  if (write.truncate_from && *write.truncate_from <= disk.last()) {
    disk.log.resize(*write.truncate_from - disk.first);
  }
  for (const Entry& e : write.entries) {
    CHECK(e.index() == disk.last().next(), "a log write leaves a gap");
    disk.log.push_back(e);
  }
}

void Cluster::install(Node& node, const SnapshotMeta& snapshot) {
  CHECK(node.incoming && node.incoming->complete && node.incoming->snapshot == snapshot,
        "what is installed is not what was received");
  Disk& disk = node.disk;
  node.applied = std::move(node.incoming->state);
  node.incoming.reset();
  disk.applied = snapshot.last_included_index;
  if (disk.term(disk.applied) == snapshot.last_included_term) {
    disk.cut_before(disk.applied.next());
  } else {
    disk.log.clear();
    disk.first = disk.applied.next();
    disk.prev_term = snapshot.last_included_term;
  }
}

void Cluster::cut(Node& node, const LogCut& cut) {
  CHECK(cut.first.prev() <= node.disk.applied, "the log is cut above the durable state");
  CHECK(node.disk.term(cut.first.prev()) == cut.prev_term);
  node.disk.cut_before(cut.first);
}

void Cluster::apply(Node& node, std::size_t count) {
  if (node.to_apply.empty()) return;
  for (; count > 0 && !node.to_apply.empty(); --count) {
    CHECK(node.to_apply.front().index().value == node.applied.size() + 1);
    node.applied.push_back(std::move(node.to_apply.front()));
    node.to_apply.pop_front();
  }
  node.raft->applied(node.applied.back().index(), now_);
  if (!node.auto_sync) return;
  node.disk.applied = node.applied.back().index();
  node.raft->state_synced(node.disk.applied, now_);
}

void Cluster::apply_some(MemberId id, std::size_t count) {
  act(id, [&](Raft&) { apply(node(id), count); });
}

void Cluster::sync(MemberId id) {
  Node& n = node(id);
  n.disk.applied = Index(n.applied.size());
  act(id, [&](Raft& r) { r.state_synced(n.disk.applied, now_); });
}

void Cluster::snapshot_step(MemberId id) {
  Node& n = node(id);
  CHECK(!n.snapshot_work.empty());
  const SnapshotWork next = std::move(n.snapshot_work.front());
  n.snapshot_work.pop_front();
  act(id, [&](Raft&) { work(n, next); });
}

void Cluster::work(Node& node, const SnapshotWork& work) {
  std::visit([&](const auto& w) { this->work(node, w); }, work);
}

void Cluster::work(Node& node, const SnapshotOpen& open) {
  if (node.snapshots_fail) return node.raft->snapshot_opened(open.stream, std::nullopt, now_);
  say(fmt::format("{} opens stream {} for {}", node.id.value, open.stream.value, open.peer.value));
  node.views[open.stream].state = node.applied;
  node.raft->snapshot_opened(open.stream, meta_of(node.applied), now_);
}

void Cluster::work(Node& node, const SnapshotRead& read) {
  if (node.snapshots_fail) return node.raft->snapshot_read(read.stream, std::nullopt, now_);
  View& view = node.views.at(read.stream);
  std::string data;
  while (view.sent < view.state.size() && (data.empty() || data.size() < read.bytes_max)) {
    data += view.state[view.sent++].bytes().view();
  }
  const bool last = view.sent == view.state.size();
  node.raft->snapshot_read(read.stream,
                           SnapshotChunk{.chunk = read.chunk,
                                         .data = SharedBytes::from(std::move(data)),
                                         .last = last,
                                         .contents_digest = last ? digest_of(view.state) : 0},
                           now_);
}

void Cluster::work(Node& node, const SnapshotClose& close) {
  say(fmt::format("{} closes stream {}", node.id.value, close.stream.value));
  node.views.erase(close.stream);
}

void Cluster::work(Node& node, const SnapshotReceive& receive) {
  const auto answer = [&](SnapshotReceipt receipt) {
    if (receipt == SnapshotReceipt::failed) node.incoming.reset();
    node.raft->snapshot_received(receive.stream, receive.chunk, receipt, now_);
  };
  if (node.snapshots_fail) return answer(SnapshotReceipt::failed);
  if (receive.chunk == 0) {
    for (const LogWrite& w : node.writes)
      CHECK(!w.snapshot, "what is being installed is discarded");
    node.incoming = Incoming{.snapshot = receive.snapshot, .state = {}};
  }
  // What failed before takes nothing any more.
  if (!node.incoming || node.incoming->next_chunk != receive.chunk)
    return answer(SnapshotReceipt::failed);
  ++node.incoming->next_chunk;
  for (std::size_t at = 0; at < receive.data.size();) {
    const auto size = Entry::size_at_front(receive.data.view().substr(at));
    CHECK(size.has_value());
    node.incoming->state.push_back(Entry::decode(receive.data.slice(at, *size)).value());
    at += *size;
  }
  if (!receive.last) return answer(SnapshotReceipt::written);
  CHECK(digest_of(node.incoming->state) == receive.contents_digest, "chunks were mixed up");
  node.incoming->complete = true;
  answer(SnapshotReceipt::complete);
}

void Cluster::work(Node& node, const SnapshotDiscard&) {
  for (const LogWrite& w : node.writes) CHECK(!w.snapshot, "what is being installed is discarded");
  node.incoming.reset();
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
    if (effects.log_cut) cut(node, *effects.log_cut);
    for (const Entry& e : effects.apply) node.to_apply.push_back(e);
    if (node.auto_apply) apply(node, SIZE_MAX);
    for (const LogFetch& f : effects.fetches) {
      std::vector<Entry> entries;
      for (Index i = f.from; i >= node.disk.first && i <= f.to && i <= node.disk.last(); ++i)
        entries.push_back(node.disk.at(i));
      node.raft->fetched(f, std::move(entries), now_);
    }
    for (SnapshotWork& w : effects.snapshot_work) node.snapshot_work.push_back(std::move(w));
    while (node.auto_snapshots && !node.snapshot_work.empty()) {
      const SnapshotWork next = std::move(node.snapshot_work.front());
      node.snapshot_work.pop_front();
      work(node, next);
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
