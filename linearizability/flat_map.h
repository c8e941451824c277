// Open addressing from 64-bit keys to 32-bit numbers, with a fixed hash; nobody iterates over it,
// so its order decides nothing. Entries are never removed.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace raftkv::linearizability {

// Bijective on 64-bit numbers (the finalizer of SplitMix64): equal hashes mean equal keys.
[[nodiscard]] constexpr std::uint64_t mix64(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58'476d'1ce4'e5b9;
  x = (x ^ (x >> 27)) * 0x94d0'49bb'1331'11eb;
  return x ^ (x >> 31);
}

class FlatMap {
 public:
  // The number under `key`, and whether it is new; a new one is `fresh`.
  std::pair<std::uint32_t&, bool> insert(std::uint64_t key, std::uint32_t fresh) {
    if ((size_ + 1) * 4 > slots_.size() * 3) grow();
    Slot& slot = slots_[slot_of(key)];
    const bool is_new = !slot.used;
    if (is_new) {
      slot = {key, fresh, true};
      ++size_;
    }
    return {slot.value, is_new};
  }
  // Null if there is none; valid until the next insert.
  [[nodiscard]] std::uint32_t* find(std::uint64_t key) {
    if (slots_.empty()) return nullptr;
    Slot& slot = slots_[slot_of(key)];
    return slot.used ? &slot.value : nullptr;
  }
  [[nodiscard]] const std::uint32_t* find(std::uint64_t key) const {
    return const_cast<FlatMap*>(this)->find(key);
  }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::uint64_t memory_bytes() const { return slots_.capacity() * sizeof(Slot); }

 private:
  struct Slot {
    std::uint64_t key = 0;
    std::uint32_t value = 0;
    bool used = false;
  };

  // Where the key is, or belongs. There is always a free slot.
  [[nodiscard]] std::size_t slot_of(std::uint64_t key) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t slot = mix64(key) & mask;
    while (slots_[slot].used && slots_[slot].key != key) slot = (slot + 1) & mask;
    return slot;
  }
  void grow() {
    std::vector<Slot> old(slots_.empty() ? 16 : slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.used) slots_[slot_of(slot.key)] = slot;
    }
  }

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
};

}  // namespace raftkv::linearizability
