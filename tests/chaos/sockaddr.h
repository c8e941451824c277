#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>

#include "tests/process/http.h"

namespace raftkv::chaos {

[[nodiscard]] inline sockaddr_in to_sockaddr(const process::Address& address) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(static_cast<std::uint16_t>(address.port));
  ::inet_pton(AF_INET, address.host.c_str(), &result.sin_addr);
  return result;
}

}  // namespace raftkv::chaos
