#include "tests/chaos/cluster.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "src/base/check.h"
#include "tests/chaos/end_checks.h"
#include "tests/process/files.h"

namespace raftkv::chaos {

namespace fs = std::filesystem;
using namespace std::chrono_literals;  // NOLINT: 500ms reads better than any helper
using process::eventually;
using process::Response;

Cluster::Cluster(ClusterOptions options, Ground& ground, Belongings& belongings)
    : options_(std::move(options)),
      ground_(ground),
      belongings_(belongings),
      nodes_(static_cast<std::size_t>(options_.nodes)) {
  for (int i = 0; i < size(); ++i) {
    fs::create_directory(directory(i));
    if (options_.interposed.empty()) continue;
    node(i).disk = map_disk_control(disk_control(i), true);
    CHECK(node(i).disk != nullptr);
    node(i).disk->noted_from_ms = kLongSyncMs;
  }
  if (!options_.faketime.empty()) set_clock(0);
}

std::string Cluster::directory(int i) const {
  return belongings_.directory() + "/" + id(i);
}
std::string Cluster::log(int i) const {
  return belongings_.directory() + "/" + id(i) + ".log";
}

std::vector<Address> Cluster::endpoints() const {
  std::vector<Address> endpoints;
  for (int i = 0; i < size(); ++i) endpoints.push_back(ground_.place(i).public_http);
  return endpoints;
}

bool Cluster::make(std::string& error) {
  const Place first = ground_.place(0);
  const process::Finished made =
      process::run({options_.raftkv, "init", "--data", data(0), "--id", id(0), "--http",
                    first.public_http.text(), "--raft", first.public_raft.text()});
  error = made.output;
  if (made.exit_code != 0) return false;
  start(0);
  for (int i = 1; i < size(); ++i) {
    const auto joined = [&] {
      const auto response = process::http(ground_.place(0).http, {.target = "/members"}, 2s);
      const auto members = response ? process::parse_members(response->body) : std::nullopt;
      if (!members || members->size() != static_cast<std::size_t>(i)) return false;
      for (const auto& member : *members) {
        if (member.role != "voter") return false;
      }
      return true;
    };
    error =
        id(i - 1) + " does not become a voter:\n" + process::last_lines(log_since_start(i - 1), 20);
    if (!eventually([&] { return leader().has_value() && joined(); })) return false;
    join(i);
  }
  error = "not all nodes become voters:\n" + process::last_lines(log_since_start(size() - 1), 20);
  return eventually([&] { return all_are_voters(); });
}

std::vector<std::string> Cluster::environment(int i) const {
  std::string preload = options_.interposed;
  if (!options_.faketime.empty()) preload += (preload.empty() ? "" : ":") + options_.faketime;
  if (preload.empty()) return {};
  std::vector<std::string> words = {"/usr/bin/env", "LD_PRELOAD=" + preload};
  if (!options_.interposed.empty()) {
    words.push_back(fmt::format("{}={}", kJournalVariable, journal(i)));
    words.push_back(fmt::format("{}={}", kBelowVariable, data(i)));
    words.push_back(fmt::format("{}={}", kControlVariable, disk_control(i)));
  }
  if (!options_.faketime.empty()) {
    words.push_back("FAKETIME_TIMESTAMP_FILE=" + clock_file());
    words.push_back("FAKETIME_CACHE_DURATION=1");
    words.push_back("FAKETIME_DONT_FAKE_MONOTONIC=1");
  }
  return words;
}

void Cluster::serve(int i, const std::vector<std::string>& more) {
  const Place place = ground_.place(i);
  std::vector<std::string> command = ground_.prefix(i);
  const auto add = [&](const std::vector<std::string>& words) {
    command.insert(command.end(), words.begin(), words.end());
  };
  add(environment(i));
  add({options_.raftkv, "serve", "--data", data(i), "--http", place.http.text(), "--raft",
       place.raft.text()});
  if (place.public_http != place.http)
    add({"--advertise-http", place.public_http.text(), "--advertise-raft",
         place.public_raft.text()});
  add(more);
  fs::remove(journal(i));
  Node& it = node(i);
  std::error_code error;
  const auto size = fs::file_size(log(i), error);
  it.log_begin = error ? 0 : size;
  ++epochs_[static_cast<std::size_t>(i)];
  it.child = process::Child(command, log(i));
  it.should_live = true;
  it.paused = false;
  belongings_.note_process(it.child.pid());
  ground_.started(i, it.child.pid());
}

void Cluster::start(int i) {
  serve(i, {});
}

void Cluster::join(int i) {
  std::string through;
  for (int other = 0; other < size(); ++other) {
    if (other != i)
      through += (through.empty() ? "" : ",") + ground_.place(other).public_http.text();
  }
  serve(i, {"--id", id(i), "--join", through, "--join-timeout", "60s"});
}

void Cluster::kill(int i) {
  node(i).should_live = false;
  node(i).child.kill();
  ++epochs_[static_cast<std::size_t>(i)];
}

void Cluster::signal(int i, int number) {
  if (number == SIGKILL) node(i).should_live = false;
  if (number == SIGSTOP || number == SIGCONT) node(i).paused = number == SIGSTOP;
  node(i).child.signal(number);
}

std::optional<process::ExitCode> Cluster::terminate(int i) {
  node(i).should_live = false;
  node(i).child.signal(SIGTERM);
  const auto code = node(i).child.wait(20s);
  ++epochs_[static_cast<std::size_t>(i)];
  return code;
}

bool Cluster::running(int i) {
  return node(i).child.running();
}

void Cluster::wipe(int i) {
  fs::remove_all(data(i));
  node(i).doubtful = false;
}

std::string Cluster::log_since_start(int i) const {
  const std::string all = process::read_file(log(i));
  const std::size_t begin = nodes_[static_cast<std::size_t>(i)].log_begin;
  return begin < all.size() ? all.substr(begin) : "";
}

Lost Cluster::lose_unsynced_writes(int i, Prng& prng) {
  return lose_unsynced(journal(i), data(i), Keep::drawn, prng);
}

std::vector<std::string> Cluster::unexpected_deaths() {
  std::vector<std::string> dead;
  for (int i = 0; i < size(); ++i) {
    if (!node(i).should_live || running(i)) continue;
    node(i).should_live = false;
    if (node(i).doubtful) {
      ++wiped_for_damage_;
      wipe(i);
      join(i);
      continue;
    }
    dead.push_back(fmt::format("{} is dead and should not be; its last lines:\n{}", id(i),
                               process::last_lines(log_since_start(i), 12)));
  }
  return dead;
}

std::string Cluster::mount_small_disk() {
  const std::string path = directory(options_.small_disk);
  belongings_.note_mount(path);
  return ::mount("tmpfs", path.c_str(), "tmpfs", 0, "size=1g") == 0
             ? ""
             : "a small file system cannot be mounted here (that needs root)";
}

void Cluster::fill_small_disk() {
  const std::string path = directory(options_.small_disk);
  struct statvfs disk{};
  if (::statvfs(path.c_str(), &disk) != 0) return;
  // A little is left: what hits the end is the log, in the middle of the load.
  const std::uint64_t used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize;
  const std::string size = fmt::format("size={}", used + (128u << 10));
  ::mount("tmpfs", path.c_str(), "tmpfs", MS_REMOUNT, size.c_str());
  node(options_.small_disk).should_live = false;
}

void Cluster::free_small_disk() {
  const std::string path = directory(options_.small_disk);
  ::mount("tmpfs", path.c_str(), "tmpfs", MS_REMOUNT, "size=1g");
}

void Cluster::set_clock(std::int64_t seconds) {
  const std::string fresh = clock_file() + ".new";
  std::ofstream(fresh) << fmt::format("{}{}\n", seconds < 0 ? "" : "+", seconds);
  fs::rename(fresh, clock_file());
}

std::optional<process::Status> Cluster::status(int i, milliseconds limit) {
  if (!running(i)) return {};
  const auto response = process::http(ground_.place(i).http, {.target = "/status"}, limit);
  if (!response || response->status != 200) return {};
  return process::parse_status(response->body);
}

std::optional<int> Cluster::leader() {
  std::optional<int> leader;
  std::uint64_t term = 0;
  for (int i = 0; i < size(); ++i) {
    const auto said = status(i);
    if (said && said->role == "leader" && said->term >= term) {
      leader = i;
      term = said->term;
    }
  }
  return leader;
}

std::optional<Response> Cluster::administer(const process::Request& request, milliseconds limit) {
  std::optional<Response> answer;
  int turn = 0;
  const bool answered = eventually(
      [&] {
        Address to = ground_.place(turn++ % size()).public_http;
        for (int redirects = 0; redirects < 3; ++redirects) {
          answer = process::http(to, request, 2s);
          const auto leader = answer && answer->status == 307
                                  ? process::parse_address(answer->header("location"))
                                  : std::nullopt;
          if (!leader) break;
          to = *leader;
        }
        return answer && answer->status != 307 && answer->status != 503 && answer->status != 504;
      },
      limit);
  return answered ? answer : std::nullopt;
}

bool Cluster::all_are_voters() {
  const auto who = leader();
  if (!who) return false;
  const auto response = process::http(ground_.place(*who).http, {.target = "/members"}, 2s);
  const auto members = response ? process::parse_members(response->body) : std::nullopt;
  if (!members || members->size() != nodes_.size()) return false;
  for (const auto& member : *members) {
    if (member.role != "voter") return false;
  }
  for (int i = 0; i < size(); ++i) {
    const auto said = status(i);
    if (!said || (said->role != "leader" && said->role != "follower")) return false;
  }
  return true;
}

bool Cluster::agree(std::string& why) {
  std::vector<std::optional<process::Status>> said;
  for (int i = 0; i < size(); ++i) said.push_back(status(i, 2s));
  return nodes_agree(said, why);
}

}  // namespace raftkv::chaos
