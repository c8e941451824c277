// Three nodes under random schedules: frames late, doubled and lost, workers slow, processes
// killed, disks failing, requests to anybody at any time. Whatever happens, every request is
// answered exactly once (World CHECKs "at most once"), and no answer is a lie.
#include <gtest/gtest.h>

#include "tests/replica/world.h"

namespace raftkv::replica {
namespace {

class Schedule {
 public:
  explicit Schedule(std::uint64_t seed) : world_(seed, options(seed)) {}

  void run(int steps) {
    world_.bootstrap("n1");
    world_.join("n2");
    world_.join("n3");
    for (int i = 0; i < steps; ++i) step();
    settle();
    judge();
  }

 private:
  struct Asked {
    Ticket ticket;
    std::string key;
    bool write = false;
    bool must_see = false;  // a consistent read of a key whose write had been acknowledged
  };

  static HostOptions options(std::uint64_t seed) {
    HostOptions out;
    out.forward = seed % 2 == 0;
    out.raft.cached_bytes_max = 256;  // so that slow peers are served from disk
    out.log_batch_bytes_max = 512;
    out.apply_batch_bytes_max = 512;
    out.read_batch_max = 3;
    out.state_sync_bytes = 2000;
    return out;
  }

  std::string any_node() {
    static const std::array<std::string, 3> kNames = {"n1", "n2", "n3"};
    return kNames[world_.prng().below(kNames.size())];
  }

  void step() {
    Prng& prng = world_.prng();
    const std::uint64_t lot = prng.below(1000);
    if (lot < 700) {
      if (!world_.step_random()) world_.advance(10ms);
    } else if (lot < 800) {
      world_.advance(prng.between(Duration(1ms), Duration(60ms)));
    } else if (lot < 940) {
      request();
    } else if (lot < 985) {
      disturb_network();
    } else {
      disturb_process();
    }
  }

  void request() {
    const std::string name = any_node();
    if (!world_.node(name).up()) return;
    Prng& prng = world_.prng();
    const std::uint64_t lot = prng.below(100);
    if (lot < 60) {
      const std::string key = "k" + std::to_string(asked_.size());
      asked_.push_back({world_.submit(name, set(key, key)), key, true});
    } else if (lot < 90) {
      read(name);
    } else if (lot < 95) {
      asked_.push_back({world_.submit(name, Transfer{any_node()}), ""});
    } else {
      const World::Node& node = world_.node(any_node());
      asked_.push_back({world_.submit(name, Join{node.name, node.http_address, node.raft_address,
                                                 node.identity.instance}),
                        ""});
    }
  }

  void read(const std::string& name) {
    if (asked_.empty()) return;
    const Asked& write = asked_[world_.prng().below(asked_.size())];
    if (!write.write) return;
    const Level level = static_cast<Level>(world_.prng().below(3));
    const bool known = written(write.ticket) != nullptr;
    const std::string key = write.key;
    asked_.push_back(
        {world_.submit(name, get(key, level)), key, false, known && level == Level::consistent});
  }

  void disturb_network() {
    Prng& prng = world_.prng();
    auto& packets = world_.network();
    const std::uint64_t lot = prng.below(10);
    if (lot < 4 && !packets.empty()) {
      packets.erase(packets.begin() + static_cast<std::ptrdiff_t>(prng.below(packets.size())));
    } else if (lot < 8 && !packets.empty()) {
      World::Packet copy = packets[prng.below(packets.size())];
      packets.push_back(std::move(copy));
    } else if (lot == 8) {
      world_.isolate(any_node());
    } else {
      world_.heal();
    }
  }

  void disturb_process() {
    const std::string name = any_node();
    World::Node& node = world_.node(name);
    Prng& prng = world_.prng();
    if (!node.up()) return world_.start(name);
    const std::uint64_t lot = prng.below(10);
    if (lot < 2) {
      const bool silently = prng.chance(1, 2);
      world_.kill(name, silently);
      if (prng.chance(1, 3)) world_.forget_state(name);
    } else if (lot < 4) {
      node.log_store->fail_after(prng.below(20));
    } else if (lot < 6) {
      node.log_stalled = !node.log_stalled;
    } else if (lot < 8) {
      node.apply_stalled = !node.apply_stalled;
    } else {
      node.read_stalled = !node.read_stalled;
    }
  }

  void settle() {
    world_.heal();
    for (const auto& [name, node] : world_.nodes()) {
      if (node->up() && (node->host->stopped() || world_.prng().chance(1, 3))) world_.kill(name);
      if (!node->up()) world_.start(name);
      node->log_store->fail_after(std::nullopt);
      node->log_stalled = node->apply_stalled = node->read_stalled = false;
    }
    world_.run_for(30s);
  }

  void judge() {
    EXPECT_EQ(world_.unanswered(), 0u);
    const std::string leader = world_.leader();
    ASSERT_NE(leader, "");
    for (const auto& [name, node] : world_.nodes()) {
      ASSERT_FALSE(node->host->stopped()) << name;
      EXPECT_EQ(node->host->open_requests(), 0u) << name;
      EXPECT_EQ(node->host->applied(), world_.host(leader).applied()) << name;
      EXPECT_TRUE(node->host->status().ready) << name << ": " << node->host->status().not_ready;
    }
    for (const Asked& asked : asked_) judge(asked, leader);
  }

  void judge(const Asked& asked, const std::string& leader) {
    const Reply* reply = world_.reply(asked.ticket);
    ASSERT_TRUE((reply != nullptr) != world_.died(asked.ticket)) << asked.key;
    if (reply == nullptr) return;
    const Failed* failed = failure_of(*reply);
    if (asked.must_see && failed == nullptr) {
      EXPECT_TRUE(std::get<ReadResult>(reply->answer).value.has_value())
          << asked.key << " had been acknowledged before it was read";
    }
    if (!asked.write) return;
    const Reply now = world_.ask(leader, get(asked.key, Level::consistent));
    const auto& value = std::get<ReadResult>(now.answer).value;
    if (const Written* ok = written(asked.ticket)) {
      ++acknowledged;
      ASSERT_TRUE(value.has_value()) << asked.key << " was acknowledged and is lost";
      EXPECT_EQ(value->index, ok->index.value) << asked.key << " was executed twice";
    } else if (failed->effect == Effect::not_applied) {
      ++refused;
      EXPECT_FALSE(value.has_value()) << asked.key << " is there, but was said not to be applied";
    }
  }

  const Written* written(Ticket ticket) {
    const Reply* reply = world_.reply(ticket);
    return reply == nullptr ? nullptr : std::get_if<Written>(&reply->answer);
  }

  World world_;
  std::vector<Asked> asked_;

 public:
  int acknowledged = 0;
  int refused = 0;
};

class RandomSchedule : public testing::TestWithParam<int> {};

TEST_P(RandomSchedule, AnswersEveryRequestOnceAndTruly) {
  int acknowledged = 0;
  int refused = 0;
  for (int i = 0; i < 25; ++i) {
    const int seed = GetParam() * 1000 + i;
    SCOPED_TRACE("seed " + std::to_string(seed));
    Schedule schedule(static_cast<std::uint64_t>(seed));
    schedule.run(3000);
    if (testing::Test::HasFatalFailure()) return;
    acknowledged += schedule.acknowledged;
    refused += schedule.refused;
  }
  // A run in which nothing succeeds, or nothing fails, would prove nothing.
  EXPECT_GT(acknowledged, 200);
  EXPECT_GT(refused, 200);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomSchedule, testing::Range(1, 9));

}  // namespace
}  // namespace raftkv::replica
