// The ground that a run stands on: where each node listens, and the links between nodes, and
// between them and the clients, which can be cut, in each direction by itself.
//
// Two kinds. `namespaces` (root): each node has a network namespace with an address of its own
// behind a bridge; the receiver's nftables drop what a cut or a loss takes, and while links are
// slow all frames between nodes go through this program. `proxy` (anybody): all on loopback
// addresses, and every connection goes through this program.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/chaos/belongings.h"
#include "tests/process/http.h"

namespace raftkv::chaos {

using process::Address;
using process::milliseconds;

// What the links do. Nodes count from 0; the clients stand behind the last one.
struct Links {
  explicit Links(int nodes)
      : cut(static_cast<std::size_t>(nodes) + 1,
            std::vector<bool>(static_cast<std::size_t>(nodes) + 1, false)) {}

  std::vector<std::vector<bool>> cut;  // [from][to]: nothing arrives
  unsigned loss_percent = 0;           // between nodes
  milliseconds delay_most{0};          // between nodes: each piece waits up to this
  std::uint64_t bytes_a_second = 0;    // between nodes, each link and direction; 0: as many as come

  [[nodiscard]] std::size_t clients() const { return cut.size() - 1; }
  void cut_one_way(int from, int to);
  void cut_both(int a, int b);
  // Whether of the nodes that run (`up`, one a node) one is connected, in both directions, to so
  // many others that together they are a majority of all.
  [[nodiscard]] bool quorum(const std::vector<bool>& up) const;
  bool operator==(const Links&) const = default;
};

struct Place {
  Address http, raft;                // where the node listens
  Address public_http, public_raft;  // where others reach it
};

class Ground {
 public:
  virtual ~Ground() = default;
  [[nodiscard]] virtual std::string name() const = 0;
  [[nodiscard]] virtual Place place(int node) const = 0;
  // What stands before the command line of a node.
  [[nodiscard]] virtual std::vector<std::string> prefix(int node) const = 0;
  // The process of a node has changed.
  virtual void started(int node, pid_t pid) = 0;
  virtual void set(const Links& links) = 0;
  // Empty, or why links cannot delay and throttle here.
  [[nodiscard]] virtual std::string why_no_delay() const = 0;
};

// Empty, or what is missing, in words.
[[nodiscard]] std::string why_no_namespaces();
// Null if it cannot be made; `error` says why.
[[nodiscard]] std::unique_ptr<Ground> make_namespaces(int nodes, std::uint64_t seed,
                                                      Belongings& belongings, std::string& error);
[[nodiscard]] std::unique_ptr<Ground> make_proxies(int nodes, std::uint64_t seed);

}  // namespace raftkv::chaos
