// Network namespaces behind a bridge. Everything in them ends with them: addresses, the inner ends
// of the links, nftables.
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <fstream>

#include "src/base/prng.h"
#include "tests/chaos/ground.h"
#include "tests/chaos/relay.h"
#include "tests/chaos/sockaddr.h"

namespace raftkv::chaos {

void Links::cut_one_way(int from, int to) {
  cut[static_cast<std::size_t>(from)][static_cast<std::size_t>(to)] = true;
}
void Links::cut_both(int a, int b) {
  cut_one_way(a, b);
  cut_one_way(b, a);
}
bool Links::quorum(const std::vector<bool>& up) const {
  for (std::size_t a = 0; a < clients(); ++a) {
    std::size_t together = 0;
    for (std::size_t b = 0; b < clients(); ++b) {
      if (up[a] && up[b] && (a == b || (!cut[a][b] && !cut[b][a]))) ++together;
    }
    if (together > clients() / 2) return true;
  }
  return false;
}

namespace {

constexpr const char* kIp = "/usr/sbin/ip";
constexpr const char* kNft = "/usr/sbin/nft";

// One run has one number: of its bridge, its names and its subnet 10.231.N.0/24. Runs that begin at
// the same time must not take the same: the one that came too late would take away the other's. The
// number belongs to who has bound the socket of its name (an abstract one, unix(7)): one process at
// a time, until it ends, and like links in this network namespace only.
class Number {
 public:
  Number() {
    for (int n = 1; n < 255 && number_ == 0; ++n) claim(n);
  }
  Number(const Number&) = delete;
  Number& operator=(const Number&) = delete;
  ~Number() { ::close(socket_); }

  // 0: all are taken.
  [[nodiscard]] int get() const { return number_; }

 private:
  void claim(int n) {
    const std::string link = fmt::format("{}{}", kLinkPrefix, n);
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    link.copy(&name.sun_path[1], link.size());
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + link.size());
    if (::bind(socket_, reinterpret_cast<const sockaddr*>(&name), size) != 0) return;
    if (!anything_left(link)) {
      number_ = n;
      return;
    }
    ::close(socket_);
    socket_ = fresh();
  }
  // By a run that was killed, or ends just now.
  static bool anything_left(const std::string& link) {
    std::error_code none;
    for (const char* folder : {"/sys/class/net", "/run/netns"}) {
      for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
        const std::string name = entry.path().filename();
        if (name == link || name.starts_with(link + "n")) return true;
      }
    }
    return false;
  }
  static int fresh() { return ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0); }

  int socket_ = fresh();
  int number_ = 0;
};

class Namespaces final : public Ground {
 public:
  Namespaces(int nodes, std::uint64_t seed, Belongings& belongings)
      : nodes_(nodes), belongings_(belongings), now_(nodes), seeds_(seed) {}

  bool make(std::string& error) {
    const std::string bridge = fmt::format("{}{}", kLinkPrefix, number_);
    belongings_.note_link(bridge);
    const auto run = [&](const std::vector<std::string>& command) {
      return administer(command, &error);
    };
    if (!run({kIp, "link", "add", bridge, "type", "bridge"}) ||
        !run({kIp, "address", "add", host() + "/24", "dev", bridge}) ||
        !run({kIp, "link", "set", bridge, "up"})) {
      return false;
    }
    for (int i = 0; i < nodes_; ++i) {
      if (!make_one(i, bridge, error)) return false;
    }
    return true;
  }

  std::string name() const override { return "namespaces"; }
  Place place(int node) const override {
    const Address http{address(node), 8091};
    const Address raft{address(node), 8089};
    return {http, raft, http, raft};
  }
  std::vector<std::string> prefix(int node) const override {
    return {kIp, "netns", "exec", name_of(node)};
  }
  void started(int, pid_t) override {}

  void set(const Links& links) override {
    // The one that was goes last: until the rules are loaded it still carries what they let pass.
    std::unique_ptr<Relay> before;
    if (pace_of(links) != pace_of(now_)) {
      before = std::move(relay_);
      if (is_paced(links)) relay_ = relay(pace_of(links));
    }
    for (int to = 0; to < nodes_; ++to) {
      const auto receiver = static_cast<std::size_t>(to);
      bool changed = links.loss_percent != now_.loss_percent || is_paced(links) != is_paced(now_);
      for (std::size_t from = 0; from < links.cut.size(); ++from) {
        changed = changed || links.cut[from][receiver] != now_.cut[from][receiver] ||
                  links.cut[receiver].back() != now_.cut[receiver].back();
      }
      if (changed) load_rules(to, links);
    }
    now_ = links;
  }
  std::string why_no_delay() const override { return why_no_relay(); }

