// Depth-first search (Wing and Gong 1993; configurations remembered after Lowe 2017, section 3):
// linearizes pending operations one after the other until the next return is of one that has taken
// effect, goes on behind it, and turns back where the model refuses or the configuration was seen
// before. Configurations are remembered whole, so "no order" is exact. Where the history is
// linearizable it mostly finds an order without looking at many; where it is not it has to look at
// all.
//
// Going back copies the words of the previous configuration and takes events back in place; nothing
// is allocated for a step once the stacks have grown.
#pragma once

#include <vector>

#include "linearizability/search/configuration.h"
#include "linearizability/search/foresight.h"
#include "linearizability/search/search.h"
#include "linearizability/search/timeline.h"

namespace raftkv::linearizability {

class DepthFirst final : public Search {
 public:
  // All must outlive the search; the machine is not shared with another search that runs in between
  // steps.
  DepthFirst(const Timeline& timeline, Machine& machine, const Foresight* foresight = nullptr);

  State run(std::uint64_t steps, std::uint64_t memory_bytes_max) override;
  void append_witness(std::vector<OperationId>& out) const override;
  [[nodiscard]] Position contradiction() const override;
  [[nodiscard]] std::uint64_t memory_bytes() const override;
  [[nodiscard]] Algorithm algorithm() const override { return Algorithm::depth_first; }

 private:
  struct Frame {
    std::size_t event;                // the return before which something must take effect
    std::size_t path_size;            // of path_ when the configuration was reached
    std::uint32_t to_read = kNobody;  // a class that took effect for whoever comes next
    // Next candidate: the returning operation, the slots for what is ok, the slots for what is of
    // unknown end, the places.
    std::uint32_t cursor = 0;
  };

  [[nodiscard]] Word* top() { return words_.data() + words_.size() - layout_.width(); }
  // Takes events in as far as the top configuration allows. True at the end of the history.
  bool advance();
  void absorb(std::uint32_t slot, std::uint32_t i);
  void absorb_all();
  // Tries the frame's next candidates; true once there is a new top configuration.
  bool try_next();
  bool try_candidate(std::uint32_t cursor);
  bool push_step(OperationId id);
  // Whether the top configuration still can lead anywhere; if not, it is taken away.
  bool has_future();
  bool try_operation(std::uint32_t i);
  bool try_class(std::uint32_t k);
  [[nodiscard]] bool was_read(std::size_t path_size, std::uint32_t of_class) const;
  void push_frame();
  void pop_frame();
  void rewind_to(std::size_t event);
  // Room for all that one step can add.
  [[nodiscard]] bool has_room(std::uint64_t memory_bytes_max);
  // False if the top configuration was here before.
  bool remember();

  const Timeline& timeline_;
  Machine& machine_;
  const Foresight* foresight_;
  const Layout layout_;
  Now now_;

  std::size_t event_ = 0;
  std::uint32_t to_read_ = kNobody;  // of the top configuration
  std::size_t furthest_ = 0;
  Position foreseen_ = 0;    // the last return that foresight argued with
  std::vector<Word> words_;  // the configurations on the way, the last on top
  std::vector<Frame> frames_;
  std::vector<std::uint32_t> path_;  // what took effect, in order

  std::vector<Word> seen_;            // width + 2 words each: event, to_read, the configuration
  std::vector<std::uint32_t> table_;  // open addressing over seen_, +1; 0 is free
  std::size_t seen_count_ = 0;
  std::uint64_t tried_ = 0;  // candidates, in the last step
  bool started_ = false;
};

}  // namespace raftkv::linearizability
