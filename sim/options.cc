#include "sim/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <variant>

namespace raftkv::sim {
namespace {

struct Field {
  std::string_view name;
  std::variant<std::uint64_t Options::*, Duration Options::*> member;
};

// Everything but the schedule, by the name that the text uses.
constexpr std::array kFields = {
    Field{"seed", &Options::seed},
    Field{"voters", &Options::voters},
    Field{"learners", &Options::learners},
    Field{"spares", &Options::spares},
    Field{"duration", &Options::duration},
    Field{"liveness", &Options::liveness},
    Field{"drift_ppm_max", &Options::drift_ppm_max},
    Field{"clock_offset_max", &Options::clock_offset_max},
    Field{"turn_delay_max", &Options::turn_delay_max},
    Field{"latency_min", &Options::latency_min},
    Field{"latency_max", &Options::latency_max},
    Field{"tail_ppm", &Options::tail_ppm},
    Field{"tail_max", &Options::tail_max},
    Field{"loss_ppm", &Options::loss_ppm},
    Field{"duplicate_ppm", &Options::duplicate_ppm},
    Field{"duplicate_delay_max", &Options::duplicate_delay_max},
    Field{"corrupt_ppm", &Options::corrupt_ppm},
    Field{"reorder", &Options::reorder},
    Field{"bandwidth", &Options::bandwidth},
    Field{"sync_min", &Options::sync_min},
    Field{"sync_max", &Options::sync_max},
    Field{"work_min", &Options::work_min},
    Field{"work_max", &Options::work_max},
    Field{"election_timeout", &Options::election_timeout},
    Field{"heartbeat_interval", &Options::heartbeat_interval},
    Field{"reset_election_delay_max", &Options::reset_election_delay_max},
    Field{"entries_per_message_max", &Options::entries_per_message_max},
    Field{"bytes_per_message_max", &Options::bytes_per_message_max},
    Field{"inflight_messages_max", &Options::inflight_messages_max},
    Field{"inflight_bytes_max", &Options::inflight_bytes_max},
    Field{"uncommitted_bytes_max", &Options::uncommitted_bytes_max},
    Field{"unapplied_bytes_max", &Options::unapplied_bytes_max},
    Field{"cached_bytes_max", &Options::cached_bytes_max},
    Field{"reads_waiting_max", &Options::reads_waiting_max},
    Field{"state_sync_bytes", &Options::state_sync_bytes},
    Field{"forward", &Options::forward},
    Field{"request_timeout", &Options::request_timeout},
    Field{"client_timeout", &Options::client_timeout},
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
  const auto* field = std::ranges::find(kFields, line.substr(0, space), &Field::name);
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

std::string print(const Options& options) {
  static const Options kDefaults;
  std::string text;
  for (const Field& field : kFields) {
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
