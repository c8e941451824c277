// raftkv-volume: a state that is larger than memory should have to hold. Fills three real nodes
// with values and measures what they need for it: memory, the time of a restart, and what clients
// notice while a fourth node joins and receives all of it.
#include <fmt/core.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdio>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "src/base/prng.h"
#include "tests/process/cluster.h"

namespace raftkv::process {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::uint64_t bytes = 2ull << 30;
  std::uint64_t value_bytes = 64 << 10;
  int clients = 8;
  int restarts = 10;
  std::uint64_t seed = 1;
};

void say(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// The nearest rank: the smallest value that at least this share of all does not exceed.
double percentile(std::vector<double> values, double percent) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const auto rank = static_cast<std::size_t>(static_cast<double>(values.size()) * percent / 100);
  return values[std::min(rank, values.size() - 1)];
}

// Anonymous resident memory of a process, in bytes; 0 if it is gone.
std::uint64_t rss_anon(pid_t pid) {
  const std::string status = read_file(fmt::format("/proc/{}/status", pid));
  const std::size_t at = status.find("RssAnon:");
  if (at == std::string::npos) return 0;
  const std::size_t digits = status.find_first_of("0123456789", at);
  std::uint64_t kib = 0;
  std::from_chars(status.data() + digits, status.data() + status.size(), kib);
  return kib << 10;
}

// The most memory that each node has ever had, looked at ten times a second.
class MemoryWatch {
 public:
  explicit MemoryWatch(Cluster& cluster) : cluster_(cluster) {
    thread_ = std::thread([this] {
      while (!stopping_) {
        look();
        std::this_thread::sleep_for(100ms);
      }
    });
  }
  MemoryWatch(const MemoryWatch&) = delete;
  MemoryWatch& operator=(const MemoryWatch&) = delete;
  ~MemoryWatch() {
    stopping_ = true;
    thread_.join();
  }
  [[nodiscard]] std::uint64_t most() const { return most_; }

 private:
  void look() {
    for (const pid_t pid : pids_) most_ = std::max<std::uint64_t>(most_, rss_anon(pid));
  }
  static std::vector<pid_t> pids_of(Cluster& cluster) {
    std::vector<pid_t> pids;
    for (int i = 0; i < cluster.size(); ++i) {
      if (cluster[i].running()) pids.push_back(cluster[i].pid());
    }
    return pids;
  }

  Cluster& cluster_;
  std::vector<pid_t> pids_ = pids_of(cluster_);
  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint64_t> most_ = 0;
  std::thread thread_;
};

// Clients that write to the leader, and how long each write took.
class Writers {
 public:
  // `key`: gives the next key; empty: there is no more to write.
  Writers(Cluster& cluster, int clients, std::uint64_t value_bytes, std::uint64_t seed,
          std::function<std::string()> key)
      : leader_(cluster[cluster.wait_for_leader()].http_address()), key_(std::move(key)) {
    for (int i = 0; i < clients; ++i) {
      latencies_.emplace_back();
      threads_.emplace_back([this, i, value_bytes, seed] {
        run(latencies_[static_cast<std::size_t>(i)], value_bytes,
            Prng(seed * 1000 + static_cast<std::uint64_t>(i)));
      });
    }
  }
  Writers(const Writers&) = delete;
  Writers& operator=(const Writers&) = delete;
  ~Writers() { stop(); }

  void join() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  void stop() {
    stopping_ = true;
    join();
  }
  // After stop() or join(): in milliseconds.
  [[nodiscard]] std::vector<double> latencies() const {
    std::vector<double> all;
    for (const auto& one : latencies_) all.insert(all.end(), one.begin(), one.end());
    return all;
  }
  [[nodiscard]] std::uint64_t failed() const { return failed_; }

 private:
  void run(std::vector<double>& latencies, std::uint64_t value_bytes, Prng prng) {
    auto connection = std::make_unique<HttpConnection>(leader_);
    std::string value(value_bytes, '\0');
    while (!stopping_) {
      const std::string key = next_key();
      if (key.empty()) return;
      for (std::size_t at = 0; at + 8 <= value.size(); at += 8) {
        const std::uint64_t word = prng.next();
        std::copy_n(reinterpret_cast<const char*>(&word), 8, value.begin() + static_cast<long>(at));
      }
      for (;;) {
        const auto begin = Clock::now();
        const auto response =
            connection->exchange({.method = "PUT", .target = "/key/" + key, .body = value}, 10s);
        if (response && response->status == 200) {
          latencies.push_back(seconds_since(begin) * 1000);
          break;
        }
        ++failed_;
        if (stopping_) return;
        // Another node leads.
        const auto other = response ? parse_address(response->header("location")) : std::nullopt;
        if (other) {
          connection = std::make_unique<HttpConnection>(*other);
        } else {
          std::this_thread::sleep_for(20ms);
        }
      }
    }
  }
  std::string next_key() {
    const std::lock_guard lock(mutex_);
    return key_();
  }

