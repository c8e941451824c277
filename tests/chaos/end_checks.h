// What is asked of the nodes when all is healed: that they agree, and that nothing is missing that
// was acknowledged. That none is dead is Cluster::unexpected_deaths().
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/process/cluster.h"

namespace raftkv::chaos {

// Whether all nodes (each with what it said of itself, or nothing if it did not answer) have
// applied all that is committed, to the same index, with the same digest. `why` takes a line a
// node.
[[nodiscard]] bool nodes_agree(const std::vector<std::optional<process::Status>>& said,
                               std::string& why);

struct Count {
  std::vector<std::string> missing = {};
  int unanswered = 0;
};
// Whether the key is there; nothing if the node, counted from 0, does not answer.
using Ask = std::function<std::optional<bool>(int node, const std::string& key)>;
// Asks for each key at one node, in turns, all nodes at once: `ask` runs in a thread a node.
[[nodiscard]] Count count_keys(const std::set<std::string>& keys, int nodes, const Ask& ask);

}  // namespace raftkv::chaos
