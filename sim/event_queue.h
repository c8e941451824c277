// Virtual time's agenda: events in a total order, first by time, then by the order in which they
// were pushed. An event is a small value; what it carries lies in a Slab of its owner.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "src/base/check.h"
#include "src/base/ring.h"
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

// Two rows of events in order, each of which takes an event that is later than all in it, and a
// heap for the others. A schedule is pushed in order before the run begins, and fills the first
// row; the operations' timeouts, all of one length, gather in the second. There, what lies far
// ahead costs nothing, and the heap holds only what is under way.
class EventQueue {
 public:
  void push(Event event) {
    event.order = ++pushed_;
    for (auto& row : rows_) {
      if (row.empty() || !earlier(event, row.back())) return row.push_back(event);
    }
    std::size_t at = heap_.size();
    heap_.push_back(event);
    for (; at > 0 && earlier(event, heap_[parent(at)]); at = parent(at)) {
      heap_[at] = heap_[parent(at)];
    }
    heap_[at] = event;
  }
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] const Event& top() const {
    const std::size_t next = next_part();
    return next < kRows ? rows_[next].front() : heap_.front();
  }
  Event pop() {
    CHECK(!empty());
    const std::size_t next = next_part();
    return next < kRows ? pop_row(rows_[next]) : pop_heap();
  }
  [[nodiscard]] std::size_t size() const {
    return rows_[0].size() + rows_[1].size() + heap_.size();
  }

 private:
  // Of the heap. With four, it is half as deep as with two, and they lie together.
  static constexpr std::size_t kChildren = 4;  // earliest_of() knows it
  static constexpr std::size_t kRows = 2;

  // The order as one number: compared without a branch.
  __extension__ using Key = __int128;
  static constexpr Key kBehindAll = static_cast<Key>(std::numeric_limits<std::int64_t>::max())
                                    << 64;
  [[nodiscard]] static Key key(const Event& event) {
    return static_cast<Key>(event.at.count()) << 64 | event.order;
  }
  [[nodiscard]] static bool earlier(const Event& a, const Event& b) { return key(a) < key(b); }
  [[nodiscard]] static std::size_t parent(std::size_t at) { return (at - 1) / kChildren; }

  // Which part's first event comes before all others: a row, or kRows for the heap.
  [[nodiscard]] std::size_t next_part() const {
    std::size_t next = kRows;
    Key first = heap_.empty() ? kBehindAll : key(heap_.front());
    for (std::size_t i = 0; i < kRows; ++i) {
      if (rows_[i].empty() || key(rows_[i].front()) > first) continue;
      next = i;
      first = key(rows_[i].front());
    }
    return next;
  }

  // Which of `count` events that lie together comes first. A whole family is compared in pairs,
  // without a branch: nobody can foresee who wins.
  [[nodiscard]] static std::size_t earliest_of(const Event* events, std::size_t count) {
    if (count < kChildren) {
      std::size_t earliest = 0;
      for (std::size_t i = 1; i < count; ++i)
        earliest = earlier(events[i], events[earliest]) ? i : earliest;
      return earliest;
    }
    const std::size_t left = earlier(events[1], events[0]) ? 1 : 0;
    const std::size_t right = earlier(events[3], events[2]) ? 3 : 2;
    return earlier(events[right], events[left]) ? right : left;
  }

  static Event pop_row(Ring<Event>& row) {
    const Event first = row.front();
    row.pop_front();
    return first;
  }

  Event pop_heap() {
    const Event first = heap_.front();
    const Event last = heap_.back();
    heap_.pop_back();
    if (heap_.empty()) return first;
    // The hole goes down by the earliest child until the last event fits in.
    Event* const heap = heap_.data();
    const std::size_t size = heap_.size();
    const Key key_of_last = key(last);
    std::size_t hole = 0;
    for (std::size_t child = 1; child < size; child = kChildren * hole + 1) {
      const std::size_t earliest = earliest_of(heap + child, std::min(kChildren, size - child));
      if (key_of_last < key(heap[child + earliest])) break;
      heap[hole] = heap[child + earliest];
      hole = child + earliest;
    }
    heap[hole] = last;
    return first;
  }

  std::array<Ring<Event>, kRows> rows_;
  std::vector<Event> heap_;
  std::uint64_t pushed_ = 0;
};

// Things that events refer to by position; freed positions are used again.
template <typename T>
class Slab {
 public:
  std::uint32_t put(T&& value) {
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
