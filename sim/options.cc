#include "sim/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace raftkv::sim {
namespace {

constexpr std::array kFields = {
    OptionField{"seed", &Options::seed},
    OptionField{"voters", &Options::voters},
    OptionField{"learners", &Options::learners},
    OptionField{"spares", &Options::spares},
    OptionField{"duration", &Options::duration},
    OptionField{"liveness", &Options::liveness},
    OptionField{"drift_ppm_max", &Options::drift_ppm_max},
    OptionField{"clock_offset_max", &Options::clock_offset_max},
    OptionField{"turn_delay_max", &Options::turn_delay_max},
    OptionField{"latency_min", &Options::latency_min},
    OptionField{"latency_max", &Options::latency_max},
    OptionField{"tail_ppm", &Options::tail_ppm},
    OptionField{"tail_max", &Options::tail_max},
    OptionField{"loss_ppm", &Options::loss_ppm},
    OptionField{"duplicate_ppm", &Options::duplicate_ppm},
    OptionField{"duplicate_delay_max", &Options::duplicate_delay_max},
    OptionField{"corrupt_ppm", &Options::corrupt_ppm},
    OptionField{"reorder", &Options::reorder},
    OptionField{"bandwidth", &Options::bandwidth},
    OptionField{"sync_min", &Options::sync_min},
    OptionField{"sync_max", &Options::sync_max},
    OptionField{"work_min", &Options::work_min},
    OptionField{"work_max", &Options::work_max},
    OptionField{"leveldb", &Options::leveldb},
    OptionField{"syncs_lie", &Options::syncs_lie},
    OptionField{"start_strikes_percent", &Options::start_strikes_percent},
    OptionField{"election_timeout", &Options::election_timeout},
    OptionField{"heartbeat_interval", &Options::heartbeat_interval},
    OptionField{"reset_election_delay_max", &Options::reset_election_delay_max},
    OptionField{"batch_wait_max", &Options::batch_wait_max},
    OptionField{"entries_per_message_max", &Options::entries_per_message_max},
    OptionField{"bytes_per_message_max", &Options::bytes_per_message_max},
    OptionField{"inflight_messages_max", &Options::inflight_messages_max},
    OptionField{"inflight_bytes_max", &Options::inflight_bytes_max},
    OptionField{"uncommitted_bytes_max", &Options::uncommitted_bytes_max},
    OptionField{"unapplied_bytes_max", &Options::unapplied_bytes_max},
    OptionField{"cached_bytes_max", &Options::cached_bytes_max},
    OptionField{"reads_waiting_max", &Options::reads_waiting_max},
    OptionField{"state_sync_bytes", &Options::state_sync_bytes},
    OptionField{"log_cut_step_bytes", &Options::log_cut_step_bytes},
    OptionField{"log_kept_bytes", &Options::log_kept_bytes},
    OptionField{"log_kept_for_streams_bytes", &Options::log_kept_for_streams_bytes},
    OptionField{"snapshot_streams_max", &Options::snapshot_streams_max},
    OptionField{"snapshot_chunk_bytes", &Options::snapshot_chunk_bytes},
    OptionField{"snapshot_window_chunks", &Options::snapshot_window_chunks},
    OptionField{"snapshot_stall_max", &Options::snapshot_stall_max},
    OptionField{"forward", &Options::forward},
    OptionField{"request_timeout", &Options::request_timeout},
    OptionField{"client_timeout", &Options::client_timeout},
};

std::string text_of(std::uint64_t value) {
  return fmt::format("{}", value);
}
std::string text_of(Duration value) {
  return print(value);
}

Status read_into(std::uint64_t& value, std::string_view text) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return {};
  return failure(ErrorCode::invalid, fmt::format("'{}' is no number", text));
}
Status read_into(Duration& value, std::string_view text) {
  const auto parsed = parse_duration(text);
  if (!parsed) return failure(parsed);
  value = *parsed;
  return {};
}

Status parse_line(std::string_view line, Options& options) {
  if (line.front() >= '0' && line.front() <= '9') {
    auto action = parse_action(line);
    if (!action) return failure(action);
    if (!options.schedule.empty() && action->at < options.schedule.back().at) {
      return failure(ErrorCode::invalid, "the time goes back");
    }
    options.schedule.push_back(*std::move(action));
    return {};
  }
  const std::size_t space = std::min(line.find(' '), line.size() - 1);
  const auto* field = std::ranges::find(kFields, line.substr(0, space), &OptionField::name);
  if (field == kFields.end())
    return failure(ErrorCode::invalid, fmt::format("no option '{}'", line));
  return std::visit([&](auto member) { return read_into(options.*member, line.substr(space + 1)); },
                    field->member);
}

Status validate(const Options& options) {
  const std::uint64_t nodes = options.voters + options.learners + options.spares;
  if (options.voters == 0 || options.voters > kNodesMax || nodes > kNodesMax) {
    return failure(ErrorCode::invalid,
                   fmt::format("there are 1 to {} nodes, one of them a voter", kNodesMax));
  }
  const auto names_node = [&](const Who& who) {
    return who.kind != Who::Kind::node || static_cast<std::uint64_t>(who.number) <= nodes;
  };
  for (const Action& action : options.schedule) {
    const bool all = names_node(action.who) && names_node(action.other) &&
                     std::ranges::all_of(action.group, names_node);
    if (!all) return failure(ErrorCode::invalid, "no such node: " + print(action));
  }
  if (options.latency_min > options.latency_max || options.sync_min > options.sync_max ||
      options.work_min > options.work_max) {
    return failure(ErrorCode::invalid, "a _min is above its _max");
  }
  return {};
}

}  // namespace

std::span<const OptionField> option_fields() {
  return kFields;
}

std::string print(const Options& options) {
  static const Options kDefaults;
  std::string text;
  for (const OptionField& field : kFields) {
    std::visit(
        [&](auto member) {
          if (options.*member == kDefaults.*member && field.name != "seed") return;
          text += fmt::format("{} {}\n", field.name, text_of(options.*member));
        },
        field.member);
  }
  for (const Action& action : options.schedule) text += print(action) + "\n";
  return text;
}

Result<Options> parse_options(std::string_view text) {
  Options options;
  int number = 0;
  while (!text.empty()) {
    ++number;
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    if (const Status status = parse_line(line, options); !status) {
      return failure(ErrorCode::invalid,
                     fmt::format("line {}: {}", number, status.error().message));
    }
  }
  if (const Status status = validate(options); !status) return failure(status);
  return options;
}

}  // namespace raftkv::sim
