// What a step would make impossible for good: it takes a value away that an operation still has to
// find, and that nobody can bring back (Machine::needs). Where values are written once, and read at
// some time later, this tells at once which of two writes came first; without it both orders are
// followed until a read tells, and of ten keys all combinations.
//
// It knows what will be asked later, so a search that uses it may find its contradiction earlier
// than someone who reads along: `stranded` says how far to read on.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "linearizability/flat_map.h"
#include "linearizability/search/configuration.h"
#include "linearizability/search/timeline.h"

namespace raftkv::linearizability {

class Foresight {
 public:
  static constexpr Position kNobodyStranded = 0;

  // Not to be used once patience is lost.
  Foresight(const Timeline& timeline, std::span<const Need> needs, Patience& patience);

  // A step led from `before` (a state) to `after` (a configuration), before the event of that
  // number: the return of the first operation that can never be executed now, or kNobodyStranded.
  [[nodiscard]] Position stranded(const Layout& layout, const Word* before, const Word* after,
                                  std::size_t event, const Now& now) const;
  [[nodiscard]] std::uint64_t memory_bytes() const;

 private:
  static std::uint64_t name(std::uint32_t word, Word value) {
    return (static_cast<std::uint64_t>(word) << 32) | value;
  }
  void make_groups(std::vector<Need> needs, Patience& patience);
  void add_members(Patience& patience);
  [[nodiscard]] bool needs(std::uint32_t i, std::uint32_t group) const;

  const Timeline& timeline_;
  // Those who need the same are a group. Sorted by group, then by invocation: the number of the
  // invocation's event, and the first return of the member and all behind it in its group.
  struct Member {
    std::uint32_t invoked;
    Position first_return;
  };
  FlatMap groups_;
  std::vector<Member> members_;
  std::vector<std::uint32_t> group_begin_;
  // The groups of operation i of the timeline.
  std::vector<std::uint32_t> groups_of_, groups_of_begin_;
};

}  // namespace raftkv::linearizability
