// The HTTP side of joining: a Join request as a POST /join body, and the response as an answer for
// replica::Joining. Pure; production sends it with client.h, the simulator over its client network.
#pragma once

#include <string>
#include <string_view>

#include "src/replica/join.h"

namespace raftkv::http {

inline constexpr std::string_view kJoinTarget = "/join";

// {"id":…,"httpAddr":…,"raftAddr":…,"instance":…}; without instance where it is 0.
[[nodiscard]] std::string join_body(const replica::Join& request);

// What a response means. `location` is empty where there is none. 200: accepted; 307, 308:
// redirected; 400, 409, 410 and other refusals: final, but for 409 name_taken: the node that has
// the name may be dead without being missed yet; all else, and what cannot be understood: retry.
[[nodiscard]] replica::JoinAnswer join_answer(int status, std::string_view location,
                                              std::string_view body);

}  // namespace raftkv::http