  Address leader_;
  std::mutex mutex_;
  std::function<std::string()> key_;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint64_t> failed_ = 0;
  std::deque<std::vector<double>> latencies_;
  std::vector<std::thread> threads_;
};

class Volume {
 public:
  explicit Volume(const Options& options) : options_(options), cluster_(3) {}

  int run() {
    fill();
    restart();
    join();
    return 0;
  }

 private:
  static constexpr double kMiB = 1 << 20;

  void fill() {
    const std::uint64_t count = options_.bytes / options_.value_bytes;
    std::uint64_t next = 0;
    const auto begin = Clock::now();
    MemoryWatch memory(cluster_);
    Writers writers(cluster_, options_.clients, options_.value_bytes, options_.seed, [&] {
      return next < count ? fmt::format("volume/{:010}", next++) : std::string();
    });
    writers.join();
    const double took = seconds_since(begin);
    if (!cluster_.settles()) cluster_.give_up("the nodes do not come to the same state");
    say(
        fmt::format("filled: {:.0f} MiB in values of {} bytes in {:.1f} s ({:.1f} MiB/s), p99 of a "
                    "write {:.1f} ms, {} tried again",
                    static_cast<double>(options_.bytes) / kMiB, options_.value_bytes, took,
                    static_cast<double>(options_.bytes) / kMiB / took,
                    percentile(writers.latencies(), 99), writers.failed()));
    say(fmt::format("memory: at most {:.0f} MiB RssAnon a node",
                    static_cast<double>(memory.most()) / kMiB));
  }

  // All nodes are killed and started again; until a write is acknowledged.
  void restart() {
    std::vector<double> all;
    for (int round = 0; round < options_.restarts; ++round) {
      for (int i = 0; i < cluster_.size(); ++i) cluster_[i].signal(SIGKILL);
      for (int i = 0; i < cluster_.size(); ++i) cluster_[i].kill();
      const auto begin = Clock::now();
      for (int i = 0; i < cluster_.size(); ++i) cluster_.start(i);
      if (!cluster_.put(fmt::format("restart/{}", round), "x")) cluster_.give_up("no write");
      all.push_back(seconds_since(begin));
      if (!cluster_.settles()) cluster_.give_up("the nodes do not come to the same state");
    }
    if (all.empty()) return;
    say(
        fmt::format("restart of all after SIGKILL to the first acknowledged write: median {:.2f} "
                    "s, max {:.2f} s",
                    percentile(all, 50), percentile(all, 100)));
  }

  void join() {
    const std::vector<double> before = write_for(10s);
    std::uint64_t next = 0;
    Writers writers(cluster_, options_.clients, 1024, options_.seed + 1,
                    [&] { return fmt::format("during/{}", next++ % 10000); });
    const auto begin = Clock::now();
    Node& fourth = cluster_.new_node();
    cluster_.join(fourth);
    const MemoryWatch memory(cluster_);
    if (!eventually([&] { return is_voter(fourth); }, 600s)) cluster_.give_up("it does not join");
    const double took = seconds_since(begin);
    writers.stop();
    if (!cluster_.settles()) cluster_.give_up("the nodes do not come to the same state");
    say(fmt::format("a fourth node joined and received the state in {:.1f} s", took));
    say(fmt::format(
        "writers of 1 KiB: p50 {:.1f} ms, p99 {:.1f} ms before; p50 {:.1f} ms, p99 {:.1f} ms, "
        "max {:.0f} ms meanwhile ({} writes, {} tried again)",
        percentile(before, 50), percentile(before, 99), percentile(writers.latencies(), 50),
        percentile(writers.latencies(), 99), percentile(writers.latencies(), 100),
        writers.latencies().size(), writers.failed()));
    say(fmt::format("memory: at most {:.0f} MiB RssAnon a node",
                    static_cast<double>(memory.most()) / kMiB));
  }

  std::vector<double> write_for(milliseconds time) {
    std::uint64_t next = 0;
    Writers writers(cluster_, options_.clients, 1024, options_.seed + 2,
                    [&] { return fmt::format("before/{}", next++ % 10000); });
    std::this_thread::sleep_for(time);
    writers.stop();
    return writers.latencies();
  }

  static bool is_voter(const Node& node) {
    const auto status = node.status();
    return status && status->role != "learner" && status->role != "recovering" &&
           status->applied_index > 0;
  }

  Options options_;
  Cluster cluster_;
};

int volume(int argc, char** argv) {
  Options options;
  CLI::App app{"Three real nodes with a large state: memory, restarts, a node that joins"};
  app.add_option("--bytes", options.bytes, "of values")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  app.add_option("--value-bytes", options.value_bytes, "of one value")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  app.add_option("--clients", options.clients, "that write")->capture_default_str();
  app.add_option("--restarts", options.restarts, "how many times all nodes are killed")
      ->capture_default_str();
  app.add_option("--seed", options.seed, "of the values")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return Volume(options).run();
}

}  // namespace
}  // namespace raftkv::process

int main(int argc, char** argv) {
  return raftkv::process::volume(argc, argv);
}
