// What a follower forwards to its leader (`serve --on-follower=forward`): a request as a peer
// message, and its reply. Bodies of the frame kinds forward and forward_reply (src/raft/wire.h).
#pragma once

#include <string>

#include "src/base/bytes.h"
#include "src/base/result.h"
#include "src/replica/request.h"

namespace raftkv::replica {

struct Forward {
  Ticket ticket;  // the sender's; echoed by the reply
  Request request;
};
struct ForwardReply {
  Ticket ticket;
  Reply reply;
};

[[nodiscard]] std::string encode(const Forward& forward);
[[nodiscard]] std::string encode(const ForwardReply& reply);
// Errors: corrupt.
[[nodiscard]] Result<Forward> decode_forward(std::string_view body);
[[nodiscard]] Result<ForwardReply> decode_forward_reply(std::string_view body);

}  // namespace raftkv::replica
