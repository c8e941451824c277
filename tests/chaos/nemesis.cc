#include "tests/chaos/nemesis.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <thread>

#include "sim/schedule.h"
#include "tests/process/files.h"

namespace raftkv::chaos {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;  // NOLINT: 500ms reads better than any helper

// "isolate n3": what the simulator would print, without the time.
std::string words(const sim::Action& action) {
  const std::string line = sim::print(action);
  return line.substr(line.find(' ') + 1);
}
sim::Who who(int node) {
  return sim::node(node + 1);
}
std::string names(const std::vector<int>& nodes) {
  std::string text;
  for (const int node : nodes) text += fmt::format("{}n{}", text.empty() ? "" : ",", node + 1);
  return text;
}

class Base : public Nemesis {
 public:
  explicit Base(World& world) : world_(world) {}

 protected:
  Cluster& cluster() { return world_.cluster; }
  Prng& prng() { return world_.prng; }
  int any() { return static_cast<int>(prng().below(static_cast<std::uint64_t>(cluster().size()))); }
  int leader() {
    const auto found = cluster().leader();
    return found ? *found : any();
  }
  std::vector<int> some(int count) {
    std::vector<int> order(static_cast<std::size_t>(cluster().size()));
    std::iota(order.begin(), order.end(), 0);
    prng().shuffle(order);
    order.resize(static_cast<std::size_t>(std::min(count, cluster().size())));
    return order;
  }
  World& world_;
};

// --- links ---

class OfLinks : public Base {
 public:
  using Base::Base;

 protected:
  Links& links() { return world_.links; }
  void apply() { cluster().ground().set(links()); }
  void cut_between(const std::vector<int>& a, const std::vector<int>& b) {
    for (const int x : a) {
      for (const int y : b) links().cut_both(x, y);
    }
    apply();
  }
  std::vector<int> others(const std::vector<int>& group) {
    std::vector<int> rest;
    for (int i = 0; i < cluster().size(); ++i) {
      if (std::ranges::find(group, i) == group.end()) rest.push_back(i);
    }
    return rest;
  }
  void heal() override {
    links() = Links(cluster().size());
    apply();
  }
};

class Isolate final : public OfLinks {
 public:
  Isolate(World& world, bool of_leader) : OfLinks(world), of_leader_(of_leader) {}
  std::string strike() override {
    const int victim = of_leader_ ? leader() : any();
    cut_between({victim}, others({victim}));
    return words(sim::isolate(who(victim)));
  }
  milliseconds least() const override { return of_leader_ ? 2500ms : 0ms; }

 private:
  bool of_leader_;
};

class Split final : public OfLinks {
 public:
  using OfLinks::OfLinks;
  std::string strike() override {
    const std::vector<int> group = some(cluster().minority());
    cut_between(group, others(group));
    std::vector<sim::Who> named;
    for (const int node : group) named.push_back(who(node));
    return words(sim::split(named));
  }
};

class Ring final : public OfLinks {
 public:
  using OfLinks::OfLinks;
  std::string strike() override {
    const int n = cluster().size();
    const std::vector<int> order = some(n);
    const int reach = cluster().majority() / 2;  // itself and so many on each side: a majority
    for (int i = 0; i < n; ++i) {
      for (int j = i + 1; j < n; ++j) {
        const int apart = std::min(j - i, n - (j - i));
        if (apart > reach)
          links().cut_both(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(j)]);
      }
    }
    apply();
    return words(sim::ring());
  }
};

class Bridge final : public OfLinks {
 public:
  using OfLinks::OfLinks;
  std::string strike() override {
    const std::vector<int> order = some(cluster().size());
    const auto middle = order.begin() + 1 + (cluster().size() - 1) / 2;
    cut_between({order.begin() + 1, middle}, {middle, order.end()});
    return words(sim::bridge(who(order.front())));
  }
};

