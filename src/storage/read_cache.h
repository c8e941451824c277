// Values that were read from LevelDB lately, for readers that cannot wait for it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "src/base/checksum.h"

namespace raftkv::storage {

// A hash of stored keys; finds by views of them.
struct StoredKeyHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view key) const { return checksum64(key); }
};
// Stored keys and values; nullopt: there is none.
using StoredValues =
    std::unordered_map<std::string, std::optional<std::string>, StoredKeyHash, std::equal_to<>>;

// What a key and its value take in memory, about.
[[nodiscard]] inline std::size_t memory_of(std::string_view key,
                                           const std::optional<std::string>& value) {
  constexpr std::size_t kOverhead = 64;  // their place in a table
  return kOverhead + key.size() + (value ? value->size() : 0);
}

// Bounded: forgets the older half when the younger one is full, with no order to keep. Not for
// several threads at once.
class ReadCache {
 public:
  explicit ReadCache(std::size_t bytes_max) : half_max_(bytes_max / 2) {}

  [[nodiscard]] bool empty() const { return young_.empty() && old_.empty(); }
  // Null: it is not here. Valid until the next change.
  [[nodiscard]] const std::optional<std::string>* find(std::string_view key) const {
    for (const StoredValues* half : {&young_, &old_}) {
      if (const auto found = half->find(key); found != half->end()) return &found->second;
    }
    return nullptr;
  }
  // Values larger than a half are not kept.
  void put(std::string_view key, const std::optional<std::string>& value) {
    const std::size_t size = memory_of(key, value);
    if (size > half_max_) return;
    erase(key);
    if (young_bytes_ + size > half_max_) {
      old_ = std::exchange(young_, {});
      young_bytes_ = 0;
    }
    young_.emplace(key, value);
    young_bytes_ += size;
  }
  // The key is written: what was read of it is old.
  void erase(std::string_view key) {
    if (const auto found = young_.find(key); found != young_.end()) {
      young_bytes_ -= memory_of(key, found->second);
      young_.erase(found);
    }
    if (const auto found = old_.find(key); found != old_.end()) old_.erase(found);
  }

 private:
  std::size_t half_max_;
  StoredValues young_;
  StoredValues old_;
  std::size_t young_bytes_ = 0;
};

}  // namespace raftkv::storage
