#include "tests/chaos/run.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <thread>

#include "linearizability/check.h"
#include "linearizability/model.h"
#include "linearizability/timeline/timeline.h"
#include "tests/chaos/belongings.h"
#include "tests/chaos/cluster.h"
#include "tests/chaos/end_checks.h"
#include "tests/chaos/figures.h"
#include "tests/chaos/ground.h"
#include "tests/chaos/nemesis.h"
#include "tests/chaos/promises.h"

namespace raftkv::chaos {
namespace {

namespace lin = linearizability;
using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;  // NOLINT: 500ms reads better than any helper

// How long what must come may take after all is healed.
constexpr milliseconds kPatience = 60s;

// A vote, and often a log write, is two syncs, one after the other: more than an election timeout.
constexpr std::uint32_t kStalledSyncMs = 500;

void say(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

std::string library_beside_us(const std::string& name) {
  return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / name).string();
}

// Empty if the package is not installed.
std::string faketime_library() {
  const std::string path = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
  return ::access(path.c_str(), R_OK) == 0 ? path : "";
}

double seconds_since(Clock::time_point from) {
  return std::chrono::duration<double>(Clock::now() - from).count();
}

// One fault that lasts.
struct Struck {
  const NemesisKind* kind;
  std::unique_ptr<Nemesis> nemesis;
  Band band;
};

class Run {
 public:
  Run(const RunOptions& options, bool (*interrupted)())
      : options_(options), interrupted_(interrupted), prng_(options.seed) {}

  int run() {
    if (!prepare()) return kUnknown;
    say(fmt::format("{} nodes, {} clients, {:.0f} s, seed {}, network {}", options_.nodes,
                    options_.clients, options_.seconds, options_.seed, ground_->name()));
    began_ = std::chrono::system_clock::now();
    clients_ = std::make_unique<Clients>(ClientsOptions{.endpoints = cluster_->endpoints(),
                                                        .clients = options_.clients,
                                                        .seed = options_.seed,
                                                        .control = options_.control},
                                         cluster_->epochs());
    torment();
    if (interrupted_()) {
      say("interrupted: everything is healed and taken away; there is no verdict");
      return kUnknown;
    }
    come_together();
    end_ = clients_->now();
    clients_->stop();
    record_ = clients_->take_record();
    read_finally();
    return verdict();
  }

 private:
  // --- before ---

  bool prepare() {
    if (!choose_ground() || !choose_nemeses()) return false;
    ClusterOptions made{.nodes = options_.nodes, .raftkv = options_.raftkv};
    if (wants("power") || wants("slow-disk") || wants("fail-syncs"))
      made.interposed = library_beside_us("libraftkv-unsynced.so");
    if (wants("clock")) made.faketime = faketime_library();
    if (wants("disk-full")) made.small_disk = options_.nodes - 1;
    cluster_ = std::make_unique<Cluster>(made, *ground_, belongings_);
    if (wants("disk-full")) {
      if (const std::string why = cluster_->mount_small_disk(); !why.empty())
        leave_out("disk-full", why);
    }
    world_ =
        std::make_unique<World>(World{*cluster_, prng_, Links(options_.nodes), options_.nodes - 1});
    std::string error;
    if (cluster_->make(error)) return true;
    say("the cluster does not come about: " + error);
    return false;
  }

  bool choose_ground() {
    const std::string why = why_no_namespaces();
    if (options_.network == "namespaces" && !why.empty()) {
      say("--network namespaces: " + why);
      return false;
    }
    if (options_.network != "proxy" && why.empty()) {
      std::string error;
      ground_ = make_namespaces(options_.nodes, options_.seed, belongings_, error);
      if (ground_) return true;
      say("no namespaces here: " + error);
      if (options_.network == "namespaces") return false;
    }
    ground_ = make_proxies(options_.nodes, options_.seed);
    return true;
  }

  [[nodiscard]] bool wants(std::string_view name) const {
    return std::ranges::find(kinds_, name, &NemesisKind::name) != kinds_.end();
  }
  void leave_out(std::string_view name, const std::string& why) {
    say(fmt::format("skipped: {}: {}", name, why));
    std::erase_if(kinds_, [&](const NemesisKind& kind) { return kind.name == name; });
  }

