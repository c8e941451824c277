#include "linearizability/search/configuration.h"

#include "src/base/check.h"

namespace raftkv::linearizability {

void Lineage::collect(std::span<std::uint32_t> leaves) {
  std::vector<bool> needed(nodes_.size(), false);
  for (const std::uint32_t leaf : leaves) {
    for (std::uint32_t n = leaf; n != kRoot && !needed[n]; n = nodes_[n].parent) needed[n] = true;
  }
  // Parents stand before their children, so one pass renumbers.
  std::vector<std::uint32_t> renumbered(nodes_.size(), kRoot);
  std::size_t kept = 0;
  for (std::size_t n = 0; n < nodes_.size(); ++n) {
    if (!needed[n]) continue;
    const std::uint32_t parent = nodes_[n].parent;
    renumbered[n] = static_cast<std::uint32_t>(kept);
    nodes_[kept++] = {parent == kRoot ? kRoot : renumbered[parent], nodes_[n].what};
  }
  nodes_.resize(kept);
  for (std::uint32_t& leaf : leaves) {
    if (leaf != kRoot) leaf = renumbered[leaf];
  }
  collect_at_ = std::max<std::size_t>(1u << 20, 2 * kept);
}

std::vector<std::uint32_t> Lineage::path(std::uint32_t leaf) const {
  std::vector<std::uint32_t> out;
  for (std::uint32_t n = leaf; n != kRoot; n = nodes_[n].parent) out.push_back(nodes_[n].what);
  std::reverse(out.begin(), out.end());
  return out;
}

void append_operations(const Timeline& timeline, std::span<const std::uint32_t> path,
                       std::vector<OperationId>& out) {
  std::vector<std::uint32_t> used(timeline.classes(), 0);
  for (const std::uint32_t what : path) {
    if (what & Lineage::kClassBit) {
      const std::uint32_t c = what & ~Lineage::kClassBit;
      CHECK(used[c] < timeline.of_class(c).members.size());
      out.push_back(timeline.of_class(c).members[used[c]++]);
    } else {
      out.push_back(timeline.operation(what).id);
    }
  }
}

}  // namespace raftkv::linearizability
