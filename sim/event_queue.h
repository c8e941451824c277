// Virtual time's agenda: events in a total order, first by time, then by the order in which they
// were pushed. An event is a small value; what it carries lies in a Slab of its owner.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "src/base/check.h"
#include "src/base/time.h"

namespace raftkv::sim {

// The world's own time since the run began. Nodes see it through their clocks only (node.h).
using Instant = Duration;

enum class EventKind : std::uint8_t {
  action,          // the next action of the schedule
  frame,           // payload: a frame on its way to a node
  peer_event,      // payload: packed peer and kind
  turn,            // a node's Host carries effects out
  wake,            // a node's timer
  job_run,         // payload: worker; the job's operations happen
  job_done,        // payload: worker; its completion is posted to the loop
  request,         // payload: a client's request reaches a node
  response,        // payload: a node's response reaches a client
  client_timeout,  // an operation's time is over; payload: client, epoch: serial
  client_next,     // a client tries again; payload: client, epoch: attempt
  join_timer,      // a joining node goes on; payload: attempt
  phase,           // the run's own milestones; payload: which
};

struct Event {
  Instant at{};
  std::uint64_t order = 0;    // set by the queue
  std::uint32_t payload = 0;  // slab position or number; by kind
  std::uint32_t epoch = 0;    // of the process it is meant for; dropped if that is gone
  EventKind kind = EventKind::action;
  std::uint8_t node = 0;
};

class EventQueue {
 public:
  void push(Event event) {
    event.order = ++pushed_;
    heap_.push_back(event);
    std::push_heap(heap_.begin(), heap_.end(), Later());
  }
  [[nodiscard]] bool empty() const { return heap_.empty(); }
  [[nodiscard]] const Event& top() const { return heap_.front(); }
  Event pop() {
    CHECK(!heap_.empty());
    std::pop_heap(heap_.begin(), heap_.end(), Later());
    const Event event = heap_.back();
    heap_.pop_back();
    return event;
  }
  [[nodiscard]] std::size_t size() const { return heap_.size(); }

 private:
  // An object, not a function: it is called where it stands.
  struct Later {
    bool operator()(const Event& a, const Event& b) const {
      return a.at != b.at ? a.at > b.at : a.order > b.order;
    }
  };

  std::vector<Event> heap_;
  std::uint64_t pushed_ = 0;
};

// Things that events refer to by position; freed positions are used again.
template <typename T>
class Slab {
 public:
  std::uint32_t put(T value) {
    if (free_.empty()) {
      items_.push_back(std::move(value));
      return static_cast<std::uint32_t>(items_.size() - 1);
    }
    const std::uint32_t at = free_.back();
    free_.pop_back();
    items_[at] = std::move(value);
    return at;
  }
  [[nodiscard]] T take(std::uint32_t at) {
    T value = std::move(items_[at]);
    free_.push_back(at);
    return value;
  }
  [[nodiscard]] T& operator[](std::uint32_t at) { return items_[at]; }

 private:
  std::vector<T> items_;
  std::vector<std::uint32_t> free_;
};

}  // namespace raftkv::sim
