// What a run is: sizes, strengths and limits, and the schedule. Two runs with equal Options are
// equal.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "sim/schedule.h"
#include "src/base/result.h"
#include "src/base/time.h"

namespace raftkv::sim {

inline constexpr std::uint64_t kNodesMax = 16;

struct Options {
  std::uint64_t seed = 1;  // of every draw that happens while the run goes on

  // --- nodes: n1, n2, …; the voters first, then learners, then spares ---
  std::uint64_t voters = 3;
  std::uint64_t learners = 0;
  std::uint64_t spares = 0;  // nodes that are no members until an action joins them

  // --- time ---
  Duration duration = 20s;          // the first phase: safety under faults
  std::uint64_t liveness = 1;       // 1: then the second: a quorum is healed and must get on
  std::uint64_t drift_ppm_max = 0;  // each clock runs fast or slow by up to this many millionths
  Duration clock_offset_max{};      // a process's clock begins at up to this
  Duration
      turn_delay_max{};  // a Host's turn comes up to this much after the input that asked for it

  // --- network, per frame ---
  Duration latency_min = 200us;
  Duration latency_max = 1ms;
  std::uint64_t tail_ppm = 0;  // of a million frames take up to tail_max
  Duration tail_max = 50ms;
  std::uint64_t loss_ppm = 0;
  std::uint64_t duplicate_ppm = 0;
  Duration duplicate_delay_max =
      5s;  // how late a second copy may come: long enough to survive a restart
  std::uint64_t corrupt_ppm = 0;
  std::uint64_t reorder = 0;    // 0: frames of a link arrive in order
  std::uint64_t bandwidth = 0;  // bytes a second of each directed link; 0: unlimited

  // --- disks ---
  Duration sync_min = 100us;  // a log write with its sync
  Duration sync_max = 1ms;
  Duration work_min = 10us;  // a job of the apply or the read worker
  Duration work_max = 200us;
  std::uint64_t start_strikes_percent = 0;  // of starts lose power in the middle; with leveldb
  std::uint64_t syncs_lie = 0;  // 1: with leveldb, syncs do nothing: what the checks must find
  std::uint64_t leveldb = 0;    // 1: LevelDB and the production storage code on disks with files

  // --- the nodes' own options (src/raft/options.h, src/replica/host.h) ---
  Duration election_timeout = 300ms;
  Duration heartbeat_interval = 50ms;
  Duration reset_election_delay_max = 20ms;
  Duration batch_wait_max = 0s;
  std::uint64_t entries_per_message_max = 4096;
  std::uint64_t bytes_per_message_max = 1u << 20;
  std::uint64_t inflight_messages_max = 64;
  std::uint64_t inflight_bytes_max = 8u << 20;
  std::uint64_t uncommitted_bytes_max = 64u << 20;
  std::uint64_t unapplied_bytes_max = 128u << 20;
  std::uint64_t cached_bytes_max = 16u << 20;
  std::uint64_t reads_waiting_max = 65536;
  std::uint64_t state_sync_bytes = 64u << 20;
  std::uint64_t log_cut_step_bytes = 64u << 20;
  std::uint64_t log_kept_bytes = 64u << 20;
  std::uint64_t log_kept_for_streams_bytes = 1u << 30;
  std::uint64_t snapshot_streams_max = 2;
  std::uint64_t snapshot_chunk_bytes = 1u << 20;
  std::uint64_t snapshot_window_chunks = 4;
  Duration snapshot_stall_max = 1s;
  std::uint64_t forward = 0;  // 1: followers pass requests on
  Duration request_timeout = 2s;

  // --- clients ---
  Duration client_timeout = 1s;  // then the outcome is unknown

  Schedule schedule;

  bool operator==(const Options&) const = default;
};

// One of them but the schedule, by the name that the text uses.
struct OptionField {
  std::string_view name;
  std::variant<std::uint64_t Options::*, Duration Options::*> member;
};
[[nodiscard]] std::span<const OptionField> option_fields();

// The text of a schedule file: a line "name value" for each option that differs from its default,
// then the actions. Lines that are empty or begin with '#' say nothing.
[[nodiscard]] std::string print(const Options& options);
// Errors: invalid, with the line's number.
[[nodiscard]] Result<Options> parse_options(std::string_view text);

}  // namespace raftkv::sim
