// What both kinds of peer connections want of a socket.
#pragma once

#include <boost/asio/ip/tcp.hpp>

#include "src/base/time.h"

namespace raftkv::net {

// No delay for small writes; keep-alive probes and a limit for unacknowledged data, so that a
// machine that vanished is noticed after about `silence_max`. A socket that refuses an option works
// without it.
void set_peer_options(boost::asio::ip::tcp::socket& socket, Duration silence_max);

// The other side's process has closed the connection, or there is none (refused): not mere silence.
[[nodiscard]] bool process_gone(const boost::system::error_code& error);

}  // namespace raftkv::net
