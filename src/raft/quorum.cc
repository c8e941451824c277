#include "src/raft/quorum.h"

#include <algorithm>
#include <array>

#include "src/base/check.h"

namespace raftkv::raft {

std::uint64_t majority_reached(const VoterSet& voters, const VoterNumber& number) {
  if (voters.empty()) return kEverything;
  CHECK(voters.size() <= kMembersMax);
  // In descending order; there are few.
  std::array<std::uint64_t, kMembersMax> reached;
  std::size_t count = 0;
  for (const MemberId voter : voters) {
    const std::uint64_t by_this_one = number(voter);
    std::size_t at = count++;
    for (; at > 0 && reached[at - 1] < by_this_one; --at) reached[at] = reached[at - 1];
    reached[at] = by_this_one;
  }
  // What stands at place n/2 (from 0) has been reached by n/2 + 1 voters.
  return reached[voters.size() / 2];
}

std::uint64_t quorum_reached(const Configuration& configuration, const VoterNumber& number) {
  return std::min(majority_reached(configuration.voters, number),
                  majority_reached(configuration.outgoing, number));
}

VoteResult majority_vote(const VoterSet& voters, const VoterAnswer& answer) {
  if (voters.empty()) return VoteResult::won;
  std::size_t granted = 0;
  std::size_t missing = 0;
  for (const MemberId id : voters) {
    const std::optional<bool> vote = answer(id);
    if (!vote) {
      ++missing;
    } else if (*vote) {
      ++granted;
    }
  }
  const std::size_t majority = voters.size() / 2 + 1;
  if (granted >= majority) return VoteResult::won;
  return granted + missing >= majority ? VoteResult::pending : VoteResult::lost;
}

VoteResult quorum_vote(const Configuration& configuration, const VoterAnswer& answer) {
  const VoteResult incoming = majority_vote(configuration.voters, answer);
  const VoteResult outgoing = majority_vote(configuration.outgoing, answer);
  if (incoming == VoteResult::lost || outgoing == VoteResult::lost) return VoteResult::lost;
  if (incoming == VoteResult::won && outgoing == VoteResult::won) return VoteResult::won;
  return VoteResult::pending;
}

}  // namespace raftkv::raft