 private:
  std::string host() const { return fmt::format("10.231.{}.254", number_); }
  std::string address(int node) const { return fmt::format("10.231.{}.{}", number_, node + 1); }
  std::string name_of(int node) const {
    return fmt::format("{}{}n{}", kLinkPrefix, number_, node + 1);
  }

  static Pace pace_of(const Links& links) { return {links.delay_most, links.bytes_a_second}; }
  static bool is_paced(const Links& links) { return pace_of(links) != Pace{}; }

  std::unique_ptr<Relay> relay(Pace pace) {
    std::vector<Port> ports;
    for (int i = 0; i < nodes_; ++i)
      ports.push_back({name_of(i) + "h", to_sockaddr({address(i), 0}).sin_addr});
    auto made = make_relay(ports, pace, seeds_.next());
    if (!made) {
      fmt::print(stderr, "raftkv-chaos: the nodes' links cannot be read\n");
      std::abort();
    }
    return made;
  }

  bool make_one(int i, const std::string& bridge, std::string& error) {
    const std::string space = name_of(i);
    const std::string outer = space + "h";
    const std::string inner = space + "i";
    belongings_.note_namespace(space);
    belongings_.note_link(outer);
    const auto run = [&](const std::vector<std::string>& command) {
      return administer(command, &error);
    };
    return run({kIp, "netns", "add", space}) &&
           run({kIp, "link", "add", outer, "type", "veth", "peer", "name", inner}) &&
           run({kIp, "link", "set", inner, "netns", space}) &&
           run({kIp, "link", "set", outer, "master", bridge}) &&
           run({kIp, "link", "set", outer, "up"}) &&
           run({kIp, "-n", space, "address", "add", address(i) + "/24", "dev", inner}) &&
           run({kIp, "-n", space, "link", "set", inner, "up"}) &&
           run({kIp, "-n", space, "link", "set", "lo", "up"});
  }

  // The receiver drops. Only what goes from a node to the clients is dropped where it leaves: the
  // clients stand in the machine's own namespace, whose tables are not ours.
  void load_rules(int to, const Links& links) const {
    const auto receiver = static_cast<std::size_t>(to);
    std::string rules = "add table inet chaos\ndelete table inet chaos\nadd table inet chaos\n";
    rules += "add chain inet chaos in { type filter hook input priority 0; }\n";
    rules += "add chain inet chaos out { type filter hook output priority 0; }\n";
    for (std::size_t from = 0; from < links.clients(); ++from) {
      const std::string source = address(static_cast<int>(from));
      if (is_paced(links) && from != receiver) {
        rules += fmt::format("add rule inet chaos in ip saddr {} ether saddr != {} drop\n", source,
                             kRelayed);
      }
      if (links.cut[from][receiver]) {
        rules += fmt::format("add rule inet chaos in ip saddr {} drop\n", source);
      } else if (links.loss_percent > 0 && from != receiver) {
        rules += fmt::format("add rule inet chaos in ip saddr {} numgen random mod 100 < {} drop\n",
                             source, links.loss_percent);
      }
    }
    if (links.cut[links.clients()][receiver])
      rules += fmt::format("add rule inet chaos in ip saddr {} drop\n", host());
    if (links.cut[receiver][links.clients()])
      rules += fmt::format("add rule inet chaos out ip daddr {} drop\n", host());
    const std::string file = fmt::format("{}/{}.nft", belongings_.directory(), name_of(to));
    std::ofstream(file) << rules;
    std::string output;
    if (!administer({kIp, "netns", "exec", name_of(to), kNft, "-f", file}, &output)) {
      fmt::print(stderr, "raftkv-chaos: nft: {}\n", output);
      std::abort();
    }
  }

  int nodes_;
  Number claimed_;
  int number_ = claimed_.get();
  Belongings& belongings_;
  Links now_;
  Prng seeds_;
  std::unique_ptr<Relay> relay_;  // while links are slow
};

}  // namespace

std::string why_no_namespaces() {
  if (::geteuid() != 0) return "network namespaces need root";
  for (const char* program : {kIp, kNft}) {
    if (::access(program, X_OK) != 0) return fmt::format("{} is missing", program);
  }
  if (Number().get() == 0) return "all 254 subnets are taken: raftkv-chaos clean";
  return "";
}

std::unique_ptr<Ground> make_namespaces(int nodes, std::uint64_t seed, Belongings& belongings,
                                        std::string& error) {
  auto made = std::make_unique<Namespaces>(nodes, seed, belongings);
  if (!made->make(error)) return nullptr;
  return made;
}

}  // namespace raftkv::chaos
