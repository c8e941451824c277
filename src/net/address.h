// HOST:PORT, as people write it: 127.0.0.1:8089, db1.example:8089, [::1]:8089.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "src/base/result.h"

namespace raftkv::net {

struct HostPort {
  std::string host;  // without brackets
  std::uint16_t port = 0;

  bool operator==(const HostPort&) const = default;
};

// Errors: invalid, with a sentence that names the address and what is wrong with it.
[[nodiscard]] Result<HostPort> parse_host_port(std::string_view text);

// The other way; a host with colons gets its brackets.
[[nodiscard]] std::string to_string(const HostPort& address);

}  // namespace raftkv::net
