// Frames between nodes in namespaces, carried by a thread of this program: late, or no faster than
// a slow link. What netem and tbf do, also where the kernel has no netem.
//
// A node's frames are read where they leave its namespace (packet(7)), wait here, and are sent into
// the receiver's with kRelayed for their source. The bridge carries them as well: the receiver must
// drop what comes from other nodes and has another source. So connections remain the kernels', from
// end to end, and those that there are meet it as well as new ones.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/chaos/ground.h"

namespace raftkv::chaos {

inline constexpr const char* kRelayed = "02:72:6b:76:63:00";  // an Ethernet address of nobody

// The outer end of a node's link, and the node's address.
struct Port {
  std::string link;
  in_addr address;
};

struct Pace {
  milliseconds delay_most{0};        // each frame waits up to this; none overtakes another
  std::uint64_t bytes_a_second = 0;  // of each link and direction; 0: as many as come
  bool operator==(const Pace&) const = default;
};

class Relay {
 public:
  virtual ~Relay() = default;  // what waits goes at once
};

// Empty, or why there can be none.
[[nodiscard]] std::string why_no_relay();
// Begins at once; `ports` by node. Null if a port cannot be opened.
[[nodiscard]] std::unique_ptr<Relay> make_relay(const std::vector<Port>& ports, Pace pace,
                                                std::uint64_t seed);

}  // namespace raftkv::chaos
