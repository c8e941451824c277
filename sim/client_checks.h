// What clients were promised (I13), checked against the ghost's committed log when a node serves an
// answer:
//
//   a consistent read sees every write acknowledged before it began, and what other consistent
//   reads have seen; a default read does so, too, unless a leader of a later term exists: then its
//   node is cut off; a stale read was true once and, within an incarnation, never goes back on one
//   node; an acknowledged write stands in the committed log at the index that the client was told;
//   a write that was "not applied" is not there.
//
// Whether the whole history is linearizable is judged at the end, by linearizability/ (history.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/event_queue.h"
#include "sim/ghost.h"
#include "sim/schedule.h"
#include "src/replica/request.h"

namespace raftkv::sim {

class Verdict;

enum class Outcome : std::uint8_t {
  open,  // no answer yet
  ok,
  fail,  // certainly not applied; a read without an answer
  info,  // may have happened, or may happen later
};

inline constexpr std::uint32_t kNoOperation = ~0u;

// One operation of a client, from its invocation to its end.
struct Operation {
  std::uint32_t process =
      0;  // as histories count them: a client gets another number after an unknown outcome
  const Action* action = nullptr;
  Instant invoked{};
  Instant returned{};
  std::uint32_t invoked_order = 0;  // position among all invocations and ends
  std::uint32_t returned_order = 0;
  Outcome outcome = Outcome::open;
  std::uint64_t index = 0;           // of the write; of a read's value, its last change
  std::optional<std::string> value;  // read: what was there
  bool deleted = false;              // del: it was there

  // --- the ghost's ---
  Index floor;                 // of the key when it was invoked: what a consistent read must see
  std::uint32_t attempts = 0;  // requests sent
  std::uint32_t attempts_refused = 0;  // of them, certainly not applied
};

class ClientChecks {
 public:
  ClientChecks(Ghost& ghost, Verdict& verdict) : ghost_(ghost), verdict_(verdict) {}

  // A client begins an operation; its number.
  std::uint32_t invoked(std::uint32_t process, const Action& action, Instant now);
  // A node answers a request of this operation.
  void served(std::size_t node, std::uint32_t operation, const replica::Reply& reply);
  // An attempt ended without effect.
  void refused(std::uint32_t operation);
  // The client has its answer.
  void returned(std::uint32_t operation, Outcome outcome, Instant now);
  // After the run: nothing that was refused is in the log.
  void finish();

  [[nodiscard]] Operation& operation(std::uint32_t number) { return operations_[number]; }
  [[nodiscard]] const std::vector<Operation>& operations() const { return operations_; }

 private:
  [[nodiscard]] const KeyHistory& history(std::string_view key) const;
  void served_write(std::size_t node, const Operation& operation, const replica::Written& written);
  void served_read(std::size_t node, Operation& operation, const replica::Reply& reply,
                   const replica::ReadResult& read);
  void check_refused(const Operation& operation);

  Ghost& ghost_;
  Verdict& verdict_;
  std::vector<Operation> operations_;
  std::uint32_t order_ = 0;
};

}  // namespace raftkv::sim
