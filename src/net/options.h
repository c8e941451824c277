// Every bound of the peer connections, with its name and its default.
#pragma once

#include <cstddef>
#include <cstdint>

#include "src/base/time.h"

namespace raftkv::net {

struct Options {
  // Frames that wait for one connection; above either the newest is dropped (Outbox).
  std::size_t queued_frames_max = 4096;
  std::size_t queued_bytes_max = 32u << 20;
  // Frames that wait while there is no connection; above it the oldest is dropped.
  std::size_t offline_frames_max = 16;

  Duration connect_timeout = 1s;
  // The pause before connecting again: doubled after each failure, a random half to whole of it.
  Duration reconnect_min = 20ms;
  Duration reconnect_max = 500ms;
  // A connection that lived this long was a good one: the next failure starts with reconnect_min
  // again.
  Duration reconnect_forgiven = 2s;
  // A connection to somebody who is no member is closed after this long without a frame for it.
  Duration unkept_idle = 10s;
  std::size_t unkept_max = 64;

  // Data that the other side does not acknowledge for this long, and as long without an answer to
  // keep-alive probes, end a connection: its machine is gone. A process that is gone is noticed at
  // once, by a reset.
  Duration silence_max = 5s;

  std::size_t inbound_max = 256;
  // Connections from which no frame has come yet. One more, and the oldest of them is closed.
  std::size_t strangers_max = 128;
  // How long the first frame of a connection may take from its first byte to its last.
  Duration first_frame_timeout = 10s;
};

// What is now, then counts since the start.
struct Stats {
  std::size_t inbound = 0;       // connections open now
  std::size_t outbound = 0;      // connections open now
  std::size_t queued_bytes = 0;  // in all outboxes
  std::uint64_t frames_sent = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t frames_received = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t frames_dropped = 0;  // a queue was full, or nobody was connected
  std::uint64_t refused = 0;  // inbound connections closed for what they sent, or for their number
};

}  // namespace raftkv::net
