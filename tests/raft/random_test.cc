// Random schedules of the bare core: messages lost, doubled, reordered; slow disks; crashes;
// changes of members; logs cut and snapshots sent, which fail or are interrupted; states lost.
// After every step the safety properties of Figure 3 are checked. The whole node is hunted by
// raftkv-sim.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <initializer_list>
#include <map>
#include <string>

#include "tests/raft/cluster.h"

namespace raftkv::raft {
namespace {

class Hunt {
 public:
  explicit Hunt(std::uint64_t seed) : prng_(Prng(seed).split(1)), cluster_(seed, options(seed)) {
    const std::uint64_t size = 1 + prng_.below(5);
    std::vector<std::uint64_t> voters;
    for (std::uint64_t i = 1; i <= size; ++i) voters.push_back(i);
    const Configuration configuration = configuration_of(voters);
    for (const std::uint64_t id : voters) {
      // A member's number is the index that added it: the log is as long as the largest.
      cluster_.add(MemberId(id), configuration, std::vector<std::uint64_t>(size, 1),
                   {Term(1), MemberId()});
      cluster_.start(MemberId(id));
    }
    cluster_.set_trace([this](const std::string& line) {
      trace_.push_back(line);
      snapshots_ += line.find("installs snapshot") != std::string::npos ? 1 : 0;
      cuts_ += line.find("cuts its log") != std::string::npos ? 1 : 0;
    });
  }

  void run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      step();
      check();
    }
    if (testing::Test::HasFailure()) {
      const std::size_t from = trace_.size() > 60 ? trace_.size() - 60 : 0;
      for (std::size_t i = from; i < trace_.size(); ++i) fmt::print("{}\n", trace_[i]);
    }
  }

  // Everything is healed: a leader comes up, and what is proposed to it is committed by all.
  void heal_and_agree() {
    for (const auto& [id, node] : cluster_.nodes()) {
      node->auto_disk = node->auto_apply = node->auto_sync = node->auto_snapshots = true;
      node->snapshots_fail = false;
      if (!node->up) cluster_.start(id);
      while (!node->writes.empty()) cluster_.write_one(id);
      if (!node->to_apply.empty()) cluster_.apply_some(id, SIZE_MAX);
      while (!node->snapshot_work.empty()) cluster_.snapshot_step(id);
    }
    for (int round = 0; round < 400 && !agreed() && !hopeless(); ++round) {
      cluster_.settle();
      expire_next();
      if (round % 20 == 0) propose_to_leader();
      check();
      if (testing::Test::HasFailure()) return;
    }
    if (!agreed() && !hopeless()) {
      for (const auto& [id, node] : cluster_.nodes()) fmt::print("{}\n", describe(*node));
      const std::size_t from = trace_.size() > 60 ? trace_.size() - 60 : 0;
      for (std::size_t i = from; i < trace_.size(); ++i) fmt::print("{}\n", trace_[i]);
    }
    EXPECT_TRUE(agreed() || hopeless()) << "no agreement after healing";
  }

  // A state was lost and members that had theirs were removed: without a quorum of those who may
  // lead, the log that is committed may be where the state is not.
  [[nodiscard]] bool hopeless() {
    const auto lost = [&](const Configuration& configuration) {
      return quorum_vote(configuration, [&](MemberId id) -> std::optional<bool> {
               return !cluster_.raft(id).state_lost();
             }) == VoteResult::lost;
    };
    return lost(latest_configuration_) ||
           std::any_of(cluster_.nodes().begin(), cluster_.nodes().end(),
                       [&](const auto& node) { return lost(node.second->raft->configuration()); });
  }

  [[nodiscard]] std::size_t committed() const { return committed_.size(); }
  [[nodiscard]] std::size_t snapshots() const { return snapshots_; }
  [[nodiscard]] std::size_t cuts() const { return cuts_; }

