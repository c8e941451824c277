// Metrics in Prometheus' text format (GET /metrics).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/marks.h"
#include "src/base/time.h"

namespace raftkv::app {

enum class RequestKind { write, read_default, read_consistent, read_stale, administration };
inline constexpr std::size_t kRequestKinds = 5;
enum class RequestOutcome { ok, not_leader, refused, unknown };
inline constexpr std::size_t kRequestOutcomes = 4;

// What is looked at when somebody asks, in place of being counted as it happens.
struct MetricsSnapshot {
  std::string role;
  std::uint64_t term = 0;
  std::uint64_t commit_index = 0;
  std::uint64_t applied_index = 0;
  std::uint64_t first_index = 0;
  std::uint64_t last_index = 0;
  std::uint64_t stable_index = 0;
  std::size_t open_requests = 0;
  std::size_t voters = 0;
  std::size_t learners = 0;
  struct Peer {
    std::string name;
    std::uint64_t lag = 0;
  };
  std::vector<Peer> peers;  // a leader's
  std::uint64_t http_connections = 0;
  std::uint64_t http_requests = 0;
  std::uint64_t http_refused = 0;
  std::size_t peer_connections_in = 0;
  std::size_t peer_connections_out = 0;
  std::uint64_t peer_bytes_in = 0;
  std::uint64_t peer_bytes_out = 0;
  std::uint64_t peer_frames_in = 0;
  std::uint64_t peer_frames_out = 0;
  std::uint64_t peer_frames_dropped = 0;
  std::uint64_t peer_refused = 0;
};

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  void request_done(RequestKind kind, RequestOutcome outcome, Duration took);
  void leader_changed();
  void frame_refused();
  void snapshot_sent();
  void snapshot_installed();
  void snapshot_failed();
  void chunk_sent(std::size_t bytes);
  void chunk_received(std::size_t bytes);
  // Each counts once, however often its turn came to it.
  void marked(const MarkSet& marks);
  void backup_piece_sent(std::size_t bytes);
  void backup_ended(bool whole);
  // May be called from another thread.
  void log_written(std::size_t entries, std::size_t bytes, Duration took);

  // All of it as text.
  [[nodiscard]] std::string text(const MetricsSnapshot& snapshot);

 private:
  struct Families;
  std::unique_ptr<Families> families_;
};

}  // namespace raftkv::app
