#include "sim/transport.h"

#include <charconv>
#include <string>
#include <utility>

namespace raftkv::sim {
namespace {

Endpoint endpoint_of(const Kernel& kernel, Requester requester) {
  return requester >= kJoiningFrom ? static_cast<Endpoint>(requester - kJoiningFrom)
                                   : kernel.network.clients();
}

}  // namespace

std::optional<std::size_t> node_of_address(std::string_view address) {
  if (!address.starts_with('n')) return std::nullopt;
  std::size_t number = 0;
  const char* end = address.data() + address.size();
  const auto [rest, error] = std::from_chars(address.data() + 1, end, number);
  if (error != std::errc() || number == 0 || rest == end || *rest != ':') return std::nullopt;
  return number - 1;
}

std::string_view field(std::string_view fields, std::string_view name) {
  const std::string start = std::string(name) + ": ";
  std::size_t at = fields.starts_with(start) ? 0 : fields.find("\r\n" + start);
  if (at == std::string_view::npos) return {};
  if (at != 0) at += 2;
  fields.remove_prefix(at + start.size());
  return fields.substr(0, fields.find("\r\n"));
}

void send_request(Kernel& kernel, Endpoint from, Exchange&& exchange) {
  const Endpoint to = exchange.node;
  const Fate fate = kernel.network.send_reliably(from, to, kernel.now);
  if (!fate.first) return;
  const std::uint32_t at = kernel.exchanges.put(std::move(exchange));
  kernel.queue.push({.at = *fate.first, .payload = at, .kind = EventKind::request, .node = to});
}

void send_response(Kernel& kernel, std::uint32_t exchange) {
  const Exchange& answered = kernel.exchanges[exchange];
  const Endpoint to = endpoint_of(kernel, answered.requester);
  const Fate fate = kernel.network.send_reliably(answered.node, to, kernel.now);
  if (!fate.first) {
    (void)kernel.exchanges.take(exchange);
    return;
  }
  kernel.queue.push(
      {.at = *fate.first, .payload = exchange, .kind = EventKind::response, .node = to});
}

void push_peer_event(Kernel& kernel, Endpoint at, Endpoint about, raft::PeerEvent event,
                     Instant when) {
  const std::uint32_t connected = event == raft::PeerEvent::connected ? 1 : 0;
  kernel.queue.push(
      {.at = when, .payload = about * 2u + connected, .kind = EventKind::peer_event, .node = at});
}

void break_connections(Kernel& kernel, Endpoint a, Endpoint b) {
  kernel.network.break_connections(a, b);
  for (const auto& [at, about] : {std::pair{a, b}, {b, a}}) {
    const Instant closed = kernel.now + kernel.network.latency();
    const Instant opened = closed + kernel.network.latency();
    push_peer_event(kernel, at, about, raft::PeerEvent::disconnected, closed);
    push_peer_event(kernel, at, about, raft::PeerEvent::connected, opened);
  }
}

}  // namespace raftkv::sim