  bool choose_nemeses() {
    for (const NemesisKind& kind : nemesis_kinds()) {
      const auto& names = options_.nemeses;
      if (names.empty() || std::ranges::find(names, kind.name) != names.end())
        kinds_.push_back(kind);
    }
    for (const char* name : {"delay", "throttle"}) {
      if (wants(name) && !ground_->why_no_delay().empty()) leave_out(name, ground_->why_no_delay());
    }
    if (wants("clock") && faketime_library().empty())
      leave_out("clock", "libfaketime is not installed (Debian: apt-get install libfaketime)");
    if (wants("disk-full") && ::geteuid() != 0)
      leave_out("disk-full", "mounting a small file system needs root");
    for (const char* name : {"power", "slow-disk", "fail-syncs"}) {
      if (wants(name) && ::access(library_beside_us("libraftkv-unsynced.so").c_str(), R_OK) != 0)
        leave_out(name,
                  "libraftkv-unsynced.so is not beside this program (builds with sanitizers "
                  "have none)");
    }
    if (!kinds_.empty() || options_.nemeses == std::vector<std::string>{"none"}) return true;
    say("none of these faults can be made here");
    return false;
  }

  // --- meanwhile ---

  void pause(milliseconds time) {
    const auto end = Clock::now() + time;
    while (Clock::now() < end && !interrupted_()) std::this_thread::sleep_for(20ms);
  }
  milliseconds draw(std::uint64_t least, std::uint64_t most) {
    return milliseconds(static_cast<std::int64_t>(prng_.between(least, most)));
  }

  void torment() {
    const auto began = Clock::now();
    std::vector<const NemesisKind*> turn;
    while (seconds_since(began) < options_.seconds && !interrupted_() && !hopeless_) {
      pause(draw(500, 1500));
      if (kinds_.empty()) continue;
      if (turn.empty()) {  // each once, in a drawn order, before any comes again
        for (const NemesisKind& kind : kinds_) turn.push_back(&kind);
        prng_.shuffle(turn);
      }
      std::vector<Struck> struck;
      strike(struck, *turn.back());
      turn.pop_back();
      if (options_.mix && prng_.chance(1, 3)) add_another(struck);
      note_quorum(struck);
      milliseconds hold = draw(1000, 3000);
      for (const Struck& each : struck) hold = std::max(hold, each.nemesis->least());
      pause(hold);
      heal(struck);
      look_after(struck);
    }
  }

  void strike(std::vector<Struck>& struck, const NemesisKind& kind) {
    Struck fresh{&kind, kind.make(*world_), {}};
    fresh.band.name = kind.name;
    fresh.band.from = clients_->now();
    fresh.band.what = fresh.nemesis->strike();
    say(fmt::format("{:>8} ms  {}", fresh.band.from / 1'000'000, fresh.band.what));
    struck.push_back(std::move(fresh));
  }

  // A fault of the links together with one of the processes or disks.
  void add_another(std::vector<Struck>& struck) {
    const bool links = struck.front().kind->field == Field::links;
    std::vector<const NemesisKind*> fitting;
    for (const NemesisKind& kind : kinds_) {
      if ((kind.field == Field::links) != links) fitting.push_back(&kind);
    }
    if (!fitting.empty()) strike(struck, *fitting[prng_.below(fitting.size())]);
  }

  // Whether a majority is left, now that all has struck. A node whose disk does not move cannot
  // vote, nor acknowledge.
  void note_quorum(std::vector<Struck>& struck) {
    std::vector<bool> up;
    for (int i = 0; i < options_.nodes; ++i) {
      const DiskControl* const disk = cluster_->disk_of(i);
      const bool moves = disk == nullptr || disk->sync_ms < kStalledSyncMs;
      up.push_back(cluster_->goes_on(i) && moves);
    }
    for (Struck& each : struck) each.band.quorum = world_->links.quorum(up);
  }

  void heal(std::vector<Struck>& struck) {
    for (Struck& each : struck) {
      each.nemesis->heal();
      each.band.to = clients_->now();
      say(fmt::format("{:>8} ms  healed: {}", each.band.to / 1'000'000, each.band.name));
    }
    // What comes back can only be told from when all is healed.
    for (Struck& each : struck) each.band.to = struck.back().band.to;
  }

  void look_after(std::vector<Struck>& struck) {
    const std::uint64_t before = clients_->acknowledged_writes();
    const auto goes_on = [&] {
      return interrupted_() || clients_->acknowledged_writes() >= before + 5;
    };
    if (!process::eventually(goes_on, kPatience))
      give_up(fmt::format("no write was acknowledged for {} s after healing", kPatience / 1s));
    for (Struck& each : struck) {
      bands_.push_back(each.band);
      if (const std::string broken = each.nemesis->broken(); !broken.empty()) give_up(broken);
      const auto recovered = [&] {
        note_deaths();
        return interrupted_() || hopeless_ || each.nemesis->recovered();
      };
      if (!process::eventually(recovered, kPatience))
        give_up(fmt::format("{}: not all are voters {} s after healing", each.band.what,
                            kPatience / 1s));
    }
    note_deaths();
  }

  void note_deaths() {
    for (const std::string& death : cluster_->unexpected_deaths()) give_up(death);
  }
  void give_up(const std::string& why) {
    broken_.push_back(why);
    hopeless_ = true;
  }

