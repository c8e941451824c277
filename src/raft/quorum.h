// What a configuration's voters have agreed on. Pure; no member of it knows about messages.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>

#include "src/raft/configuration.h"
#include "src/raft/types.h"

namespace raftkv::raft {

// What an empty set of voters agrees on: everything. It is the neutral half of a joint
// configuration.
inline constexpr std::uint64_t kEverything = std::numeric_limits<std::uint64_t>::max();

// A number per voter: a match index, an acknowledged read round, a time of contact. 0: nothing
// known.
using VoterNumber = std::function<std::uint64_t(MemberId)>;

// The largest number that a majority of `voters` has reached: with match indexes, the largest index
// that a majority holds durably (§5.3).
[[nodiscard]] std::uint64_t majority_reached(const VoterSet& voters, const VoterNumber& number);

// The same for a configuration: of both halves, while it is joint (§6).
[[nodiscard]] std::uint64_t quorum_reached(const Configuration& configuration,
                                           const VoterNumber& number);

enum class VoteResult { pending, won, lost };

// true: granted; false: refused; nullopt: no answer yet.
using VoterAnswer = std::function<std::optional<bool>(MemberId)>;

// Lost as soon as the missing answers cannot make a majority any more.
[[nodiscard]] VoteResult majority_vote(const VoterSet& voters, const VoterAnswer& answer);
[[nodiscard]] VoteResult quorum_vote(const Configuration& configuration, const VoterAnswer& answer);

}  // namespace raftkv::raft
