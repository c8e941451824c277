#include "src/replica/request_table.h"

#include <utility>

#include "src/base/check.h"

namespace raftkv::replica {

Handle RequestTable::handle_of(std::uint32_t at) const {
  return Handle(std::uint64_t{slots_[at].generation} << 32 | at);
}

std::uint32_t RequestTable::take_slot() {
  if (free_ == kNone) {
    slots_.emplace_back();
    return static_cast<std::uint32_t>(slots_.size() - 1);
  }
  const std::uint32_t at = free_;
  free_ = slots_[at].after;
  return at;
}

Handle RequestTable::open(OpenRequest request) {
  CHECK(!full());
  const std::uint32_t at = take_slot();
  Slot& slot = slots_[at];
  slot.request = std::move(request);
  slot.open = true;
  if (++slot.generation == 0) slot.generation = 1;  // 0 would make the first slot's handle "none"
  slot.before = newest_;
  slot.after = kNone;
  (newest_ == kNone ? oldest_ : slots_[newest_].after) = at;
  newest_ = at;
  ++size_;
  return handle_of(at);
}

OpenRequest* RequestTable::find(Handle handle) {
  const std::uint64_t at = handle.value & 0xffffffff;
  if (at >= slots_.size()) return nullptr;
  Slot& slot = slots_[at];
  return slot.open && slot.generation == handle.value >> 32 ? &slot.request : nullptr;
}

void RequestTable::unlink(const Slot& slot) {
  (slot.before == kNone ? oldest_ : slots_[slot.before].after) = slot.after;
  (slot.after == kNone ? newest_ : slots_[slot.after].before) = slot.before;
}

OpenRequest RequestTable::close(Handle handle) {
  OpenRequest* const request = find(handle);
  CHECK(request != nullptr, "a request is answered twice");
  const auto at = static_cast<std::uint32_t>(handle.value & 0xffffffff);
  Slot& slot = slots_[at];
  unlink(slot);
  slot.open = false;
  slot.after = free_;
  free_ = at;
  --size_;
  return std::exchange(slot.request, OpenRequest());
}

std::optional<Handle> RequestTable::oldest() const {
  if (oldest_ == kNone) return std::nullopt;
  return handle_of(oldest_);
}

Time RequestTable::next_deadline() const {
  return oldest_ == kNone ? kNever : slots_[oldest_].request.deadline;
}

}  // namespace raftkv::replica