class OneWay final : public OfLinks {
 public:
  OneWay(World& world, bool deafen) : OfLinks(world), deafen_(deafen) {}
  std::string strike() override {
    const int victim = prng().chance(1, 2) ? leader() : any();
    for (const int other : others({victim})) {
      if (deafen_) {
        links().cut_one_way(other, victim);
      } else {
        links().cut_one_way(victim, other);
      }
    }
    apply();
    return words(deafen_ ? sim::deafen(who(victim)) : sim::mute(who(victim)));
  }

 private:
  bool deafen_;
};

class CutClients final : public OfLinks {
 public:
  using OfLinks::OfLinks;
  std::string strike() override {
    const int victim = leader();
    links().cut_both(victim, static_cast<int>(links().clients()));
    apply();
    return words(sim::cut_clients(who(victim)));
  }
};

class Loss final : public OfLinks {
 public:
  using OfLinks::OfLinks;
  std::string strike() override {
    links().loss_percent =
        static_cast<unsigned>(prng().between(std::uint64_t{2}, std::uint64_t{20}));
    apply();
    return words(sim::weather(links().loss_percent * 10'000, 0, 0));
  }
};

class Delay final : public OfLinks {
 public:
  using OfLinks::OfLinks;
  std::string strike() override {
    links().delay_most = milliseconds(
        static_cast<std::int64_t>(prng().between(std::uint64_t{10}, std::uint64_t{200})));
    apply();
    return fmt::format("delay {}ms", links().delay_most.count());
  }
};

class Throttle final : public OfLinks {
 public:
  using OfLinks::OfLinks;
  std::string strike() override {
    links().bytes_a_second = prng().between(std::uint64_t{20'000}, std::uint64_t{300'000});
    apply();
    return fmt::format("throttle {}kB/s", links().bytes_a_second / 1000);
  }
};

// --- processes ---

class OfProcesses : public Base {
 public:
  using Base::Base;

 protected:
  void kill_at_once(const std::vector<int>& victims) {
    for (const int victim : victims) cluster().signal(victim, SIGKILL);
    for (const int victim : victims) cluster().kill(victim);
  }
  std::vector<int> victims_;
};

class Kill final : public OfProcesses {
 public:
  // `count` of them; 0: the leader.
  Kill(World& world, int count) : OfProcesses(world), count_(count) {}
  std::string strike() override {
    victims_ = count_ == 0 ? std::vector<int>{leader()} : some(count_);
    kill_at_once(victims_);
    return victims_.size() == 1 ? words(sim::kill(who(victims_.front())))
                                : "kill " + names(victims_);
  }
  void heal() override {
    for (const int victim : victims_) cluster().start(victim);
  }

 private:
  int count_;
};

class Power final : public OfProcesses {
 public:
  using OfProcesses::OfProcesses;
  std::string strike() override {
    const std::uint64_t draw = prng().below(4);
    victims_ = draw == 0   ? some(1)
               : draw == 1 ? some(cluster().minority())
               : draw == 2 ? some(cluster().majority())
                           : some(cluster().size());
    kill_at_once(victims_);
    Lost all;
    for (const int victim : victims_) {
      const Lost lost = cluster().lose_unsynced_writes(victim, prng());
      all.files += lost.files;
      all.writes += lost.writes;
      all.bytes += lost.bytes;
    }
    return fmt::format("power {} ({} writes of {} files lost, {} bytes)", names(victims_),
                       all.writes, all.files, all.bytes);
  }
  void heal() override {
    for (const int victim : victims_) cluster().start(victim);
  }
};

class Pause final : public OfProcesses {
 public:
  Pause(World& world, bool of_leader) : OfProcesses(world), of_leader_(of_leader) {}
  std::string strike() override {
    victims_ = of_leader_ ? std::vector<int>{leader()} : some(cluster().minority());
    for (const int victim : victims_) cluster().signal(victim, SIGSTOP);
    return victims_.size() == 1 ? words(sim::pause(who(victims_.front())))
                                : "pause " + names(victims_);
  }
  void heal() override {
    for (const int victim : victims_) cluster().signal(victim, SIGCONT);
  }
  // Longer than an election.
  milliseconds least() const override { return of_leader_ ? 3000ms : 0ms; }

 private:
  bool of_leader_;
};

class Roll final : public OfProcesses {
 public:
  using OfProcesses::OfProcesses;
  std::string strike() override {
    for (const int node : some(cluster().size())) {
      if (!cluster().terminate(node)) cluster().kill(node);
      cluster().start(node);
      (void)process::eventually(
          [&] {
            const auto response =
                process::http(cluster().ground().place(node).http, {.target = "/readyz"}, 300ms);
            return response && response->status == 200;
          },
          10s);
    }
    return "roll";
  }
  void heal() override {}
};

class Transfer final : public OfProcesses {
 public:
  using OfProcesses::OfProcesses;
  std::string strike() override {
    std::vector<int> to;
    for (int i = 0; i < 5; ++i) {
      to.push_back(any());
      (void)cluster().administer({.method = "POST",
                                  .target = "/leader",
                                  .body = "{\"id\":\"" + cluster().id(to.back()) + "\"}"},
                                 1s);
      std::this_thread::sleep_for(200ms);
    }
    return "transfer " + names(to);
  }
  void heal() override {}
};

class ClockJumps final : public OfProcesses {
 public:
  using OfProcesses::OfProcesses;
  std::string strike() override {
    const bool strobe = prng().chance(1, 2);
    std::int64_t seconds = 0;
    for (int i = 0; i < (strobe ? 5 : 1); ++i) {
      seconds = static_cast<std::int64_t>(prng().below(200'000)) - 100'000;
      cluster().set_clock(seconds);
      if (strobe) std::this_thread::sleep_for(1100ms);  // libfaketime looks once a second
    }
    return fmt::format("clock {:+}s{}", seconds, strobe ? " (strobe)" : "");
  }
  void heal() override { cluster().set_clock(0); }
};

// --- disks and membership: one node at a time, and it is a voter again before the next ---

class OfDisks : public Base {
 public:
  using Base::Base;

 protected:
  bool recovered() override { return cluster().all_are_voters(); }
  int victim_ = 0;
};

class Wipe final : public OfDisks {
 public:
  using OfDisks::OfDisks;
  std::string strike() override {
    victim_ = any();
    cluster().kill(victim_);
    cluster().wipe(victim_);
    return words(sim::wipe(who(victim_)));
  }
  void heal() override { cluster().join(victim_); }
};

class Remove final : public OfDisks {
 public:
  using OfDisks::OfDisks;
  std::string strike() override {
    victim_ = prng().chance(1, 3) ? leader() : any();
    const auto answer = cluster().administer(
        {.method = "DELETE", .target = "/members/" + cluster().id(victim_)}, 5s);
    if (!cluster().terminate(victim_)) cluster().kill(victim_);
    cluster().wipe(victim_);
    return words(sim::remove(who(victim_))) +
           (answer ? fmt::format(" ({})", answer->status) : " (no answer)");
  }
  void heal() override { cluster().join(victim_); }
};

class DiskFull final : public OfDisks {
 public:
  using OfDisks::OfDisks;
  std::string strike() override {
    cluster().fill_small_disk();
    return fmt::format("disk n{} full", world_.small_disk + 1);
  }
  void heal() override {
    const int node = world_.small_disk;
    if (cluster().running(node) && !cluster().terminate(node)) cluster().kill(node);
    cluster().free_small_disk();
    cluster().start(node);
  }
};

// The leader, or a minority.
class SlowDisk final : public OfDisks {
 public:
  using OfDisks::OfDisks;
  std::string strike() override {
    victims_ = prng().chance(1, 2) ? std::vector<int>{leader()} : some(cluster().minority());
    // Up to longer than an election: a leader that waits for its disk must give way.
    const auto ms = static_cast<std::uint32_t>(
        prng().chance(1, 3) ? prng().between(std::uint64_t{1000}, std::uint64_t{3000})
                            : prng().between(std::uint64_t{10}, std::uint64_t{500}));
    for (const int victim : victims_) cluster().disk(victim).sync_ms = ms;
    least_ = ms >= 1000 ? milliseconds(ms) + 500ms : 0ms;
    return fmt::format("slow-disk {} {}ms", names(victims_), ms);
  }
  void heal() override {
    for (const int victim : victims_) cluster().disk(victim).sync_ms = 0;
  }
  milliseconds least() const override { return least_; }

 private:
  milliseconds least_{0};
  std::vector<int> victims_;
};

// A node whose sync has failed does not know what is on its disk: it must end, whatever it could
// still do. What it had not synced is lost then, as the kernel may do after such an error.
class FailSyncs final : public OfDisks {
 public:
  using OfDisks::OfDisks;
  std::string strike() override {
    victim_ = prng().chance(1, 2) ? leader() : any();
    failures_ = cluster().disk(victim_).failures;
    cluster().may_die(victim_);
    cluster().disk(victim_).failing = 1;
    return words(sim::fail_syncs(who(victim_)));
  }
  void heal() override {
    const bool failed = cluster().disk(victim_).failures != failures_;
    const bool ended = process::eventually([&] { return !failed || !cluster().running(victim_); },
                                           world_.patience);
    cluster().disk(victim_).failing = 0;
    if (!ended)
      broken_ = fmt::format("{} goes on after its disk has failed", cluster().id(victim_));
    cluster().kill(victim_);
    (void)cluster().lose_unsynced_writes(victim_, prng());
    cluster().start(victim_);
  }
  [[nodiscard]] std::string broken() const override { return broken_; }

 private:
  std::uint64_t failures_ = 0;
  std::string broken_;
};

class Corrupt final : public OfDisks {
 public:
  using OfDisks::OfDisks;
  std::string strike() override {
    choose();
    std::string told = "corrupt";
    for (const int victim : victims_) {
      if (!cluster().terminate(victim)) cluster().kill(victim);
      told += fmt::format("{} n{} {}", told == "corrupt" ? "" : ",", victim + 1, damage(victim));
      cluster().files_were_damaged(victim);
    }
    return told;
  }
  void heal() override {
    for (const int victim : victims_) cluster().start(victim);
    const auto end = std::chrono::steady_clock::now() + 1500ms;
    while (std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(20ms);
    std::size_t kept = 0;
    for (const int victim : victims_) {
      const bool refused = !cluster().running(victim);
      // One that refused to start must have said why.
      if (refused && cluster().log_since_start(victim).empty())
        broken_ = cluster().id(victim) + " ended without a word after its files were damaged";
      // One may live on with what it has not found yet. More, and a later loss of disks could take
      // more copies than there may be lost.
      if (!refused && cluster().size() >= 5 && ++kept == 1) continue;
      cluster().kill(victim);
      cluster().wipe(victim);
      cluster().join(victim);
    }
  }
  [[nodiscard]] std::string broken() const override { return broken_; }

 private:
  // Together with those that are doubtful from before, at most a minority.
  void choose() {
    const auto count =
        1 + static_cast<int>(prng().below(static_cast<std::uint64_t>(cluster().minority())));
    const std::vector<int> order = some(cluster().size());
    for (const int node : order) {
      if (cluster().is_doubtful(node)) victims_.push_back(node);
    }
    for (const int node : order) {
      if (static_cast<int>(victims_.size()) < count && !cluster().is_doubtful(node))
        victims_.push_back(node);
    }
  }

  std::string damage(int victim) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(cluster().data(victim))) {
      if (entry.is_regular_file() && entry.file_size() > 0 && entry.path().filename() != "LOG")
        files.push_back(entry.path());
    }
    if (files.empty()) return "(nothing there)";
    std::ranges::sort(files);
    const fs::path file = files[prng().below(files.size())];
    const std::uint64_t size = fs::file_size(file);
    const std::string name = fs::relative(file, cluster().data(victim));
    const std::uint64_t at = prng().below(size);
    if (prng().chance(1, 3)) {
      fs::resize_file(file, at);
      return fmt::format("{} cut at {} of {}", name, at, size);
    }
    std::fstream open(file, std::ios::in | std::ios::out | std::ios::binary);
    const auto position = static_cast<std::streamoff>(at);
    open.seekg(position);
    const int old = open.get();
    const auto bit = static_cast<int>(1u << prng().below(8));
    open.seekp(position);
    open.put(static_cast<char>(old ^ bit));
    return fmt::format("{} bit flipped at {} of {}", name, at, size);
  }

  std::vector<int> victims_;
  std::string broken_;
};

template <typename Kind, auto... arguments>
std::unique_ptr<Nemesis> make(World& world) {
  return std::make_unique<Kind>(world, arguments...);
}
std::unique_ptr<Nemesis> make_kill_minority(World& world) {
  return std::make_unique<Kill>(world, world.cluster.minority());
}
std::unique_ptr<Nemesis> make_kill_majority(World& world) {
  return std::make_unique<Kill>(world, world.cluster.majority());
}
std::unique_ptr<Nemesis> make_kill_all(World& world) {
  return std::make_unique<Kill>(world, world.cluster.size());
}

}  // namespace

const std::vector<NemesisKind>& nemesis_kinds() {
  static const std::vector<NemesisKind> kKinds = {
      {"isolate", Field::links, "one node from all nodes", make<Isolate, false>},
      {"isolate-leader", Field::links, "the leader from all nodes", make<Isolate, true>},
      {"split", Field::links, "a minority from the others", make<Split>},
      {"ring", Field::links, "each node sees a majority, no two the same", make<Ring>},
      {"bridge", Field::links, "two halves that one node connects", make<Bridge>},
      {"mute", Field::links, "nothing that a node says arrives", make<OneWay, false>},
      {"deafen", Field::links, "nothing arrives at a node", make<OneWay, true>},
      {"cut-clients", Field::links, "clients from the leader", make<CutClients>},
      {"loss", Field::links, "2 to 20 % of what nodes send is lost", make<Loss>},
      {"delay", Field::links, "what nodes send takes up to 200 ms", make<Delay>},
      {"throttle", Field::links, "links between nodes carry 20 to 300 kB/s", make<Throttle>},
      {"kill", Field::processes, "SIGKILL of one", make<Kill, 1>},
      {"kill-leader", Field::processes, "SIGKILL of the leader", make<Kill, 0>},
      {"kill-minority", Field::processes, "SIGKILL of a minority", make_kill_minority},
      {"kill-majority", Field::processes, "SIGKILL of a majority", make_kill_majority},
      {"kill-all", Field::processes, "SIGKILL of all", make_kill_all},
      {"power", Field::processes, "SIGKILL of one to all, unsynced writes lost", make<Power>},
      {"pause", Field::processes, "SIGSTOP of a minority", make<Pause, false>},
      {"pause-leader", Field::processes, "SIGSTOP of the leader, 3 s and more", make<Pause, true>},
      {"roll", Field::processes, "each node stopped cleanly and started", make<Roll>},
      {"transfer", Field::processes, "leadership handed over five times", make<Transfer>},
      {"clock", Field::processes, "the wall clock jumps by up to a day", make<ClockJumps>},
      {"wipe", Field::disks, "SIGKILL of one, its disk empty, joins again", make<Wipe>},
      {"remove", Field::disks, "a member removed, wiped, joins again", make<Remove>},
      {"disk-full", Field::disks, "no space on one node's disk", make<DiskFull>},
      {"slow-disk", Field::disks, "syncs of the leader or a minority take up to 3 s",
       make<SlowDisk>},
      {"fail-syncs", Field::disks, "syncs of one node fail; it must end", make<FailSyncs>},
      {"corrupt", Field::disks, "bits flipped or files cut on a stopped minority", make<Corrupt>},
  };
  return kKinds;
}

const NemesisKind* find_nemesis(std::string_view name) {
  const auto& kinds = nemesis_kinds();
  const auto found = std::ranges::find(kinds, name, &NemesisKind::name);
  return found == kinds.end() ? nullptr : &*found;
}

}  // namespace raftkv::chaos
