// What goes from node to node beside frames: HTTP exchanges, and news of connections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "sim/kernel.h"

namespace raftkv::sim {

// The node whose address this is ("n3:8089"), from 0; nullopt for another text.
[[nodiscard]] std::optional<std::size_t> node_of_address(std::string_view address);

// The value of a response's header field, as our own router spells its name; empty if it is not
// there.
[[nodiscard]] std::string_view field(std::string_view fields, std::string_view name);

// Sends an HTTP request over the simulated network; the response event comes back, or nothing does.
void send_request(Kernel& kernel, Endpoint from, Exchange&& exchange);
void send_response(Kernel& kernel, std::uint32_t exchange);

// At `when`, one node's process is told what became of its connection to another node.
void push_peer_event(Kernel& kernel, Endpoint at, Endpoint about, raft::PeerEvent event,
                     Instant when);
// The connections between two nodes break, and are made anew.
void break_connections(Kernel& kernel, Endpoint a, Endpoint b);

}  // namespace raftkv::sim
