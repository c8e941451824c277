// raftkv-soak: real nodes under eight clients while nodes are killed or stopped. `kill` judges
// whether the cluster kept every promise; `failover` measures the time without an acknowledged
// write.
#include <fmt/core.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <thread>

#include "src/base/prng.h"
#include "tests/process/cluster.h"
#include "tests/process/load.h"

namespace raftkv::process {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  int nodes = 3;
  int clients = 8;
  int cycles = 200;
  int rounds = 20;
  std::uint64_t seed = 1;
};

void say(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

milliseconds random_pause(Prng& prng, std::uint64_t most_ms) {
  return milliseconds(static_cast<std::int64_t>(prng.below(most_ms + 1)));
}

// One node, or two, or all of them.
std::vector<int> choose_victims(Prng& prng, int nodes) {
  std::vector<int> order;
  for (int i = 0; i < nodes; ++i) order.push_back(i);
  prng.shuffle(order);
  const std::uint64_t draw = prng.below(10);
  const std::size_t count = draw == 0   ? order.size()
                            : draw == 1 ? std::min<std::size_t>(2, order.size())
                                        : 1;
  order.resize(count);
  return order;
}

// Counts what was broken and says it; the first few suffice to go on searching.
int report(const std::vector<std::string>& broken) {
  for (std::size_t i = 0; i < broken.size() && i < 10; ++i) say("BROKEN: " + broken[i]);
  return static_cast<int>(broken.size());
}

class KillSoak {
 public:
  explicit KillSoak(const Options& options)
      : options_(options), prng_(options.seed), cluster_(options.nodes) {}

  int run() {
    constexpr int kCyclesPerCheck = 20;
    int cycle = 0;
    while (cycle < options_.cycles && broken_ == 0) {
      ++cycle;
      if (loads_.empty() || !loads_.back()->running()) start_load();
      one_cycle();
      if (cycle % kCyclesPerCheck == 0 || cycle == options_.cycles) check(cycle);
    }
    say(fmt::format(
        "kills: {} cycles, {} nodes killed, {} writes acknowledged, {} unknown, {} reads checked",
        cycle, killed_, acknowledged_, unknown_, reads_));
    say(broken_ == 0
            ? "no acknowledged write lost, no read wrong, all digests equal"
            : fmt::format("BROKEN: {} promises; the data is in {}", broken_, cluster_.dir()));
    return broken_ == 0 ? 0 : 1;
  }

 private:
  void start_load() {
    loads_.push_back(
        std::make_unique<Load>(LoadOptions{.endpoints = cluster_.endpoints(),
                                           .prefix = "soak" + std::to_string(loads_.size()),
                                           .clients = options_.clients}));
  }

  void one_cycle() {
    std::this_thread::sleep_for(random_pause(prng_, 400));
    const std::vector<int> victims = choose_victims(prng_, cluster_.size());
    for (const int victim : victims) cluster_[victim].signal(SIGKILL);
    for (const int victim : victims) cluster_[victim].kill();
    killed_ += victims.size();
    std::this_thread::sleep_for(random_pause(prng_, 300));
    for (const int victim : victims) cluster_.start(victim);
    const std::uint64_t before = loads_.back()->acknowledged();
    if (!eventually([&] { return loads_.back()->acknowledged() >= before + 10; })) {
      cluster_.keep();
      cluster_.give_up("no write was acknowledged after the restart");
    }
  }

  // Stops the clients, waits until the nodes agree, and reads back everything that was ever
  // promised.
  void check(int cycle) {
    Load& load = *loads_.back();
    load.stop();
    acknowledged_ += load.acknowledged();
    unknown_ += load.unknown();
    reads_ += load.reads();
    broken_ += report(load.wrong_reads());
    if (!cluster_.settles()) {
      broken_ += report({"the nodes do not come to the same applied index and digest"});
    }
    const Node& leader = cluster_[cluster_.wait_for_leader()];
    for (const auto& each : loads_) broken_ += report(each->broken_promises(leader.http_address()));
    const auto status = leader.status();
    say(fmt::format("cycle {:>3}: {} killed, {} acknowledged, {} unknown, applied {}, digest {}",
                    cycle, killed_, acknowledged_, unknown_, status ? status->applied_index : 0,
                    status ? status->digest : "?"));
    if (broken_ > 0) {
      cluster_.keep();
      cluster_.print_logs();
    }
  }

  Options options_;
  Prng prng_;
  Cluster cluster_;
  std::vector<std::unique_ptr<Load>> loads_;
  std::size_t killed_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t unknown_ = 0;
  std::uint64_t reads_ = 0;
  int broken_ = 0;
};

// Signals the leader at a random moment and returns the longest time around it without an
// acknowledged write.
milliseconds one_failover(Cluster& cluster, Prng& prng, int clients, int number) {
  const int leader = cluster.wait_for_leader();
  Load load({.endpoints = cluster.endpoints(),
             .prefix = "failover" + std::to_string(prng.below(1'000'000'000)),
             .clients = clients,
             .request_limit = 100ms});
  std::this_thread::sleep_for(500ms + random_pause(prng, 500));
  const auto struck = Clock::now();
  cluster[leader].signal(number);
  std::this_thread::sleep_for(50ms);
  const std::uint64_t before = load.acknowledged();
  if (!eventually([&] { return load.acknowledged() >= before + 20; })) {
    cluster.give_up("no write was acknowledged after the leader was struck");
  }
  load.stop();
  const milliseconds gap = longest_gap(load.acknowledgements(), struck);
  if (number == SIGSTOP) {
    cluster[leader].signal(SIGCONT);
  } else {
    cluster[leader].kill();
    cluster.start(leader);
  }
  if (!cluster.settles()) cluster.give_up("the struck node does not catch up");
  return gap;
}

std::string statistics(std::vector<milliseconds> gaps) {
  std::ranges::sort(gaps);
  // The nearest rank: the smallest value that at least this share of all does not exceed.
  const auto percentile = [&](std::size_t percent) {
    return gaps[std::max<std::size_t>((gaps.size() * percent + 99) / 100, 1) - 1].count();
  };
  std::string all;
  for (const milliseconds gap : gaps) all += fmt::format(" {}", gap.count());
  return fmt::format("min {} ms, median {} ms, p95 {} ms, max {} ms\n  all (ms):{}",
                     gaps.front().count(), percentile(50), percentile(95), gaps.back().count(),
                     all);
}

int failover(const Options& options) {
  Prng prng(options.seed);
  Cluster cluster(options.nodes);
  say(fmt::format(
      "failover: {} nodes, default settings, {} clients, {} rounds each; the longest time\n"
      "without an acknowledged write around the moment the leader is struck",
      options.nodes, options.clients, options.rounds));
  for (const auto& [number, name] :
       {std::pair{SIGKILL, "SIGKILL"}, std::pair{SIGSTOP, "SIGSTOP"}}) {
    std::vector<milliseconds> gaps;
    for (int i = 0; i < options.rounds; ++i) {
      gaps.push_back(one_failover(cluster, prng, options.clients, number));
    }
    say(fmt::format("{} of the leader: {}", name, statistics(std::move(gaps))));
  }
  return 0;
}

int soak(int argc, char** argv) {
  Options options;
  CLI::App app{"Real nodes under load while nodes are killed or stopped"};
  app.require_subcommand(1);
  app.fallthrough();  // options of the program may follow the subcommand
  app.add_option("--nodes", options.nodes, "nodes in the cluster")->capture_default_str();
  app.add_option("--clients", options.clients, "clients that write and read all the time")
      ->capture_default_str();
  app.add_option("--seed", options.seed,
                 "of the victims and the pauses; the processes' timing stays their own")
      ->capture_default_str();
  CLI::App* kill = app.add_subcommand(
      "kill", "kill -9 of a random node, sometimes of all; is every promise kept?");
  kill->add_option("--cycles", options.cycles, "how many times")->capture_default_str();
  CLI::App* fail = app.add_subcommand(
      "failover", "SIGKILL, then SIGSTOP of the leader; how long is no write acknowledged?");
  fail->add_option("--rounds", options.rounds, "how many times each")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return kill->parsed() ? KillSoak(options).run() : failover(options);
}

}  // namespace
}  // namespace raftkv::process

int main(int argc, char** argv) {
  return raftkv::process::soak(argc, argv);
}
