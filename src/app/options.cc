#include "src/app/options.h"

#include <fmt/format.h>

#include <charconv>

#include "src/net/address.h"
#include "src/raft/configuration.h"

namespace raftkv::app {
namespace {

std::unexpected<Error> invalid(std::string message) {
  return failure(ErrorCode::invalid, std::move(message));
}

// An address to listen on or to be reached at, with the flag that it came from.
Status check_address(std::string_view flag, const std::string& address, bool port_needed) {
  const auto parsed = net::parse_host_port(address);
  if (!parsed) return invalid(fmt::format("{}: {}", flag, parsed.error().message));
  if (port_needed && parsed->port == 0) {
    return invalid(fmt::format("{}: address {} has port 0, which nobody can reach: name a port",
                               flag, address));
  }
  if (address.size() > raft::kMemberTextMax) {
    return invalid(
        fmt::format("{}: the address has more than {} bytes", flag, raft::kMemberTextMax));
  }
  return {};
}

Status check_addresses(const std::string& http, const std::string& raft) {
  if (auto ok = check_address("--http", http, true); !ok) return ok;
  if (auto ok = check_address("--raft", raft, true); !ok) return ok;
  if (http == raft) {
    return invalid(fmt::format("--http and --raft are both {}: give them different ports", http));
  }
  return {};
}

Status check_id(const std::string& id) {
  if (id.size() > raft::kMemberTextMax) {
    return invalid(
        fmt::format("--id has more than {} bytes: choose a shorter name", raft::kMemberTextMax));
  }
  for (const char c : id) {
    const bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '_' || c == '.';
    if (!fine)
      return invalid(fmt::format("--id '{}': use letters, digits, '-', '_' and '.' only", id));
  }
  return {};
}

bool is_wildcard(const std::string& address) {
  return address.starts_with("0.0.0.0:") || address.starts_with("[::]:");
}

Status check_advertised(std::string_view flag, const std::string& listen,
                        const std::string& advertise) {
  if (advertise.empty()) {
    if (!is_wildcard(listen)) return {};
    return invalid(fmt::format(
        "others cannot reach {}: say with {} HOST:PORT where they find this node", listen, flag));
  }
  if (auto ok = check_address(flag, advertise, true); !ok) return ok;
  if (is_wildcard(advertise))
    return invalid(fmt::format("{}: others cannot reach {}", flag, advertise));
  return {};
}

Status check_timing(const ServeOptions& options) {
  if (options.election_timeout < 50ms || options.election_timeout > 60s) {
    return invalid("--election-timeout must be between 50ms and 60s");
  }
  if (options.heartbeat_interval < 5ms ||
      options.heartbeat_interval * 3 > options.election_timeout) {
    return invalid("--heartbeat must be at least 5ms and at most a third of --election-timeout");
  }
  if (options.request_timeout < 10ms) return invalid("--request-timeout must be at least 10ms");
  if (options.busy_poll > 10ms) return invalid("--busy-poll must be at most 10ms");
  return {};
}

}  // namespace

Status validate(const InitOptions& options) {
  if (options.data.empty())
    return invalid("--data is missing: name the directory for this node's data");
  if (options.id.empty()) return invalid("--id is missing: give this node a name");
  if (auto ok = check_id(options.id); !ok) return ok;
  if (is_wildcard(options.http) || is_wildcard(options.raft)) {
    return invalid(
        "--http and --raft of init are where others reach this node: name a host, not a wildcard");
  }
  return check_addresses(options.http, options.raft);
}

Status validate(const ServeOptions& options) {
  if (options.data.empty())
    return invalid("--data is missing: name the directory for this node's data");
  if (auto ok = check_id(options.id); !ok) return ok;
  if (auto ok = check_addresses(options.http, options.raft); !ok) return ok;
  if (auto ok = check_advertised("--advertise-http", options.http, options.advertise_http); !ok)
    return ok;
  if (auto ok = check_advertised("--advertise-raft", options.raft, options.advertise_raft); !ok)
    return ok;
  return check_timing(options);
}

Result<Duration> parse_duration(std::string_view text) {
  std::uint64_t count = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, count);
  const std::string_view unit(stop, static_cast<std::size_t>(end - stop));
  if (error == std::errc() && count <= 1'000'000) {
    if (unit == "us") return Duration(std::chrono::microseconds(count));
    if (unit == "ms") return Duration(std::chrono::milliseconds(count));
    if (unit == "s") return Duration(std::chrono::seconds(count));
    if (unit == "m") return Duration(std::chrono::minutes(count));
  }
  return invalid(fmt::format("'{}' is no duration: write 250ms, 2s or 1m", text));
}

Result<std::string> parse_endpoint(std::string_view text) {
  constexpr std::string_view kScheme = "http://";
  if (text.starts_with("https://"))
    return invalid(fmt::format("endpoint '{}': TLS is not supported", text));
  if (text.starts_with(kScheme)) text.remove_prefix(kScheme.size());
  while (text.ends_with('/')) text.remove_suffix(1);
  const auto parsed = net::parse_host_port(text);
  if (!parsed) return failure(parsed);
  return net::to_string(*parsed);
}

}  // namespace raftkv::app