 private:
  static Options options(std::uint64_t seed) {
    Options o;
    if (seed % 3 == 0) o.entries_per_message_max = 1;
    if (seed % 4 == 0) o.inflight_messages_max = 1;
    if (seed % 5 == 0) o.cached_bytes_max = 1;
    if (seed % 7 < 3) o.batch_wait_max = Duration(0);
    if (seed % 2 == 0) return o;  // the log is never cut
    Prng prng = Prng(seed).split(2);
    const auto one_of = [&](std::initializer_list<std::size_t> sizes) {
      return sizes.begin()[prng.below(sizes.size())];
    };
    o.log_cut_step_bytes = one_of({1, 100, 400});
    o.log_kept_bytes = one_of({0, 100, 600});
    o.log_kept_for_streams_bytes = one_of({0, 500, 100000});
    o.snapshot_streams_max = one_of({1, 2});
    o.snapshot_chunk_bytes = one_of({1, 200, 2000});
    o.snapshot_window_chunks = one_of({1, 2, 4});
    o.snapshot_stall_max = prng.chance(1, 2) ? Duration(1s) : Duration(10s);
    return o;
  }

  MemberId any_node() {
    auto it = cluster_.nodes().begin();
    std::advance(it, static_cast<std::ptrdiff_t>(prng_.below(cluster_.nodes().size())));
    return it->first;
  }

  void step() {
    const MemberId id = any_node();
    Node& node = cluster_.node(id);
    const std::uint64_t kind = prng_.below(100);
    if (kind < 54) {
      network_step();
    } else if (!node.up) {
      if (prng_.chance(1, 3)) cluster_.start(id);
    } else if (kind < 60) {
      state_step(node);
    } else if (kind < 72) {
      if (!node.writes.empty()) cluster_.write_one(id);
    } else if (kind < 74) {
      node.auto_disk = !node.auto_disk;
    } else if (kind < 80) {
      cluster_.act(id, [&](Raft& r) {
        std::string text = fmt::format("c{}", ++proposals_);
        (void)r.propose(EntryDraft::copy_of(EntryKind::command, text), cluster_.now());
      });
    } else if (kind < 84) {
      cluster_.act(id, [&](Raft& r) { r.read(Ticket(++reads_), cluster_.now()); });
    } else if (kind < 93) {
      expire_next();
    } else if (kind < 94) {
      cluster_.expire(id);
    } else if (kind < 96) {
      cluster_.crash(id);
      if (prng_.chance(1, 12) && may_lose_state(id)) cluster_.lose_state(id);
    } else if (kind < 97) {
      cluster_.act(id, [&](Raft& r) { (void)r.transfer_leadership(any_node(), cluster_.now()); });
    } else if (kind < 98) {
      const MemberId peer = any_node();
      if (peer != id) {
        cluster_.act(id,
                     [&](Raft& r) { r.peer_event(peer, PeerEvent::disconnected, cluster_.now()); });
      }
    } else {
      change_members(id);
    }
  }

  // The state machine, its disk, and what is done for snapshots.
  void state_step(Node& node) {
    const std::uint64_t kind = prng_.below(12);
    if (kind < 3) {
      if (!node.to_apply.empty()) cluster_.apply_some(node.id, 1 + prng_.below(5));
    } else if (kind < 6) {
      if (!node.applied.empty()) cluster_.sync(node.id);
    } else if (kind < 9) {
      if (!node.snapshot_work.empty()) cluster_.snapshot_step(node.id);
    } else if (kind < 10) {
      node.auto_apply = !node.auto_apply;
    } else if (kind < 11) {
      node.auto_sync = !node.auto_sync;
    } else {
      node.auto_snapshots = !node.auto_snapshots;
      node.snapshots_fail = prng_.chance(1, 4);
    }
  }

  // There must be somebody who still has it, and who may lead.
  bool may_lose_state(MemberId id) {
    std::size_t others = 0;
    for (const auto& [other, node] : cluster_.nodes()) {
      if (other == id) continue;
      const bool lost =
          node->up ? node->raft->state_lost() : node->disk.applied < node->disk.first.prev();
      if (lost) return false;
      ++others;
    }
    return others >= 2;
  }

