// A part as the searches see it: its events in order; every ok operation with a slot, which is its
// own from invocation to return and then another's, so that "which of the pending ones have taken
// effect" is a short bit mask however long the history is; and the operations of unknown end as
// classes of equal calls, of which only the number that took effect matters (Lowe 2017, section 5).
//
// An operation of unknown end that an answer needs (Machine::needs) did take effect, and before the
// first such answer was given: it is as good as one that is ok and returns then. One that nobody
// can read from may as well never have happened; it is left out. A class whose last possible reader
// has returned dies: from then on its count says nothing.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "linearizability/history.h"
#include "linearizability/model.h"
#include "linearizability/search/ruling.h"

namespace raftkv::linearizability {

class Timeline {
 public:
  enum class Kind : std::uint8_t {
    invoked,   // of: an operation, ok or forced; its slot is its own from now on
    returned,  // of: the same; its slot is free from now on
    appeared,  // of: a class; one more operation of it may take effect from now on
    died,      // of: a class; its place is free from now on
  };
  struct Event {
    std::uint32_t word;
    [[nodiscard]] Kind kind() const { return static_cast<Kind>(word >> 30); }
    [[nodiscard]] std::uint32_t of() const { return word & 0x3fff'ffff; }
  };
  struct Pending {
    OperationId id;
    std::uint32_t slot;
    Position returned;  // by then it must have taken effect
    bool observes_only;
    bool is_forced;  // its end is unknown, but an answer needs it
  };
  struct Class {
    std::vector<OperationId> members;  // by invocation
    std::uint32_t place = 0;  // among the counts of a configuration; reused after its death
    bool waits = false;       // Machine::waits_for_reader
  };

  // Not to be used once patience is lost.
  Timeline(const History& history, const Model& model, const Part& part, const Machine& machine,
           std::span<const Need> needs, Patience& patience);

  [[nodiscard]] std::span<const Event> events() const { return events_; }
  [[nodiscard]] const Pending& operation(std::uint32_t i) const { return operations_[i]; }
  [[nodiscard]] const Class& of_class(std::uint32_t i) const { return classes_[i]; }
  [[nodiscard]] std::size_t operations() const { return operations_.size(); }
  [[nodiscard]] std::size_t classes() const { return classes_.size(); }
  [[nodiscard]] std::size_t slots() const { return slots_; }
  [[nodiscard]] std::size_t places() const { return places_; }
  // Whether all classes wait for a reader.
  [[nodiscard]] bool all_wait() const;
  // Model::may_read_from between an operation, or a class, and a class.
  [[nodiscard]] bool may_read(std::uint32_t operation, std::uint32_t of_class) const;
  // Model::touch between two operations.
  [[nodiscard]] bool touch(OperationId a, OperationId b) const {
    return model_.touch(history_, a, b);
  }
  [[nodiscard]] bool class_may_read(std::uint32_t reader, std::uint32_t of_class) const;
  [[nodiscard]] std::uint64_t memory_bytes() const;

 private:
  struct Unknown;
  [[nodiscard]] std::vector<Unknown> live_classes(const History& history, const Model& model,
                                                  const Part& part, const Machine& machine,
                                                  std::span<const Need> needs, Patience& patience);
  void find_deaths(const History& history, const Model& model, std::vector<Unknown>& unknowns,
                   Patience& patience) const;
  void add_events(const History& history, std::vector<Unknown> unknowns, Patience& patience);

  const History& history_;
  const Model& model_;
  std::vector<Event> events_;
  std::vector<Pending> operations_;
  std::vector<Class> classes_;
  std::size_t slots_ = 0;
  std::size_t places_ = 0;
};

}  // namespace raftkv::linearizability
