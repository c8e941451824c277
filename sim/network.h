// The network between nodes, and between clients and nodes: what becomes of a frame, and which
// links are cut. Knows nothing of what frames mean. Endpoints are numbered: the nodes from 0,
// behind them one for all clients.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "sim/event_queue.h"
#include "sim/options.h"
#include "src/base/prng.h"

namespace raftkv::sim {

using Endpoint = std::uint8_t;

// A frame that would wait longer for its link's bandwidth is dropped: senders' queues are bounded.
inline constexpr Duration kBacklogMax = 200ms;

// What becomes of one frame.
struct Fate {
  std::optional<Instant> first;   // when it arrives; none: lost
  std::optional<Instant> second;  // a duplicate
  bool clogged = false;           // held until the link is unclogged
  bool corrupt = false;           // one of its bits flips
};

class Network {
 public:
  Network(const Options& options, std::size_t nodes, Prng prng);

  // Draws the fate of a frame that leaves now.
  [[nodiscard]] Fate send(Endpoint from, Endpoint to, std::size_t bytes, Instant now);
  // Clients' requests and responses: may be late or lost, never doubled or changed (they travel
  // over TCP, and a client's own retries are requests of their own).
  [[nodiscard]] Fate send_reliably(Endpoint from, Endpoint to, Instant now);
  // A latency as frames have it, for what happens to connections.
  [[nodiscard]] Duration latency();

  [[nodiscard]] bool open(Endpoint from, Endpoint to) const { return link(from, to).cuts == 0; }
  [[nodiscard]] Endpoint clients() const { return static_cast<Endpoint>(nodes_); }

  // --- cuts: links that a cut blocks stay blocked until it, and every other that blocks them, is
  // healed ---
  struct Link {
    Endpoint from = 0;
    Endpoint to = 0;
  };
  void cut(std::uint32_t label, std::vector<Link> links);
  // 0: all cuts.
  void heal(std::uint32_t label);
  [[nodiscard]] bool any_cut() const { return !cuts_.empty(); }

  // Frames on a clogged link wait. Unclogging is for the owner of the frames to notice.
  void clog(Endpoint from, Endpoint to, bool clogged) { link(from, to).clogged = clogged; }
  [[nodiscard]] bool clogged(Endpoint from, Endpoint to) const { return link(from, to).clogged; }

  // A connection that breaks loses what is on its way in both directions: a frame is of the
  // connection it left by.
  [[nodiscard]] std::uint32_t connection(Endpoint from, Endpoint to) const {
    return link(from, to).connection;
  }
  void break_connections(Endpoint a, Endpoint b) {
    ++link(a, b).connection;
    ++link(b, a).connection;
  }

  // Millionths of frames, from now on.
  void weather(std::uint64_t loss, std::uint64_t duplicates, std::uint64_t corruption);
  // What is on its way is lost; from now on nothing is lost, doubled, changed, or late beyond
  // latency_max.
  void calm();

 private:
  struct State {
    std::uint16_t cuts = 0;
    bool clogged = false;
    std::uint32_t connection = 0;
    Instant last_arrival{};  // of those that arrive in order
    Instant free_at{};       // when the link's bandwidth is used up until
  };
  struct Cut {
    std::uint32_t label = 0;
    std::vector<Link> links;
  };
  [[nodiscard]] State& link(Endpoint from, Endpoint to) { return links_[from * (nodes_ + 1) + to]; }
  [[nodiscard]] const State& link(Endpoint from, Endpoint to) const {
    return links_[from * (nodes_ + 1) + to];
  }
  [[nodiscard]] bool happens(std::uint64_t ppm);

  const Options& options_;
  std::size_t nodes_;
  Prng prng_;
  std::uint64_t loss_ppm_, duplicate_ppm_, corrupt_ppm_, tail_ppm_;
  std::uint64_t bandwidth_;
  std::vector<State> links_;
  std::vector<Cut> cuts_;
};

}  // namespace raftkv::sim