  // --- after ---

  void come_together() {
    cluster_->ground().set(Links(options_.nodes));
    if (!hopeless_ && !process::eventually(
                          [&] {
                            note_deaths();
                            return hopeless_ || cluster_->all_are_voters();
                          },
                          kPatience)) {
      broken_.push_back("not all nodes are voters at the end");
    }
  }

  // The keys that were in use last, through every node; and all that was written once.
  void read_finally() {
    std::string why;
    if (!hopeless_ && !process::eventually([&] { return cluster_->agree(why); }, kPatience)) {
      broken_.push_back("the nodes do not come to the same applied index and digest:\n" + why);
    }
    if (hopeless_) return;  // nobody may be there to answer
    say("at the end:\n" + why);
    std::set<std::string> counted, shared;
    const std::size_t recent = record_.size() > 4000 ? record_.size() - 4000 : 0;
    for (std::size_t i = 0; i < record_.size(); ++i) {
      const Operation& op = record_[i];
      if (op.kind == Kind::put && op.end == End::ok && op.key.starts_with('c'))
        counted.insert(op.key);
      if (i >= recent && !op.key.starts_with('c') && (op.kind == Kind::get || op.kind == Kind::put))
        shared.insert(op.key);
    }
    int unanswered = 0;
    for (int node = 0; node < options_.nodes; ++node) {
      for (const std::string& key : shared)
        unanswered += read_again(node, key, Level::consistent, record_) ? 0 : 1;
    }
    count(counted, unanswered);
    if (unanswered > 0)
      broken_.push_back(fmt::format("{} final reads were not answered", unanswered));
  }

  // A read may be repeated: it changes nothing.
  bool read_again(int node, const std::string& key, Level level, std::vector<Operation>& record) {
    for (int i = 0; i < 5; ++i) {
      if (clients_->read_finally(node, key, level, record)) return true;
      std::this_thread::sleep_for(100ms);
    }
    return false;
  }

  // Every acknowledged write of a key that is written once must be there: at every node, in turns.
  void count(const std::set<std::string>& keys, int& unanswered) {
    std::vector<std::vector<Operation>> records(static_cast<std::size_t>(options_.nodes));
    const Count found = count_keys(keys, options_.nodes, [&](int node, const std::string& key) {
      auto& record = records[static_cast<std::size_t>(node)];
      return read_again(node, key, Level::stale, record) ? std::optional(record.back().found)
                                                         : std::nullopt;
    });
    unanswered += found.unanswered;
    for (std::size_t i = 0; i < found.missing.size() && i < 5; ++i)
      broken_.push_back("acknowledged and not there: " + found.missing[i]);
    for (auto& record : records) std::ranges::move(record, std::back_inserter(record_));
    std::ranges::sort(record_, {}, &Operation::invoked);
    say(fmt::format("{} keys written once were acknowledged; {} are missing", keys.size(),
                    found.missing.size()));
  }

  int verdict() {
    summary();
    if (!options_.history.empty() && !write_history(options_.history, record_, bands_))
      say("cannot write " + options_.history);
    const auto promises = broken_promises(record_);
    broken_.insert(broken_.end(), promises.begin(), promises.end());
    const lin::Verdict linearizable = judge();
    for (std::size_t i = 0; i < broken_.size() && i < 20; ++i) say("BROKEN: " + broken_[i]);
    if (broken_.size() > 20) say(fmt::format("BROKEN: and {} more", broken_.size() - 20));
    const bool warned = warn_of_gaps();
    const bool violated = !broken_.empty() || linearizable == lin::Verdict::not_linearizable;
    if ((violated && options_.control == Control::none) || options_.keep || warned) {
      belongings_.keep_directory();
      say("the nodes' directories and logs: " + belongings_.directory());
    }
    say(violated                                ? "VERDICT: violated"
        : linearizable == lin::Verdict::unknown ? "VERDICT: unknown"
                                                : "VERDICT: every promise was kept");
    return violated ? kViolated : linearizable == lin::Verdict::unknown ? kUnknown : kGood;
  }

  void summary() {
    std::uint64_t ok = 0, in_time = 0, fail = 0, info = 0, writes = 0;
    for (const Operation& op : record_) {
      ok += op.end == End::ok ? 1 : 0;
      in_time += op.end == End::ok && op.returned <= end_ ? 1 : 0;  // not the final reads
      fail += op.end == End::fail ? 1 : 0;
      info += op.end == End::info ? 1 : 0;
      writes += op.end == End::ok && is_write(op) ? 1 : 0;
    }
    say(fmt::format(
        "{} operations: {} acknowledged ({} writes), {} failed, {} unknown; {:.0f} "
        "acknowledged a second",
        record_.size(), ok, writes, fail, info,
        static_cast<double>(in_time) * 1e9 / static_cast<double>(std::max<Nanos>(end_, 1))));
    if (cluster_->wiped_for_damage() > 0)
      say(fmt::format("{} nodes found their damage later, and were wiped",
                      cluster_->wiped_for_damage()));
    const auto figures = figures_of(record_, bands_, end_);
    say(table_of(figures));
    if (!options_.figures.empty()) std::ofstream(options_.figures) << json_of(figures);
  }

