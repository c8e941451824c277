#include "linearizability/search/foresight.h"

#include <algorithm>
#include <tuple>

namespace raftkv::linearizability {

Foresight::Foresight(const Timeline& timeline, std::span<const Need> needs, Patience& patience)
    : timeline_(timeline) {
  if (needs.empty()) return;
  make_groups({needs.begin(), needs.end()}, patience);
  if (!patience.lost()) add_members(patience);
}

void Foresight::make_groups(std::vector<Need> needs, Patience& patience) {
  std::ranges::sort(needs, {}, [](const Need& need) {
    return std::tuple(need.operation, need.word, need.value);
  });
  groups_of_begin_.reserve(timeline_.operations() + 1);
  groups_of_.reserve(needs.size());
  auto need = needs.begin();
  for (std::uint32_t i = 0; i < timeline_.operations() && !patience.lost(); ++i) {
    const OperationId id = timeline_.operation(i).id;
    groups_of_begin_.push_back(static_cast<std::uint32_t>(groups_of_.size()));
    while (need != needs.end() && need->operation < id) ++need;
    for (; need != needs.end() && need->operation == id; ++need) {
      const auto fresh = static_cast<std::uint32_t>(groups_.size());
      groups_of_.push_back(groups_.insert(name(need->word, need->value), fresh).first);
    }
  }
  groups_of_begin_.push_back(static_cast<std::uint32_t>(groups_of_.size()));
}

void Foresight::add_members(Patience& patience) {
  group_begin_.assign(groups_.size() + 1, 0);
  for (const std::uint32_t group : groups_of_) ++group_begin_[group + 1];
  for (std::size_t g = 0; g < groups_.size(); ++g) group_begin_[g + 1] += group_begin_[g];
  members_.resize(groups_of_.size());
  std::vector<std::uint32_t> next(group_begin_.begin(), group_begin_.end() - 1);
  const auto events = timeline_.events();
  for (std::uint32_t e = 0; e < events.size() && !patience.lost(); ++e) {
    if (events[e].kind() != Timeline::Kind::invoked) continue;
    const std::uint32_t i = events[e].of();
    for (std::uint32_t g = groups_of_begin_[i]; g < groups_of_begin_[i + 1]; ++g) {
      members_[next[groups_of_[g]]++] = {e, timeline_.operation(i).returned};
    }
  }
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    for (std::uint32_t m = group_begin_[g + 1] - 1; m-- > group_begin_[g];) {
      members_[m].first_return = std::min(members_[m].first_return, members_[m + 1].first_return);
    }
  }
}

bool Foresight::needs(std::uint32_t i, std::uint32_t group) const {
  return std::find(groups_of_.begin() + groups_of_begin_[i],
                   groups_of_.begin() + groups_of_begin_[i + 1],
                   group) != groups_of_.begin() + groups_of_begin_[i + 1];
}

Position Foresight::stranded(const Layout& layout, const Word* before, const Word* after,
                             std::size_t event, const Now& now) const {
  if (members_.empty()) return kNobodyStranded;
  Position first = kOpen;
  for (std::uint32_t w = 0; w < layout.state; ++w) {
    if (before[w] == after[w]) continue;
    const std::uint32_t* group = groups_.find(name(w, before[w]));
    if (group == nullptr) continue;
    const auto end = members_.begin() + group_begin_[*group + 1];
    const auto coming =
        std::lower_bound(members_.begin() + group_begin_[*group], end, event,
                         [](const Member& member, std::size_t at) { return member.invoked < at; });
    if (coming != end) first = std::min(first, coming->first_return);
    const Word* mask = layout.mask_of(after);
    for (std::uint32_t slot = 0; slot < now.in_slot().size(); ++slot) {
      const std::uint32_t i = now.in_slot()[slot];
      if (i == kNobody || has_bit(mask, slot) || !needs(i, *group)) continue;
      first = std::min(first, timeline_.operation(i).returned);
    }
  }
  return first == kOpen ? kNobodyStranded : first;
}

std::uint64_t Foresight::memory_bytes() const {
  return groups_.memory_bytes() + members_.capacity() * sizeof(Member) +
         (group_begin_.capacity() + groups_of_.capacity() + groups_of_begin_.capacity()) * 4;
}

}  // namespace raftkv::linearizability