  void change_members(MemberId at) {
    if (cluster_.nodes().size() < 7 && prng_.chance(1, 2)) {
      std::optional<Proposed> proposed;
      const std::uint64_t name = 10 + ++joins_;
      cluster_.act(at, [&](Raft& r) {
        const Index before = r.log().last_index();
        auto result = r.change_members(AddMember{.name = fmt::format("j{}", name),
                                                 .instance = InstanceId(1000 + name),
                                                 .http_address = fmt::format("jh{}", name),
                                                 .raft_address = fmt::format("jr{}", name)},
                                       cluster_.now());
        if (result && result->index > before) proposed = *result;
      });
      // The identity is the index of the entry; if it is never committed, nobody will ever talk to
      // this node.
      if (proposed && !cluster_.nodes().contains(MemberId(proposed->index.value))) {
        cluster_.add_empty(MemberId(proposed->index.value));
        cluster_.start(MemberId(proposed->index.value));
      }
    } else {
      const auto& members = cluster_.raft(at).configuration().members;
      if (members.size() < 3) return;
      const std::string name = members[prng_.below(members.size())].name;
      cluster_.act(at,
                   [&](Raft& r) { (void)r.change_members(RemoveMember{name}, cluster_.now()); });
    }
  }

  void network_step() {
    auto& network = cluster_.network();
    if (network.empty()) return;
    const std::size_t at = prng_.chance(3, 4) ? 0 : prng_.below(network.size());
    const std::uint64_t fate = prng_.below(100);
    if (fate < 5) {
      network.erase(network.begin() + static_cast<std::ptrdiff_t>(at));
    } else if (fate < 8) {
      network.push_back(network[at]);
    } else {
      cluster_.deliver(at);
    }
  }

  void expire_next() {
    std::optional<MemberId> next;
    for (const auto& [id, node] : cluster_.nodes()) {
      if (!node->up) continue;
      if (!next || node->raft->next_deadline() < cluster_.node(*next).raft->next_deadline())
        next = id;
    }
    if (next) cluster_.expire(*next);
  }

  void propose_to_leader() {
    for (const auto& [id, node] : cluster_.nodes()) {
      if (!node->up || node->raft->role() != Role::leader) continue;
      cluster_.act(id, [&](Raft& r) {
        (void)r.propose(EntryDraft::copy_of(EntryKind::command, fmt::format("c{}", ++proposals_)),
                        cluster_.now());
      });
    }
  }

  // The members of the latest configuration have one leader and the same log, all of it applied.
  bool agreed() {
    const Raft* leader = nullptr;
    for (const auto& [id, node] : cluster_.nodes()) {
      if (node->raft->role() == Role::leader &&
          (leader == nullptr || node->raft->current_term() > leader->current_term())) {
        leader = node->raft.get();
      }
    }
    if (leader == nullptr || leader->configuration().joint()) return false;
    for (const Member& m : leader->configuration().members) {
      const Raft& r = cluster_.raft(m.id);
      if (r.log().last_index() != leader->log().last_index() ||
          r.last_applied() != leader->log().last_index() ||
          r.leader() != leader->identity().member || !leader->configuration().is_voter(m.id) ||
          r.state_lost()) {
        return false;
      }
    }
    return true;
  }

