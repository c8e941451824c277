// Objects whose answers name the version they were given from, so that the order of versions need
// not be searched for.
//
// Compare-and-set registers on which every value is written at most once: a successful
// compare-and-set names the version before its own, so versions form chains, each of which stands
// in one piece in every linearization. A chain is then what a cluster is to Gibbons and Korach
// (zones.h): it has a zone, and the same two rules decide. A compare-and-set that found another
// value only says where it was not; it is put where it fits, and if the order found leaves it no
// place the part is undecided. O(n).
//
// Texts that grow by appends which can be told apart in what is read: the longest read spells the
// order of all appends that any read saw, every other read is a prefix of it, and the appends that
// nobody saw come last. O(n + length of all reads).
#pragma once

#include "linearizability/history.h"
#include "linearizability/model.h"
#include "linearizability/search/ruling.h"

namespace raftkv::linearizability {

[[nodiscard]] Ruling rule_by_version_chains(const History& history, const Model& model,
                                            const Part& part, Value initial, bool want_witness,
                                            Patience& patience);

// The two above, each undecided where it does not apply.
[[nodiscard]] Ruling rule_by_cas_chains(const History& history, const Part& part, Value initial,
                                        bool want_witness, Patience& patience);
[[nodiscard]] Ruling rule_by_appends(const History& history, const Part& part, Value initial,
                                     bool want_witness, Patience& patience);

}  // namespace raftkv::linearizability
