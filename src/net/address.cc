#include "src/net/address.h"

#include <fmt/format.h>

#include <charconv>

namespace raftkv::net {
namespace {

// The longest host name that DNS allows (RFC 1035, 2.3.4).
constexpr std::size_t kHostSizeMax = 253;

std::unexpected<Error> refused(std::string_view text, std::string_view why) {
  return failure(ErrorCode::invalid, fmt::format("address '{}' {}: write HOST:PORT", text, why));
}

}  // namespace

Result<HostPort> parse_host_port(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return refused(text, "has no port");
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return refused(text, "has an IPv6 host without brackets");
  }
  if (host.empty()) return refused(text, "has no host");
  if (host.size() > kHostSizeMax) return refused(text.substr(0, 64), "has a host that is too long");
  for (const char c : host) {
    if (c <= ' ' || c == '/' || c == '[' || c == ']' || c == '@' || c == '\x7f') {
      return refused(text, "has a host with characters that no host has");
    }
  }
  unsigned port = 0;
  const char* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, port);
  if (digits.empty() || error != std::errc() || stop != end || port > 65535) {
    return refused(text, "has a port that is no number up to 65535");
  }
  return HostPort{std::string(host), static_cast<std::uint16_t>(port)};
}

std::string to_string(const HostPort& address) {
  const bool brackets = address.host.find(':') != std::string::npos;
  return brackets ? fmt::format("[{}]:{}", address.host, address.port)
                  : fmt::format("{}:{}", address.host, address.port);
}

}  // namespace raftkv::net