  // Times to be explained with the nodes' logs, whose lines have the time of day.
  bool warn_of_gaps() {
    const auto limit = static_cast<Nanos>(options_.longest_gap_seconds * 1e9);
    const auto gaps = gaps_of(record_, bands_, end_, limit);
    for (const Gap& gap : gaps) {
      const auto day = std::chrono::system_clock::to_time_t(
          began_ + std::chrono::duration_cast<Clock::duration>(std::chrono::nanoseconds(gap.from)));
      say(fmt::format(
          "WARNING: a majority ran and was connected, but no write was acknowledged "
          "for {:.1f} s, from {} ms ({:%H:%M:%S} UTC) on",
          static_cast<double>(gap.to - gap.from) / 1e9, gap.from / 1'000'000, fmt::gmtime(day)));
      if (gap.silence > 2'000'000'000)  // clients wait for 1.3 s at most
        say(fmt::format(
            "  for {:.1f} s of it no operation ended, not even in vain: this program did "
            "not run",
            static_cast<double>(gap.silence) / 1e9));
      for (const Band& band : gap.faults)
        say(fmt::format("  {} ms to {} ms: {}", band.from / 1'000'000, band.to / 1'000'000,
                        band.what));
      tell_of_long_syncs(gap);
    }
    return !gaps.empty();
  }

  // Long syncs within the gap, without what a slow disk of ours added to them: it was the machine's
  // disk, or the process was stopped meanwhile, which the faults above tell.
  void tell_of_long_syncs(const Gap& gap) {
    const Nanos began = Clock::now().time_since_epoch() / 1ns - clients_->now();
    for (int i = 0; i < options_.nodes; ++i) {
      const DiskControl* const disk = cluster_->disk_of(i);
      if (disk == nullptr) return;
      Nanos longest = 0;
      for (const LongSync& sync : disk->noted) {
        if (sync.began - began < gap.to && sync.ended - began > gap.from)
          longest = std::max(longest, sync.ended - sync.began);
      }
      if (longest > 0)
        say(fmt::format("  n{}: a sync took {:.1f} s by itself", i + 1,
                        static_cast<double>(longest) / 1e9));
    }
  }

  lin::Verdict judge() {
    lin::History history = to_history(record_, bands_, false);
    lin::Options check;
    check.model = lin::find_model("kv");
    const auto began = Clock::now();
    check.keep_going = [&](const lin::Progress&) {
      return seconds_since(began) < options_.check_seconds;
    };
    const auto report = lin::check(history, check);
    if (!report) {
      say("the history cannot be judged: " + report.error().message);
      return lin::Verdict::unknown;
    }
    say(fmt::format("{} of {} operations ({:.1f} s){}{}", lin::to_string(report->verdict),
                    history.size(), seconds_since(began), report->reason.empty() ? "" : ": ",
                    report->reason));
    std::optional<lin::Explanation> explanation;
    if (report->verdict == lin::Verdict::not_linearizable) {
      explanation = lin::explain(history, report->core, check);
      for (const lin::OperationId id : report->core.operations) say("  " + history.print(id));
    }
    draw_page(history, *report, explanation);
    return report->verdict;
  }

  void draw_page(const lin::History& history, const lin::Report& report,
                 const std::optional<lin::Explanation>& explanation) {
    if (options_.html.empty()) return;
    const std::string title = fmt::format("raftkv-chaos, seed {}", options_.seed);
    std::ofstream(options_.html) << lin::render_timeline(
        history, report, explanation, {},
        {.title = title, .model = "kv", .note = broken_.empty() ? "" : broken_.front()});
  }

  const RunOptions& options_;
  bool (*interrupted_)();
  Prng prng_;
  std::vector<NemesisKind> kinds_;
  // In the order in which they may go: the nodes end before what they stand on.
  Belongings belongings_;
  std::unique_ptr<Ground> ground_;
  std::unique_ptr<Cluster> cluster_;
  std::unique_ptr<World> world_;
  std::unique_ptr<Clients> clients_;
  std::vector<Operation> record_;
  std::vector<Band> bands_;
  std::vector<std::string> broken_;
  Nanos end_ = 0;
  std::chrono::system_clock::time_point began_;
  bool hopeless_ = false;
};

}  // namespace

int run(const RunOptions& options, bool (*interrupted)()) {
  return Run(options, interrupted).run();
}

}  // namespace raftkv::chaos
