#include "tests/chaos/promises.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <unordered_map>

#include "tests/chaos/clients.h"

namespace raftkv::chaos {
namespace {

constexpr std::size_t kToldMost = 50;

std::string key_of_set(const Operation& op) {
  return op.key.starts_with('s') && op.kind == Kind::get ? op.key.substr(0, op.key.size() - 1)
                                                         : op.key;
}

std::string describe(const Operation& op) {
  static constexpr std::array kNames = {"put", "set", "delete", "get"};
  static constexpr std::array kLevels = {"default", "consistent", "stale"};
  std::string text = kNames[static_cast<std::size_t>(op.kind)];
  if (op.kind == Kind::get) {
    text += op.level == Level::consistent ? std::string(" ") + kLevels[1]
            : op.level == Level::stale    ? std::string(" ") + kLevels[2]
                                          : std::string(" ") + kLevels[0];
  }
  text += " " + op.key;
  if (op.value != 0) text += fmt::format(" = {}", op.value);
  return text + fmt::format(" (n{}, index {}, term {}, at {} to {} ms)", op.node + 1, op.index,
                            op.term, op.invoked / 1'000'000, op.returned / 1'000'000);
}

class Judge {
 public:
  explicit Judge(const std::vector<Operation>& operations) : operations_(operations) {
    for (const Operation& op : operations) {
      if (op.value != 0 && is_write(op)) writes_.emplace(op.value, &op);
    }
  }

  std::vector<std::string> judge() {
    // Invocations and returns in the order of their times.
    std::vector<std::pair<Nanos, const Operation*>> moments;
    for (const Operation& op : operations_) {
      moments.emplace_back(op.invoked, &op);
      if (op.end == End::ok) moments.emplace_back(op.returned, &op);
    }
    std::ranges::stable_sort(moments, {}, &std::pair<Nanos, const Operation*>::first);
    for (const auto& [time, op] : moments) {
      if (time == op->invoked) {
        invoked(*op);
      } else {
        returned(*op);
      }
    }
    return std::move(broken_);
  }

 private:
  // Of one key, by what has been acknowledged so far.
  struct Key {
    std::uint64_t last = 0;                           // index of the last change
    std::map<std::uint64_t, std::uint64_t> by_term;   // term: largest index in this or earlier ones
    std::map<std::uint64_t, std::uint64_t> by_index;  // indexes of changes
    std::uint64_t deletes = 0;                        // that may have happened, from invocation on
  };
  // What an operation had to see, by the time it was invoked.
  struct Floor {
    std::uint64_t index = 0;    // of any write: the log only grows
    std::uint64_t of_term = 0;  // default reads, filled in by their answer's term
    std::uint64_t of_node = 0;  // stale reads: what this process of the node has shown
    const Operation* seen = nullptr;
    std::map<std::uint64_t, std::uint64_t> by_term;
  };

  void tell(const Operation& op, std::string_view what) {
    if (broken_.size() < kToldMost) broken_.push_back(fmt::format("{}: {}", describe(op), what));
  }

  void invoked(const Operation& op) {
    if (op.kind == Kind::del && op.end != End::fail) ++keys_[op.key].deletes;
    if (op.end != End::ok) return;
    Floor floor;
    floor.index = last_index_;
    if (op.kind == Kind::get && op.level != Level::consistent) {
      Key& key = keys_[key_of_set(op)];
      if (op.level == Level::default_) floor.by_term = key.by_term;
      if (op.level == Level::stale && op.same_epoch) {
        const std::uint64_t shown = shown_[{op.node, op.epoch}];
        const auto next = key.by_index.upper_bound(shown);
        if (next != key.by_index.begin()) floor.of_node = std::prev(next)->first;
      }
    }
    if (op.kind == Kind::get && op.level == Level::consistent)
      floor.of_term = keys_[key_of_set(op)].last;
    floors_[&op] = std::move(floor);
  }

  void returned(const Operation& op) {
    const Floor floor = std::move(floors_[&op]);
    floors_.erase(&op);
    if (is_write(op)) {
      write_returned(op, floor);
    } else {
      provenance(op);
      read_returned(op, floor);
    }
    if (op.same_epoch) {
      auto& shown = shown_[{op.node, op.epoch}];
      shown = std::max(shown, op.applied);
    }
  }

  void write_returned(const Operation& op, const Floor& floor) {
    if (op.index <= floor.index)
      tell(op, fmt::format("its index is not above {}, which was acknowledged before it began",
                           floor.index));
    const auto [before, fresh] = by_index_.emplace(op.index, &op);
    if (!fresh) tell(op, "the same index as of " + describe(*before->second));
    last_index_ = std::max(last_index_, op.index);
    if (op.kind == Kind::del && !op.deleted) return;  // it changed nothing
    Key& key = keys_[key_of_set(op)];
    key.last = std::max(key.last, op.index);
    key.by_index.emplace(op.index, op.term);
    auto& of_term = key.by_term[op.term];
    of_term = std::max(of_term, op.index);
  }

  // What was read was written, to this key, and not by a write that is known not to have happened.
  void provenance(const Operation& op) {
    if (!op.found) return;
    const auto found = writes_.find(op.value);
    if (found == writes_.end()) return tell(op, "nobody has written this");
    const Operation& write = *found->second;
    if (write.key != key_of_set(op)) tell(op, "it was written to another key: " + describe(write));
    if (write.end == End::fail) tell(op, "it was not applied: " + describe(write));
    if (write.invoked > op.returned) tell(op, "it was written later: " + describe(write));
    if (write.end == End::ok && write.index != op.index)
      tell(op, "another index than its write's: " + describe(write));
  }

  void read_returned(const Operation& op, const Floor& floor) {
    std::uint64_t must_see = floor.of_term;
    if (op.level == Level::stale) must_see = floor.of_node;
    if (op.level == Level::default_ && op.leads) {
      for (const auto& [term, index] : floor.by_term) {
        if (term <= op.term) must_see = std::max(must_see, index);
      }
    }
    // That a value is gone can be due to any delete that has begun.
    const bool old =
        op.found ? op.index < must_see : must_see > 0 && keys_[key_of_set(op)].deletes == 0;
    if (old) tell(op, fmt::format("it does not see index {}, which it had to", must_see));
  }

  const std::vector<Operation>& operations_;
  std::unordered_map<std::uint64_t, const Operation*> writes_;  // by value
  std::unordered_map<const Operation*, Floor> floors_;          // of what is under way
  std::unordered_map<std::string, Key> keys_;
  std::unordered_map<std::uint64_t, const Operation*> by_index_;
  std::map<std::pair<std::uint8_t, std::uint32_t>, std::uint64_t>
      shown_;  // applied, by node, epoch
  std::uint64_t last_index_ = 0;
  std::vector<std::string> broken_;
};

}  // namespace

std::vector<std::string> broken_promises(const std::vector<Operation>& operations) {
  return Judge(operations).judge();
}

}  // namespace raftkv::chaos
