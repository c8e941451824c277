// From values to small numbers: an array where ids are dense, as those of counters and of interned
// texts are.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "linearizability/flat_map.h"
#include "linearizability/history.h"

namespace raftkv::linearizability {

class ValueIndex {
 public:
  static constexpr std::uint32_t kNone = 0xffff'ffff;

  // Announce every value first, then begin().
  void announce(Value value) {
    low_ = std::min(low_, value.id);
    high_ = std::max(high_, value.id);
    ++announced_;
  }
  void begin() {
    const std::uint64_t range = announced_ == 0 ? 0 : std::uint64_t{high_} - low_ + 1;
    dense_ = range <= 4 * announced_ + 1024;
    if (dense_) array_.assign(range, kNone);
  }
  // The number under `value`; kNone, and free to be set, if there is none yet.
  [[nodiscard]] std::uint32_t& operator[](Value value) {
    return dense_ ? array_[value.id - low_] : map_.insert(value.id, kNone).first;
  }
  // kNone for a value that was never announced, too.
  [[nodiscard]] std::uint32_t find(Value value) const {
    if (dense_) {
      return value.id < low_ || value.id > high_ || array_.empty() ? kNone
                                                                   : array_[value.id - low_];
    }
    const std::uint32_t* number = map_.find(value.id);
    return number == nullptr ? kNone : *number;
  }
  [[nodiscard]] std::uint64_t memory_bytes() const {
    return array_.capacity() * 4 + map_.memory_bytes();
  }

 private:
  std::uint32_t low_ = std::numeric_limits<std::uint32_t>::max();
  std::uint32_t high_ = 0;
  std::uint64_t announced_ = 0;
  bool dense_ = true;
  std::vector<std::uint32_t> array_;
  FlatMap map_;
};

}  // namespace raftkv::linearizability
