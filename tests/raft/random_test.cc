// Random schedules of the bare core: messages lost, doubled, reordered; slow disks; crashes;
// changes of members. After every step the safety properties of Figure 3 are checked. The whole
// node is hunted by raftkv-sim.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
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
    cluster_.set_trace([this](const std::string& line) { trace_.push_back(line); });
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
      node->auto_disk = true;
      if (!node->up) cluster_.start(id);
      while (!node->writes.empty()) cluster_.write_one(id);
    }
    for (int round = 0; round < 400 && !agreed(); ++round) {
      cluster_.settle();
      expire_next();
      if (round % 20 == 0) propose_to_leader();
      check();
      if (testing::Test::HasFailure()) return;
    }
    if (!agreed()) {
      for (const auto& [id, node] : cluster_.nodes()) fmt::print("{}\n", describe(*node));
      const std::size_t from = trace_.size() > 60 ? trace_.size() - 60 : 0;
      for (std::size_t i = from; i < trace_.size(); ++i) fmt::print("{}\n", trace_[i]);
    }
    EXPECT_TRUE(agreed()) << "no agreement after healing";
  }

  [[nodiscard]] std::size_t committed() const { return committed_.size(); }

 private:
  static Options options(std::uint64_t seed) {
    Options o;
    if (seed % 3 == 0) o.entries_per_message_max = 1;
    if (seed % 4 == 0) o.inflight_messages_max = 1;
    if (seed % 5 == 0) o.cached_bytes_max = 1;
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
    if (kind < 60) {
      network_step();
    } else if (!node.up) {
      if (prng_.chance(1, 3)) cluster_.start(id);
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
          r.leader() != leader->identity().member || !leader->configuration().is_voter(m.id)) {
        return false;
      }
    }
    return true;
  }

  void check() {
    for (const auto& [id, node] : cluster_.nodes()) {
      if (!node->up) continue;
      const Raft& r = *node->raft;
      // Election safety (Figure 3).
      if (r.role() == Role::leader) {
        const auto [it, first] =
            leaders_.try_emplace(r.current_term(), id, r.identity().incarnation);
        EXPECT_EQ(it->second, std::pair(id, r.identity().incarnation)) << "two leaders in a term";
        // Leader completeness: what was committed before is in its log.
        if (first) {
          for (const auto& [index, entry] : committed_) {
            ASSERT_EQ(r.log().term(index), entry.term())
                << "leader " << id.value << " lacks " << index.value;
          }
        }
        for (const auto& [peer, progress] : r.progress()) {
          ASSERT_LT(progress.match_index(), progress.next_index());
          check_match(r, peer, progress.match_index());
        }
      }
      ASSERT_LE(r.stable_index().value, node->disk.log.size());
      ASSERT_LE(r.last_applied(), r.commit_index());
      ASSERT_LE(r.commit_index(), r.log().last_index());
      for (Index i(1); i <= r.stable_index(); ++i) {
        ASSERT_EQ(r.log().term(i), node->disk.log[i.value - 1].term())
            << "stable beyond what is durable (I12)";
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
    ASSERT_GE(node.disk.log.size(), match.value) << "match beyond the peer's disk (I11)";
    ASSERT_EQ(leader.log().term(match), node.disk.log[match.value - 1].term())
        << "match is no common prefix (I11)";
  }

  Prng prng_;
  Cluster cluster_;
  std::uint64_t proposals_ = 0;
  std::uint64_t reads_ = 0;
  std::uint64_t joins_ = 0;
  std::map<Term, std::pair<MemberId, Incarnation>> leaders_;
  std::map<Index, Entry> committed_;
  std::vector<std::string> trace_;
};

TEST(RandomSchedules, KeepFigure3AndAgreeOnceHealed) {
  // RAFTKV_RANDOM_SEEDS=20000 hunts longer.
  const char* wanted = std::getenv("RAFTKV_RANDOM_SEEDS");
  const std::uint64_t seeds = wanted == nullptr ? 600 : std::stoull(wanted);
  std::size_t committed = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Hunt hunt(seed);
    hunt.run(1500);
    if (!HasFailure()) hunt.heal_and_agree();
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
    committed += hunt.committed();
  }
  // A hunt in which nothing happens proves nothing.
  EXPECT_GT(committed, seeds * 10);
}

}  // namespace
}  // namespace raftkv::raft