  void check() {
    for (const auto& [id, node] : cluster_.nodes()) {
      if (!node->up) continue;
      const Raft& r = *node->raft;
      if (r.configuration_index() && r.configuration_index() >= latest_configuration_index_) {
        latest_configuration_index_ = r.configuration_index();
        latest_configuration_ = r.configuration();
      }
      // Election safety (Figure 3).
      if (r.role() == Role::leader) {
        const auto [it, first] =
            leaders_.try_emplace(r.current_term(), id, r.identity().incarnation);
        EXPECT_EQ(it->second, std::pair(id, r.identity().incarnation)) << "two leaders in a term";
        // Leader completeness: what was committed before is in its log.
        if (first) {
          for (const auto& [index, entry] : committed_) {
            if (index < r.log().prev_index()) continue;  // in its state, which is checked below
            ASSERT_EQ(r.log().term(index), entry.term())
                << "leader " << id.value << " lacks " << index.value;
          }
        }
        for (const auto& [peer, progress] : r.progress()) {
          ASSERT_LT(progress.match_index(), progress.next_index());
          check_match(r, peer, progress.match_index());
        }
      }
      ASSERT_LE(r.stable_index(), node->disk.last());
      ASSERT_LE(r.last_applied(), r.commit_index());
      ASSERT_LE(r.commit_index(), r.log().last_index());
      // The log is cut only below a state that is durable (I10), but for a state that was lost.
      if (!r.state_lost()) {
        ASSERT_LE(r.log().prev_index(), r.last_applied());
        const bool installing =
            std::any_of(node->writes.begin(), node->writes.end(),
                        [](const LogWrite& w) { return w.snapshot.has_value(); });
        ASSERT_TRUE(installing || node->disk.first.prev() <= node->disk.applied);
      }
      for (Index i = r.log().first_index(); i <= r.stable_index(); ++i) {
        if (i < node->disk.first.prev()) continue;
        ASSERT_EQ(r.log().term(i), node->disk.term(i)) << "stable beyond what is durable (I12)";
      }
      // State machine safety.
      for (const Entry& e : node->applied) {
        const auto [it, added] = committed_.try_emplace(e.index(), e);
        ASSERT_EQ(it->second.checksum(), e.checksum())
            << "two entries applied at " << e.index().value;
      }
    }
  }

  void check_match(const Raft& leader, MemberId peer, Index match) {
    const auto it = cluster_.nodes().find(peer);
    if (it == cluster_.nodes().end() || !match) return;
    const Node& node = *it->second;
    if (!node.up || node.raft->current_term() != leader.current_term()) return;
    ASSERT_GE(node.disk.last(), match) << "match beyond the peer's disk (I11)";
    if (match < leader.log().prev_index() || match < node.disk.first.prev()) return;
    ASSERT_EQ(leader.log().term(match), node.disk.term(match)) << "match is no common prefix (I11)";
  }

  Prng prng_;
  Cluster cluster_;
  std::uint64_t proposals_ = 0;
  std::uint64_t reads_ = 0;
  std::uint64_t joins_ = 0;
  Index latest_configuration_index_;
  Configuration latest_configuration_;
  std::size_t snapshots_ = 0;
  std::size_t cuts_ = 0;
  std::map<Term, std::pair<MemberId, Incarnation>> leaders_;
  std::map<Index, Entry> committed_;
  std::vector<std::string> trace_;
};

TEST(RandomSchedules, KeepFigure3AndAgreeOnceHealed) {
  // RAFTKV_RANDOM_SEEDS=20000 hunts longer.
  const char* wanted = std::getenv("RAFTKV_RANDOM_SEEDS");
  const std::uint64_t seeds = wanted == nullptr ? 600 : std::stoull(wanted);
  std::size_t committed = 0;
  std::size_t snapshots = 0;
  std::size_t cuts = 0;
  std::size_t hopeless = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Hunt hunt(seed);
    hunt.run(1500);
    if (!HasFailure()) hunt.heal_and_agree();
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
    committed += hunt.committed();
    hopeless += hunt.hopeless() ? 1 : 0;
    snapshots += hunt.snapshots();
    cuts += hunt.cuts();
  }
  // A hunt in which nothing happens proves nothing.
  EXPECT_GT(committed, seeds * 10);
  EXPECT_GT(snapshots, seeds / 4);
  EXPECT_GT(cuts, seeds);
  fmt::print("{} hunts: {} committed, {} cuts, {} snapshots, {} hopeless\n", seeds, committed, cuts,
             snapshots, hopeless);
  EXPECT_LT(hopeless, seeds / 10);
}

}  // namespace
}  // namespace raftkv::raft
