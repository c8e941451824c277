// A configuration: how far a linearization has come at some event. In `width` words: the state,
// then a bit for each slot (its pending operation has taken effect), then for each place how many
// operations of its class have.
//
// Pending operations that only observe are linearized as soon as their answer fits the state: doing
// so changes nothing for the others, so it can only help. That is `absorb`.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "linearizability/flat_map.h"
#include "linearizability/model.h"
#include "linearizability/search/search.h"
#include "linearizability/search/timeline.h"

namespace raftkv::linearizability {

inline constexpr std::uint32_t kNobody = 0xffff'ffff;

// Where the parts of a configuration stand.
struct Layout {
  std::size_t state = 1, mask = 0, counts = 0;

  Layout(const Timeline& timeline, const Machine& machine)
      : state(machine.words()), mask((timeline.slots() + 31) / 32), counts(timeline.places()) {}
  [[nodiscard]] std::size_t width() const { return state + mask + counts; }
  [[nodiscard]] std::span<Word> state_of(Word* c) const { return {c, state}; }
  [[nodiscard]] Word* mask_of(Word* c) const { return c + state; }
  [[nodiscard]] const Word* mask_of(const Word* c) const { return c + state; }
  [[nodiscard]] Word& count_of(Word* c, std::uint32_t place) const {
    return c[state + mask + place];
  }
  [[nodiscard]] Word count_of(const Word* c, std::uint32_t place) const {
    return c[state + mask + place];
  }
};

[[nodiscard]] inline bool has_bit(const Word* mask, std::uint32_t slot) {
  return (mask[slot / 32] >> (slot % 32)) & 1;
}
inline void set_bit(Word* mask, std::uint32_t slot) {
  mask[slot / 32] |= Word{1} << (slot % 32);
}
inline void clear_bit(Word* mask, std::uint32_t slot) {
  mask[slot / 32] &= ~(Word{1} << (slot % 32));
}

[[nodiscard]] inline std::uint64_t hash_words(const Word* words, std::size_t count,
                                              std::uint64_t seed) {
  for (std::size_t i = 0; i < count; ++i) seed = mix64(seed ^ (words[i] + 0x9e37'79b9'7f4a'7c15));
  return seed;
}

// Which operations are pending and which classes have how many members, at one place between two
// events. Can be taken forward and backward.
class Now {
 public:
  explicit Now(const Timeline& timeline)
      : timeline_(timeline),
        in_slot_(timeline.slots(), kNobody),
        class_at_(timeline.places(), kNobody),
        appeared_(timeline.classes(), 0),
        observers_((timeline.slots() + 31) / 32, 0) {}

  // Takes the event in, or back (the last taken in comes back first).
  void forward(Timeline::Event event) {
    switch (event.kind()) {
      case Timeline::Kind::invoked:
        occupy(event.of());
        break;
      case Timeline::Kind::returned:
        vacate(event.of());
        break;
      case Timeline::Kind::appeared:
        ++appeared_[event.of()];
        class_at_[timeline_.of_class(event.of()).place] = event.of();
        break;
      case Timeline::Kind::died:
        class_at_[timeline_.of_class(event.of()).place] = kNobody;
        break;
    }
  }
  void backward(Timeline::Event event) {
    switch (event.kind()) {
      case Timeline::Kind::invoked:
        vacate(event.of());
        break;
      case Timeline::Kind::returned:
        occupy(event.of());
        break;
      case Timeline::Kind::appeared:
        if (--appeared_[event.of()] == 0) {
          class_at_[timeline_.of_class(event.of()).place] = kNobody;
        }
        break;
      case Timeline::Kind::died:
        class_at_[timeline_.of_class(event.of()).place] = event.of();
        break;
    }
  }

  // The operation in a slot (kNobody: free), the class at a place, how many of a class have
  // appeared.
  [[nodiscard]] std::span<const std::uint32_t> in_slot() const { return in_slot_; }
  [[nodiscard]] std::span<const std::uint32_t> class_at() const { return class_at_; }
  [[nodiscard]] std::uint32_t appeared(std::uint32_t of_class) const { return appeared_[of_class]; }
  // The slots of operations that only observe.
  [[nodiscard]] const Word* observers() const { return observers_.data(); }
  [[nodiscard]] bool any_observer() const { return observer_count_ != 0; }
  [[nodiscard]] std::uint64_t memory_bytes() const {
    return (in_slot_.capacity() + class_at_.capacity() + appeared_.capacity() +
            observers_.capacity()) *
           sizeof(Word);
  }

 private:
  void occupy(std::uint32_t i) {
    const Timeline::Pending& op = timeline_.operation(i);
    in_slot_[op.slot] = i;
    if (!op.observes_only) return;
    set_bit(observers_.data(), op.slot);
    ++observer_count_;
  }
  void vacate(std::uint32_t i) {
    const Timeline::Pending& op = timeline_.operation(i);
    in_slot_[op.slot] = kNobody;
    if (!op.observes_only) return;
    clear_bit(observers_.data(), op.slot);
    --observer_count_;
  }

  const Timeline& timeline_;
  std::vector<std::uint32_t> in_slot_, class_at_, appeared_;
  std::vector<Word> observers_;
  std::size_t observer_count_ = 0;
};

// Linearizations, each a leaf of one tree: a node is what took effect last (an operation's place in
// the part, or a class with the top bit set), and its parent what did before.
class Lineage {
 public:
  static constexpr std::uint32_t kRoot = 0xffff'ffff;
  static constexpr std::uint32_t kClassBit = 0x8000'0000;

  [[nodiscard]] std::uint32_t add(std::uint32_t parent, std::uint32_t what) {
    nodes_.push_back({parent, what});
    return static_cast<std::uint32_t>(nodes_.size() - 1);
  }
  // Drops what no leaf needs; leaves are renumbered in place.
  void collect(std::span<std::uint32_t> leaves);
  // How many nodes can be added without growing; and growing (search.h, make_room).
  [[nodiscard]] std::size_t room() const { return nodes_.capacity() - nodes_.size(); }
  [[nodiscard]] bool make_room_for(std::size_t more, std::uint64_t held, std::uint64_t held_max) {
    return make_room(nodes_, more, held, held_max);
  }
  [[nodiscard]] bool wants_collection() const { return nodes_.size() >= collect_at_; }
  // What took effect, first to last.
  [[nodiscard]] std::vector<std::uint32_t> path(std::uint32_t leaf) const;
  [[nodiscard]] std::uint64_t memory_bytes() const { return nodes_.capacity() * sizeof(Node); }

 private:
  struct Node {
    std::uint32_t parent, what;
  };
  std::vector<Node> nodes_;
  std::size_t collect_at_ = 1u << 20;
};

// Names operations: the k-th of a class to take effect is the k-th that was invoked.
void append_operations(const Timeline& timeline, std::span<const std::uint32_t> path,
                       std::vector<OperationId>& out);

}  // namespace raftkv::linearizability
