// The models of this library; find_model (model.h) hands them out by name.
#pragma once

#include <string_view>
#include <vector>

#include "linearizability/flat_map.h"
#include "linearizability/model.h"

namespace raftkv::linearizability {

[[nodiscard]] const Model& register_model();
[[nodiscard]] const Model& cas_register_model();
[[nodiscard]] const Model& multi_register_model();
[[nodiscard]] const Model& mutex_model();
[[nodiscard]] const Model& append_kv_model();
[[nodiscard]] const Model& set_model();
[[nodiscard]] const Model& kv_model();

// For Model::accepts: refuses functions outside of `known`.
[[nodiscard]] Status accept_functions(const History& history, std::string_view model,
                                      std::span<const Function> known);
// Operations that a checker need not look at: failed ones, and observers of unknown end.
[[nodiscard]] bool is_void(const Operation& operation);

// Whether the operation, of a part with one register only, surely gave that a new value.
[[nodiscard]] bool replaces_register(const Operation& operation);

// How often the words of a state can be given their values, for Machine::needs.
class Entries {
 public:
  // No source: the word starts with it.
  void count(std::uint32_t word, Word value, OperationId source = kOpen) {
    const auto [entry, is_new] = entries_.insert(name(word, value), source);
    if (!is_new) entry = kSeveral;
  }
  void add_need(std::vector<Need>& needs, OperationId id, std::uint32_t word, Word value) const {
    const std::uint32_t* entry = entries_.find(name(word, value));
    if (entry == nullptr) needs.push_back({id, word, value, kOpen});
    if (entry != nullptr && *entry != kSeveral) needs.push_back({id, word, value, *entry});
  }

 private:
  static constexpr OperationId kSeveral = kOpen - 1;
  static std::uint64_t name(std::uint32_t word, Word value) {
    return (static_cast<std::uint64_t>(word) << 32) | value;
  }
  FlatMap entries_;
};

// For the kv model, the log indexes that ok operations of one part show, ranked so that they fit a
// state's word: 1 is the smallest. That of an operation that ended with info is not known, and not
// guessed.
class IndexRanks {
 public:
  IndexRanks(const History& history, const Part& part);

  // 0: none shown.
  [[nodiscard]] Word rank(OperationId id) const;
  // Some operation that changes the log has this rank as its own.
  [[nodiscard]] bool owned(Word rank) const { return owner_[rank] != kOpen; }
  // The smallest owned rank above `rank`; one past all if there is none.
  [[nodiscard]] Word next_owned(Word rank) const { return next_owned_[rank]; }
  // Nothing in the part shows an index.
  [[nodiscard]] bool none() const { return owner_.size() == 1; }

 private:
  OperationId first_ = 0;
  std::vector<Word> rank_;          // of operation first_ + i
  std::vector<OperationId> owner_;  // of a rank, or kOpen
  std::vector<Word> next_owned_;
};

// In a kv history: whether the operation, if it takes effect, has a place in the log.
[[nodiscard]] bool changes_log(const History& history, const Operation& operation);
// The index in its answer; 0 if there is none, or if it is a read that says no value, or its end is
// info.
[[nodiscard]] std::uint64_t shown_index(const History& history, OperationId id);

}  // namespace raftkv::linearizability
