#include "sim/network.h"

#include <algorithm>
#include <utility>

namespace raftkv::sim {

Network::Network(const Options& options, std::size_t nodes, Prng prng)
    : options_(options),
      nodes_(nodes),
      prng_(prng),
      loss_ppm_(options.loss_ppm),
      duplicate_ppm_(options.duplicate_ppm),
      corrupt_ppm_(options.corrupt_ppm),
      tail_ppm_(options.tail_ppm),
      bandwidth_(options.bandwidth),
      links_((nodes + 1) * (nodes + 1)) {}

bool Network::happens(std::uint64_t ppm) {
  return ppm > 0 && prng_.chance(std::min<std::uint64_t>(ppm, 1'000'000), 1'000'000);
}

Duration Network::latency() {
  Duration latency = prng_.between(options_.latency_min, options_.latency_max);
  if (happens(tail_ppm_)) latency += prng_.between(Duration(0), options_.tail_max);
  return latency;
}

Fate Network::send(Endpoint from, Endpoint to, std::size_t bytes, Instant now) {
  Fate fate;
  State& state = link(from, to);
  if (state.cuts > 0 || happens(loss_ppm_)) return fate;
  Instant leaves = now;
  if (bandwidth_ > 0) {
    if (state.free_at > now + kBacklogMax) return fate;
    const auto busy = Duration(static_cast<std::int64_t>(bytes * 1'000'000'000 / bandwidth_));
    state.free_at = std::max(state.free_at, now) + busy;
    leaves = state.free_at;
  }
  Instant arrives = leaves + latency();
  if (options_.reorder == 0) {
    arrives = std::max(arrives, state.last_arrival);
    state.last_arrival = arrives;
  }
  fate.first = arrives;
  fate.clogged = state.clogged;
  fate.corrupt = happens(corrupt_ppm_);
  if (happens(duplicate_ppm_)) {
    // Half of them soon, half of them anywhere up to the longest delay.
    const bool soon = prng_.chance(1, 2);
    const Duration most = soon ? std::min(options_.duplicate_delay_max, options_.latency_max * 4)
                               : options_.duplicate_delay_max;
    fate.second = arrives + prng_.between(Duration(0), most);
  }
  return fate;
}

Fate Network::send_reliably(Endpoint from, Endpoint to, Instant now) {
  Fate fate;
  if (link(from, to).cuts > 0) return fate;
  fate.first = now + latency();
  return fate;
}

void Network::cut(std::uint32_t label, std::vector<Link> links) {
  for (const Link& blocked : links) ++link(blocked.from, blocked.to).cuts;
  cuts_.push_back({label, std::move(links)});
}

void Network::heal(std::uint32_t label) {
  std::erase_if(cuts_, [&](const Cut& cut) {
    if (label != 0 && cut.label != label) return false;
    for (const Link& blocked : cut.links) --link(blocked.from, blocked.to).cuts;
    return true;
  });
}

void Network::weather(std::uint64_t loss, std::uint64_t duplicates, std::uint64_t corruption) {
  loss_ppm_ = loss;
  duplicate_ppm_ = duplicates;
  corrupt_ppm_ = corruption;
}

void Network::calm() {
  weather(0, 0, 0);
  tail_ppm_ = 0;
  bandwidth_ = 0;
  for (State& state : links_) ++state.connection;
}

}  // namespace raftkv::sim
