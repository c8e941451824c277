#include "sim/swarm.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "src/base/prng.h"

namespace raftkv::sim {
namespace {

// The streams of a seed's drawing; those of the run itself are Stream's (kernel.h).
enum class Draw : std::uint64_t {
  shape = 101,
  workload = 102,
  faults = 103,
  storage = 104,
  aim = 105
};

Prng stream_of(std::uint64_t seed, Draw which) {
  return Prng(seed).split(static_cast<std::uint64_t>(which));
}

template <typename T, std::size_t N>
T pick(Prng& prng, const std::array<T, N>& choices) {
  return choices[prng.below(N)];
}

bool half(Prng& prng) {
  return prng.chance(1, 2);
}
bool one_in(Prng& prng, std::uint64_t n) {
  return prng.chance(1, n);
}

// Small numbers are as likely as large ones: uniform in the exponent.
Duration spread(Prng& prng, Duration low, Duration high) {
  std::uint64_t doublings = 0;
  while (low * (std::int64_t{2} << doublings) <= high) ++doublings;
  const Duration most = std::min(high, low * (std::int64_t{2} << prng.between(0, doublings)));
  return std::chrono::floor<std::chrono::microseconds>(prng.between(low, most));
}

// --- shape: nodes, clocks, network, disks, limits ---

void draw_nodes(Prng& prng, Options& options) {
  constexpr std::array<std::uint64_t, 16> kVoters = {1, 2, 2, 3, 3, 3, 3, 4,
                                                     4, 5, 5, 5, 5, 5, 6, 7};
  options.voters = pick(prng, kVoters);
  if (one_in(prng, 4)) options.learners = prng.between(1, 2);
  if (half(prng)) options.spares = prng.between(1, 2);
}

void draw_network(Prng& prng, Options& options) {
  options.latency_min = spread(prng, 50us, 1ms);
  options.latency_max = options.latency_min + spread(prng, 50us, 10ms);
  if (half(prng)) {
    options.tail_ppm = prng.between(100, 20'000);
    options.tail_max = spread(prng, 10ms, 500ms);
  }
  options.reorder = prng.below(2);
  if (one_in(prng, 3)) options.loss_ppm = prng.between(100, 50'000);
  if (one_in(prng, 3)) options.duplicate_ppm = prng.between(100, 50'000);
  if (one_in(prng, 6)) options.corrupt_ppm = prng.between(100, 5'000);
  if (one_in(prng, 6)) options.bandwidth = prng.between(100'000, 10'000'000);
}

void draw_disks(Prng& prng, Options& options) {
  options.sync_min = spread(prng, 20us, 1ms);
  options.sync_max = options.sync_min + spread(prng, 50us, 20ms);
  options.work_max = options.work_min + spread(prng, 20us, 2ms);
}

void draw_times(Prng& prng, Options& options) {
  constexpr std::array<std::uint64_t, 4> kDrifts = {0, 200, 10'000, 50'000};
  options.drift_ppm_max = pick(prng, kDrifts);
  if (half(prng)) options.clock_offset_max = 1000s;
  if (half(prng)) options.turn_delay_max = spread(prng, 5us, 500us);
  // Not so short that the network alone makes leaders fall.
  const Duration shortest =
      std::max<Duration>(100ms, options.latency_max * 12 + options.sync_max * 8);
  options.election_timeout = shortest + spread(prng, 10ms, 800ms);
  options.heartbeat_interval =
      options.election_timeout / static_cast<std::int64_t>(prng.between(4, 12));
  options.reset_election_delay_max = options.election_timeout / 8;
  options.request_timeout =
      options.election_timeout * static_cast<std::int64_t>(prng.between(2, 8));
  options.client_timeout = options.election_timeout * static_cast<std::int64_t>(prng.between(2, 8));
}

// Logs are cut, in many runs so early that who is away for a moment needs a snapshot.
void draw_compaction(Prng& prng, Options& options) {
  options.state_sync_bytes = prng.between(100, 10'000);
  options.log_cut_step_bytes = prng.between(1, 6'000);
  options.log_kept_bytes = one_in(prng, 3) ? prng.between(0, 200) : prng.between(0, 10'000);
  options.log_kept_for_streams_bytes = prng.between(0, 60'000);
  options.snapshot_streams_max = prng.between(1, 3);
  options.snapshot_chunk_bytes = half(prng) ? prng.between(200, 600) : prng.between(600, 20'000);
  options.snapshot_window_chunks = prng.between(1, 6);
  options.snapshot_stall_max =
      options.election_timeout * static_cast<std::int64_t>(prng.between(1, 8));
}

// A state machine that is behind its log; not where messages are so small that nobody catches up.
void draw_slow_state_machine(Prng& prng, Options& options) {
  const Options defaults;
  const bool large = options.entries_per_message_max == defaults.entries_per_message_max &&
                     options.bytes_per_message_max == defaults.bytes_per_message_max &&
                     options.inflight_bytes_max == defaults.inflight_bytes_max;
  if (large) options.work_max = prng.between(2ms, 60ms);
  // Several streams share the workers of both sides: none is given up because these are slow.
  options.snapshot_stall_max = std::max(options.snapshot_stall_max, options.work_max * 8);
}

void draw_limits(Prng& prng, Options& options) {
  if (one_in(prng, 3)) options.entries_per_message_max = prng.between(1, 8);
  if (one_in(prng, 4)) options.bytes_per_message_max = prng.between(64, 2'000);
  if (one_in(prng, 3)) options.inflight_messages_max = prng.between(1, 8);
  if (one_in(prng, 6)) options.inflight_bytes_max = prng.between(200, 5'000);
  if (one_in(prng, 8)) options.uncommitted_bytes_max = prng.between(500, 5'000);
  if (one_in(prng, 8)) options.unapplied_bytes_max = prng.between(500, 5'000);
  if (one_in(prng, 3)) options.cached_bytes_max = prng.between(0, 4'000);
  if (one_in(prng, 8)) options.reads_waiting_max = prng.between(1, 8);
  if (half(prng)) options.state_sync_bytes = prng.between(100, 20'000);
  if (one_in(prng, 4)) options.forward = 1;
  if (!one_in(prng, 4)) draw_compaction(prng, options);
  if (one_in(prng, 3)) draw_slow_state_machine(prng, options);
}

// Mostly as a deployed node has it: proposals wait for those before them.
void draw_batching(Prng prng, Options& options) {
  if (!one_in(prng, 3)) options.batch_wait_max = spread(prng, 500us, 50ms);
}

// --- aims: some runs look for one kind of rare moment only ---

enum class Aim : std::uint64_t { quarrels, changes, snapshots, none };

Aim draw_aim(Prng prng) {
  const std::uint64_t drawn = prng.below(16);
  return drawn < static_cast<std::uint64_t>(Aim::none) ? static_cast<Aim>(drawn) : Aim::none;
}

// Messages that arrive, and soon: what matters is who is cut off when, and what is on which disk.
void aim_shape(Prng prng, Aim aim, Options& options) {
  if (aim == Aim::none) return;
  constexpr std::array<std::uint64_t, 3> kVoters = {3, 3, 5};
  options.voters = pick(prng, kVoters);
  options.learners = 0;
  options.loss_ppm = options.corrupt_ppm = options.tail_ppm = options.bandwidth = 0;
  options.latency_min = spread(prng, 50us, 300us);
  options.latency_max = options.latency_min + spread(prng, 50us, 1ms);
  options.sync_max = options.sync_min + spread(prng, 50us, 5ms);
  if (aim != Aim::snapshots) return;
  const Options defaults;
  options.entries_per_message_max = defaults.entries_per_message_max;
  options.bytes_per_message_max = defaults.bytes_per_message_max;
  options.inflight_messages_max = defaults.inflight_messages_max;
  options.inflight_bytes_max = defaults.inflight_bytes_max;
  draw_compaction(prng, options);
  options.state_sync_bytes = prng.between(100, 1'000);
  options.log_cut_step_bytes = prng.between(1, 300);
  options.log_kept_bytes = prng.between(0, 200);
  draw_slow_state_machine(prng, options);
}

// --- workload: what clients do ---

struct Workload {
  std::uint64_t clients = 5;
  std::uint64_t operations_per_second = 50;
  std::uint64_t keys = 10;
  std::uint64_t hot_percent = 50;  // of operations go to the first key or two
  std::uint64_t write_percent = 50;
  std::uint64_t delete_percent = 5;       // of writes
  std::uint64_t multi_percent = 5;        // of writes
  std::uint64_t consistent_percent = 50;  // of reads; the others are half default, half stale
  std::uint64_t padding_max = 0;          // bytes of a value behind its number
};

Workload draw_workload(Prng& prng) {
  Workload work;
  work.clients = prng.between(1, 10);
  work.operations_per_second = prng.between(10, 90);
  work.keys = one_in(prng, 3) ? prng.between(1, 3) : prng.between(4, 60);
  work.hot_percent = prng.between(0, 90);
  work.write_percent = prng.between(20, 80);
  work.delete_percent = half(prng) ? prng.between(0, 30) : 0;
  work.multi_percent = half(prng) ? prng.between(0, 20) : 0;
  work.consistent_percent = prng.between(20, 100);
  if (one_in(prng, 4)) work.padding_max = prng.between(10, 1'500);
  return work;
}

// Values so large that LevelDB writes and merges tables in a short run, in half of the runs.
void draw_leveldb(Prng& prng, Options& options, Workload& work) {
  options.leveldb = 1;
  // The values are larger, so there are more chunks: a stream whose worker is slow is not given up.
  options.snapshot_stall_max = std::max(options.snapshot_stall_max, options.work_max * 8);
  if (half(prng)) options.start_strikes_percent = prng.between(5, 40);
  if (half(prng)) work.padding_max = prng.between(500, 5'000);
}

std::string draw_key(Prng& prng, const Workload& work) {
  const bool hot = prng.chance(work.hot_percent, 100);
  const std::uint64_t among = hot ? std::min<std::uint64_t>(2, work.keys) : work.keys;
  return fmt::format("k{}", prng.below(among));
}

Action draw_operation(Prng& prng, const Workload& work, std::uint64_t number) {
  const std::string key = draw_key(prng, work);
  if (!prng.chance(work.write_percent, 100)) {
    if (prng.chance(work.consistent_percent, 100)) return get(key, Level::consistent);
    return get(key, half(prng) ? Level::default_ : Level::stale);
  }
  if (prng.chance(work.delete_percent, 100)) return del(key);
  std::string value = fmt::format("v{}", number);
  if (work.padding_max > 0) value += "-" + std::string(prng.below(work.padding_max + 1), 'x');
  std::vector<std::pair<std::string, std::string>> pairs;
  pairs.emplace_back(key, std::move(value));
  if (prng.chance(work.multi_percent, 100)) {
    const std::string second = draw_key(prng, work);
    if (second != key) pairs.emplace_back(second, fmt::format("v{}-2", number));
  }
  return put(std::move(pairs));
}

void draw_operations(Prng& prng, const Workload& work, Options& options) {
  const Duration mean = Duration(1s) / static_cast<std::int64_t>(work.operations_per_second);
  std::uint64_t number = 0;
  for (Duration t = prng.between(Duration(0), mean * 2); t < options.duration;
       t += prng.between(Duration(1us), mean * 2)) {
    Action& action = options.schedule.emplace_back(draw_operation(prng, work, ++number));
    action.client = static_cast<int>(prng.between(1, work.clients));
    action.at = std::chrono::floor<std::chrono::microseconds>(t);
  }
}

// --- faults ---

constexpr std::uint32_t kAimedLabels = 1'000'000;  // no run has so many others

// Draws episodes of one kind of fault after the other into the schedule.
class Faults {
 public:
  // Cuts have labels behind `labels`.
  Faults(Prng prng, Options& options, std::uint32_t labels = 0)
      : prng_(prng), options_(options), labels_(labels) {}

  void draw_all(std::uint64_t intensity_percent) {
    const auto exists = [&] { return prng_.chance(intensity_percent, 100); };
    if (exists()) episodes(1s, 8s, [&](Duration t) { crash(t); });
    if (exists()) episodes(1s, 8s, [&](Duration t) { cut(t); });
    if (exists()) episodes(2s, 10s, [&](Duration t) { pause_for_a_while(t); });
    if (exists()) episodes(2s, 10s, [&](Duration t) { slow_disk(t); });
    if (exists()) episodes(2s, 10s, [&](Duration t) { storm(t); });
    if (exists()) episodes(2s, 10s, [&](Duration t) { clog_for_a_while(t); });
    if (exists()) episodes(1s, 10s, [&](Duration t) { break_connection(t); });
    if (exists()) episodes(1s, 8s, [&](Duration t) { administer(t); });
    if (exists()) episodes(4s, 15s, [&](Duration t) { wipe_and_rejoin(t); });
    if (exists()) episodes(8s, 20s, [&](Duration t) { rolling_restart(t); });
    if (exists()) episodes(3s, 12s, [&](Duration t) { lose_state(t); });
    for (std::uint64_t i = 0; i < options_.spares; ++i) {
      add(time_within(),
          start(node(static_cast<int>(options_.voters + options_.learners + i + 1))));
    }
    sort_by_time();
  }

  // Of disks with files.
  void draw_disk_faults(std::uint64_t intensity_percent) {
    const auto exists = [&] { return prng_.chance(intensity_percent, 100); };
    if (exists()) episodes(1s, 8s, [&](Duration t) { strike_anywhere(t); });
    if (exists()) episodes(2s, 10s, [&](Duration t) { failing_disk(t); });
    if (exists()) episodes(2s, 12s, [&](Duration t) { rot(t); });
    sort_by_time();
  }

  void draw_aim(Aim aim) {
    if (aim == Aim::quarrels)
      episodes(1s, 3s, [&](Duration t) { half(prng_) ? quarrel(t) : diverge(t); });
    if (aim == Aim::changes) episodes(1s, 3s, [&](Duration t) { interrupt_a_change(t); });
    if (aim == Aim::snapshots) episodes(1s, 3s, [&](Duration t) { hurry_snapshots(t); });
    sort_by_time();
  }

  // Faults that are aimed: rows of actions that lead to moments which independent ones hardly ever
  // come to (docs/simulation.md, "Marks").
  void draw_aimed(std::uint64_t intensity_percent) {
    const auto exists = [&] { return prng_.chance(intensity_percent, 100); };
    if (exists()) episodes(3s, 15s, [&](Duration t) { quarrel(t); });
    if (exists()) episodes(3s, 15s, [&](Duration t) { interrupt_a_change(t); });
    if (exists()) {
      if (half(prng_)) draw_slow_state_machine(prng_, options_);
      episodes(2s, 8s, [&](Duration t) { hurry_snapshots(t); });
    }
    if (exists() && options_.spares > 0) join_too_late(prng_.between(Duration(0), 10s));
    sort_by_time();
  }

 private:
  // Actions of one time stay in the order they were drawn in. (std::stable_sort does not compile
  // without warnings with clang 19 and the library of g++ 12.)
  void sort_by_time() {
    std::vector<std::pair<Duration, std::size_t>> order;
    for (const Action& action : options_.schedule) order.emplace_back(action.at, order.size());
    std::ranges::sort(order);
    Schedule sorted;
    for (const auto& [time, position] : order)
      sorted.push_back(std::move(options_.schedule[position]));
    options_.schedule = std::move(sorted);
  }

  template <typename Episode>
  void episodes(Duration mean_min, Duration mean_max, Episode episode) {
    const Duration mean = prng_.between(mean_min, mean_max);
    for (Duration t = prng_.between(Duration(0), mean); t < options_.duration;
         t += prng_.between(Duration(1ms), mean * 2)) {
      episode(t);
    }
  }

  void add(Duration t, Action action) {
    const Duration time = std::chrono::floor<std::chrono::microseconds>(t);
    if (time < options_.duration) options_.schedule.push_back(at(time, std::move(action)));
  }
  [[nodiscard]] std::uint64_t nodes() const {
    return options_.voters + options_.learners + options_.spares;
  }
  Duration time_within() { return prng_.between(Duration(0), options_.duration); }
  Duration length() { return spread(prng_, 10ms, 5s); }

  Who someone() {
    if (one_in(prng_, 3)) return leader();
    return node(static_cast<int>(prng_.between(1, nodes())));
  }
  // By number, so that it is still the same one when the fault ends.
  Who someone_fixed() { return node(static_cast<int>(prng_.between(1, nodes()))); }

  void crash(Duration t) {
    // Now and then everybody at once.
    if (one_in(prng_, 12)) {
      for (std::uint64_t i = 1; i <= nodes(); ++i) {
        add(t, power(node(static_cast<int>(i))));
        add(t + length(), start(node(static_cast<int>(i))));
      }
      return;
    }
    const Who who = someone_fixed();
    const std::uint64_t kind = prng_.below(3);
    const Duration back = t + length();
    if (kind == 0) add(t, kill(who));
    if (kind == 1) add(t, power(who));
    if (kind == 2) add(t, strike(who, prng_.below(6)));
    add(back, start(who));
    // The leader, too, whoever it is: all who may be it are started again.
    if (one_in(prng_, 2)) {
      const Duration then = t + length();
      add(then, half(prng_) ? kill(leader()) : power(leader()));
      const Duration all_back = then + length();
      for (std::uint64_t i = 1; i <= nodes(); ++i) {
        if (i <= options_.voters + options_.learners)
          add(all_back, start(node(static_cast<int>(i))));
      }
    }
  }

  void cut(Duration t) {
    const std::uint32_t label = ++labels_;
    const std::uint64_t kind = prng_.below(8);
    Action action = ring();
    if (kind == 0 || kind == 1) action = isolate(someone());
    if (kind == 2 || kind == 3) action = split(some_group());
    if (kind == 4) action = mute(someone());
    if (kind == 5) action = deafen(someone());
    if (kind == 6) action = bridge(someone());
    if (one_in(prng_, 8)) action = cut_clients(someone());
    add(t, action.named(label));
    const Duration end = t + length();
    add(end, one_in(prng_, 10) ? heal() : heal(label));
  }

  std::vector<Who> some_group() {
    std::vector<int> all;
    for (std::uint64_t i = 1; i <= nodes(); ++i) all.push_back(static_cast<int>(i));
    prng_.shuffle(all);
    const std::uint64_t size = prng_.between(1, std::max<std::uint64_t>(1, all.size() / 2));
    std::vector<Who> group;
    for (std::uint64_t i = 0; i < size; ++i) group.push_back(node(all[i]));
    return group;
  }

  void pause_for_a_while(Duration t) {
    const Who who = someone_fixed();
    add(t, pause(who));
    add(t + length(), resume(who));
  }

  void slow_disk(Duration t) {
    const Who who = someone_fixed();
    constexpr std::array<std::uint64_t, 4> kFactors = {0, 3, 10, 100};
    add(t, disk(who, pick(prng_, kFactors)));
    add(t + length(), disk(who, 1));
  }

  void storm(Duration t) {
    const std::uint64_t loss = half(prng_) ? prng_.below(300'000) : 0;
    const std::uint64_t duplicates = half(prng_) ? prng_.below(300'000) : 0;
    const std::uint64_t corruption = one_in(prng_, 4) ? prng_.below(50'000) : 0;
    add(t, weather(loss, duplicates, corruption));
    add(t + length(), weather(options_.loss_ppm, options_.duplicate_ppm, options_.corrupt_ppm));
  }

  void clog_for_a_while(Duration t) {
    const Who from = someone_fixed();
    const Who to = someone_fixed();
    add(t, clog(from, to));
    const Duration end = t + length();
    add(end, half(prng_) ? unclog() : unclog(from, to));
  }

  void break_connection(Duration t) {
    const Who a = someone();
    const Who b = someone();
    add(t, reset(a, b));
  }

  void administer(Duration t) {
    const std::uint64_t administrators = one_in(prng_, 3) ? 2 : 1;
    for (std::uint64_t i = 0; i < administrators; ++i) {
      if (half(prng_)) {
        add(t, transfer(someone()));
        continue;
      }
      // Removed, and some time later a new instance under the same name.
      const Who who = someone_fixed();
      add(t, remove(who));
      const Duration gone = t + length();
      add(gone, wipe(who));
      add(gone + length(), start(who));
    }
  }

  void wipe_and_rejoin(Duration t) {
    const Who who = someone_fixed();
    add(t, wipe(who));
    add(t + length(), start(who));
  }

  void lose_state(Duration t) {
    const Who who = someone_fixed();
    add(t, damage(who));
    add(t + length(), start(who));
  }

  // Deep inside a compaction, say.
  void strike_anywhere(Duration t) {
    const Who who = someone_fixed();
    add(t, strike(who, prng_.below(100)));
    add(t + length(), start(who));
  }

  void failing_disk(Duration t) {
    const Who who = someone_fixed();
    const std::uint64_t kind = prng_.below(3);
    if (kind == 0) add(t, fail_syncs(who));
    if (kind == 1) add(t, fail_reads(who));
    if (kind == 2) add(t, full(who, prng_.below(20'000)));
    add(t + length(), mend(who));
  }

  void rot(Duration t) {
    const Who who = someone_fixed();
    const std::uint64_t kind = prng_.below(4);
    const std::uint64_t file = prng_.below(1'000'000);
    const std::uint64_t place = prng_.below(1'000'000);
    if (kind == 0) add(t, flip(who, file, place));
    if (kind == 1) add(t, zero(who, file, place));
    if (kind == 2) add(t, chop(who, file, place));
    if (kind == 3) add(t, lose(who, file));
    add(t + length(), start(who));
  }

  void rolling_restart(Duration t) {
    const Duration pause = length();
    for (std::uint64_t i = 1; i <= nodes(); ++i) {
      add(t, kill(node(static_cast<int>(i))));
      add(t + pause / 2, start(node(static_cast<int>(i))));
      t += pause;
    }
  }

  // Every node of the beginning, whatever has become of it.
  void start_all(Duration t) {
    for (std::uint64_t i = 1; i <= options_.voters + options_.learners; ++i)
      add(t, start(node(static_cast<int>(i))));
  }
  Duration election_timeouts(std::uint64_t least, std::uint64_t most) {
    return options_.election_timeout * static_cast<std::int64_t>(prng_.between(least, most));
  }

  // Leaders that are cut off one after the other, each with writes that it can give to nobody: logs
  // that differ in several terms (Figure 7).
  void quarrel(Duration t) {
    const std::uint64_t rounds = prng_.between(1, 4);
    const bool heals_first = half(prng_);
    for (std::uint64_t i = 0; i < rounds; ++i) {
      const std::uint32_t label = ++labels_;
      add(t, isolate(leader()).named(label));
      write_in_vain(t);
      t += prng_.between(options_.election_timeout, options_.election_timeout * 3);
      // The one before comes back just when the next is cut off, or before.
      add(heals_first ? t - 1ms : t + 1ms, heal(label));
    }
  }

  void write_in_vain(Duration t) {
    const std::uint64_t writes = prng_.between(1, 8);
    for (std::uint64_t w = 0; w < writes; ++w) {
      const std::string key = fmt::format("q{}", half(prng_) ? 0 : writes_);
      add(t + prng_.between(1us, options_.election_timeout / 2),
          put(key, fmt::format("w{}", ++writes_)).through(deposed_leader()).by(kQuarrellers));
    }
  }

  // One leader is cut off with entries of its own; the next, too, before its first entry is on
  // another's disk, which loses its power. The first comes back, and may lead again: then the
  // second has entries of a later term than the leader has at the same places (Figure 7, f).
  void diverge(Duration t) {
    for (std::uint64_t i = 1; i <= nodes(); ++i)
      add(t, disk(node(static_cast<int>(i)), prng_.between(5, 40)));
    const std::uint32_t first = ++labels_;
    const std::uint32_t second = ++labels_;
    add(t, isolate(leader()).named(first));
    write_in_vain(t);
    t += prng_.between(options_.election_timeout, options_.election_timeout * 3);
    add(t, isolate(leader()).named(second));
    write_in_vain(t);
    add(t + 1us, power(follower()));
    add(t + 2us, heal(first));
    start_all(t + 1ms);
    t += election_timeouts(2, 6);
    add(t, heal(second));
    for (std::uint64_t i = 1; i <= nodes(); ++i) add(t, disk(node(static_cast<int>(i)), 1));
  }

  // A change of members or of the leader, and then the leader is gone within a few messages.
  void interrupt_a_change(Duration t) {
    const Who who = someone();
    const bool hands_over = one_in(prng_, 3);
    add(t, hands_over ? transfer(who) : remove(who));
    const Duration then = t + spread(prng_, options_.latency_min, options_.election_timeout / 2);
    const std::uint64_t kind = prng_.below(4);
    if (kind == 0) add(then, kill(leader()));
    if (kind == 1) add(then, power(leader()));
    if (kind == 2) add(then, reset(leader(), who));
    const std::uint32_t label = ++labels_;
    if (kind == 3) add(then, isolate(leader()).named(label));
    const Duration end = then + election_timeouts(1, 6);
    if (kind == 3) add(end, heal(label));
    start_all(end);
  }

  // Nodes get snapshots onto slow disks while the leadership goes around.
  void hurry_snapshots(Duration t) {
    const std::uint64_t count = prng_.between(1, 2);
    std::vector<Who> behind;
    const bool together = half(prng_);
    Duration first_back = options_.duration;
    for (std::uint64_t i = 0; i < count; ++i) {
      const Who who = behind.emplace_back(someone_fixed());
      const std::uint32_t label = ++labels_;
      const bool loses = !together && half(prng_);
      add(t, loses ? damage(who) : isolate(who).named(label));
      // At once, too: while those who have more to apply are still at it.
      const Duration away = loses && half(prng_) ? prng_.between(Duration(1us), 20ms)
                                                 : spread(prng_, options_.latency_max * 2,
                                                          options_.election_timeout * 8);
      const Duration back = together && i > 0 ? first_back : t + away;
      first_back = std::min(first_back, back);
      add(back, loses ? start(who) : heal(label));
      if (half(prng_)) continue;
      add(back, disk(who, prng_.between(2, 30)));
      add(back + election_timeouts(4, 8), disk(who, 1));
    }
    const std::uint64_t transfers = prng_.between(2, 20);
    const Duration apart = spread(prng_, options_.latency_max, options_.election_timeout / 4);
    Duration when = first_back;
    for (std::uint64_t i = 0; i < transfers; ++i) {
      when += prng_.between(Duration(1us), apart * 2);
      const bool other = one_in(prng_, 3);
      add(when, transfer(other ? someone_fixed() : behind[prng_.below(behind.size())]));
    }
  }

  // A node asks to join, does not hear that it may, and is removed before it asks again.
  void join_too_late(Duration t) {
    const Who who = node(static_cast<int>(options_.voters + options_.learners + 1));
    const std::uint32_t label = ++labels_;
    add(t, deafen(who).named(label));
    add(t, start(who));
    add(t + election_timeouts(1, 3), remove(who));
    add(t + election_timeouts(4, 8), heal(label));
  }

  static constexpr int kQuarrellers = 99;  // a client of their own
  Prng prng_;
  Options& options_;
  std::uint32_t labels_;
  std::uint64_t writes_ = 0;  // of quarrels
};

}  // namespace

Options draw_options(std::uint64_t seed, const SwarmOverrides& overrides) {
  Options options;
  options.seed = seed;
  options.duration = overrides.duration;
  Prng shape = stream_of(seed, Draw::shape);
  draw_nodes(shape, options);
  draw_network(shape, options);
  draw_disks(shape, options);
  draw_times(shape, options);
  draw_limits(shape, options);
  const Aim aim = draw_aim(stream_of(seed, Draw::aim));
  aim_shape(shape.split(1), aim, options);
  draw_batching(shape.split(2), options);
  if (overrides.voters > 0) options.voters = overrides.voters;
  Prng work = stream_of(seed, Draw::workload);
  Workload workload = draw_workload(work);
  Prng storage = stream_of(seed, Draw::storage);
  const bool leveldb = one_in(storage, 10);
  if (overrides.leveldb.value_or(leveldb)) draw_leveldb(storage, options, workload);
  draw_operations(work, workload, options);
  Prng faults = stream_of(seed, Draw::faults);
  constexpr std::array<std::uint64_t, 4> kIntensities = {10, 30, 50, 90};
  const std::uint64_t intensity = pick(faults, kIntensities);
  Faults aimed(faults.split(2), options, kAimedLabels);
  if (aim != Aim::none) {
    aimed.draw_aim(aim);
    return options;
  }
  Faults(faults.split(1), options).draw_all(intensity);
  if (options.leveldb != 0) Faults(storage.split(1), options).draw_disk_faults(intensity);
  aimed.draw_aimed(intensity);
  return options;
}

std::string fixed_options(const SwarmOverrides& fixed) {
  std::string text;
  if (fixed.voters > 0) text += fmt::format(" --nodes {}", fixed.voters);
  if (fixed.duration != SwarmOverrides().duration) text += " --duration " + print(fixed.duration);
  if (fixed.leveldb) text += *fixed.leveldb ? " --storage leveldb" : " --storage memory";
  return text;
}

Options benchmark_options(std::uint64_t seed, Duration duration, bool leveldb) {
  Options options;
  options.seed = seed;
  options.voters = 5;
  options.duration = duration;
  options.liveness = 0;  // its second phase is mostly idle, and would flatter
  options.loss_ppm = 1'000;
  options.duplicate_ppm = 1'000;
  options.tail_ppm = 1'000;
  options.reorder = 1;
  Prng work = stream_of(seed, Draw::workload);
  draw_operations(work, Workload{}, options);
  Faults(stream_of(seed, Draw::faults), options).draw_all(100);
  if (leveldb) {
    options.leveldb = 1;
    options.start_strikes_percent = 10;
    Faults(stream_of(seed, Draw::storage), options).draw_disk_faults(100);
  }
  return options;
}

}  // namespace raftkv::sim
