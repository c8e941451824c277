// Just-in-time linearization (Lowe 2017, "Testing for linearizability", section 4; the idea is Wing
// and Gong's, breadth first): walks along the events with the set of all configurations that can
// be; an operation takes effect at the latest when it returns, and others only to make that
// possible. An empty set proves that there is no linearization; it is exact, there are no
// fingerprints. Cost: events × configurations; the latter are bounded by states × 2^pending writes
// × counts, and stay few where domains or concurrency are small.
//
// A configuration is dominated, and dropped, if another has the same state and the same pending
// writers linearized, at least its observers linearized, and no class used more often.
#pragma once

#include <memory>
#include <vector>

#include "linearizability/search/configuration.h"
#include "linearizability/search/foresight.h"
#include "linearizability/search/search.h"
#include "linearizability/search/timeline.h"

namespace raftkv::linearizability {

class JustInTime final : public Search {
 public:
  // Hopeful: lets all classes wait for a reader, also those that would have to be tried earlier;
  // then only `linearizable` means anything. Without foresight the contradiction is where someone
  // who reads along would find it. All must outlive the search; the machine is not shared with
  // another search that runs in between steps.
  JustInTime(const Timeline& timeline, Machine& machine, bool want_witness,
             const Foresight* foresight = nullptr, bool hopeful = false);

  State run(std::uint64_t steps, std::uint64_t memory_bytes_max) override;
  void append_witness(std::vector<OperationId>& out) const override;
  [[nodiscard]] Position contradiction() const override { return contradiction_; }
  [[nodiscard]] Position fresh_start() const override { return fresh_start_; }
  [[nodiscard]] std::uint64_t memory_bytes() const override;
  [[nodiscard]] Algorithm algorithm() const override { return Algorithm::just_in_time; }

  // not_linearizable: the operation before whose return something had to take effect, and how far
  // one can get until then: calls visit(state, operations in the order in which they took effect)
  // for each way.
  [[nodiscard]] std::uint32_t failing() const { return timeline_.events()[event_].of(); }
  template <typename Visit>
  void each_possibility(Visit visit) const {
    std::vector<OperationId> path;
    for (std::uint32_t c = 0; c < size(); ++c) {
      if (dead_[c]) continue;
      path.clear();
      append_operations(timeline_, lineage_.path(lineage_of_[c]), path);
      visit(std::span<const Word>(at(c), layout_.state), std::span<const OperationId>(path));
    }
  }

 private:
  // What the return of an operation does, in order: `prepare` when some configuration lacks it,
  // `expand` for each configuration in turn, `settle`.
  void invoked(std::uint32_t i);
  [[nodiscard]] bool all_have(std::uint32_t slot) const;
  void prepare();
  // Marks what can matter to an operation that is to take effect: it, what touches it, what touches
  // that, and so on. The rest may as well take effect later.
  void find_relevant(std::uint32_t i);
  std::uint64_t expand(std::uint32_t c, std::uint32_t slot);
  // Keeps the configurations that have the slot; if none has, keeps all and is false.
  bool settle(std::uint32_t slot);
  void clear_slot(std::uint32_t slot);
  void died(std::uint32_t of_class);
  [[nodiscard]] bool is_fresh() const;
  void forget_duplicates();

  [[nodiscard]] std::uint32_t size() const {
    return static_cast<std::uint32_t>(lineage_of_.size());
  }
  [[nodiscard]] Word* at(std::uint32_t c) { return configurations_.data() + c * width_; }
  [[nodiscard]] const Word* at(std::uint32_t c) const {
    return configurations_.data() + c * width_;
  }
  // Copies configuration `c` to the end, then takes the operation or class there. False (and
  // nothing is left behind) if the model refuses or if it is dominated.
  bool try_step(std::uint32_t c, std::uint32_t i);
  bool try_class(std::uint32_t c, std::uint32_t of_class);
  // Configuration `c` is there only to be read from `of_class`: keeps what comes of that, and `c`
  // if something did.
  bool try_readers(std::uint32_t c, std::uint32_t of_class);
  [[nodiscard]] bool was_read(const Word* before, const Word* after, std::uint32_t of_class) const;
  // Whether the class takes effect only for a reader; whether one is under way that may be it.
  [[nodiscard]] bool waits(std::uint32_t of_class) const;
  [[nodiscard]] bool somebody_reads(std::uint32_t of_class) const;
  bool copy_and_step(std::uint32_t c, OperationId id);
  // Whether the configuration that copy_and_step left at the end still can lead anywhere; if not,
  // it is taken away.
  bool has_future(std::uint32_t c);
  std::uint32_t append(std::uint32_t c, std::uint32_t what);
  bool keep_if_new(std::uint32_t c, std::uint32_t what);
  void absorb(std::uint32_t c);
  // Puts configuration `c` under its group. False if another dominates it; those that it dominates
  // are marked dead.
  bool enter(std::uint32_t c);
  [[nodiscard]] std::uint64_t group_hash(const Word* c) const;
  [[nodiscard]] bool same_group(const Word* a, const Word* b) const;
  [[nodiscard]] bool dominates(const Word* a, const Word* b) const;
  void begin_table(std::size_t expected);
  void grow_table();
  void pop();
  // Room for all that one expansion, or one operation that all absorb, can add.
  [[nodiscard]] bool has_room();

  const Timeline& timeline_;
  Machine& machine_;
  const Foresight* foresight_;
  const bool want_witness_;
  const bool hopeful_;
  const Layout layout_;
  const std::size_t width_;
  Now now_;

  // The set: words, lineage, and while a return is worked on also the next in the same group and
  // whether it was dominated.
  std::vector<Word> configurations_;
  std::vector<std::uint32_t> lineage_of_;
  std::vector<std::uint32_t> next_in_group_;
  std::vector<std::uint8_t> dead_;
  Lineage lineage_;

  std::vector<std::uint32_t> relevant_, relevant_classes_;  // while a return is worked on
  std::vector<OperationId> touched_;

  // Groups: open addressing; a slot whose epoch is old is free.
  struct Group {
    std::uint32_t epoch = 0;
    std::uint32_t first = 0;
  };
  std::vector<Group> table_;
  std::uint32_t epoch_ = 0;
  std::size_t groups_ = 0;

  std::size_t event_ = 0;
  bool expanding_ = false;
  std::uint32_t cursor_ = 0;  // next configuration to expand
  Position contradiction_ = 0;
  Position foreseen_ = 0;  // the last return that foresight argued with
  Position fresh_start_ = kOpen;
  std::vector<Word> initial_;
  std::uint64_t memory_bytes_max_ = 0;
};

}  // namespace raftkv::linearizability
