#include "linearizability/search/depth_first.h"

#include <bit>

#include "src/base/check.h"

namespace raftkv::linearizability {

namespace {
// Most candidates are none: a slot is free, or has taken effect.
constexpr std::uint64_t kTriesAStep = 4;
}  // namespace

DepthFirst::DepthFirst(const Timeline& timeline, Machine& machine, const Foresight* foresight)
    : timeline_(timeline),
      machine_(machine),
      foresight_(foresight),
      layout_(timeline, machine),
      now_(timeline) {
  words_.assign(layout_.width(), 0);
  machine_.initial(layout_.state_of(top()));
}

Search::State DepthFirst::run(std::uint64_t steps, std::uint64_t memory_bytes_max) {
  if (!started_) {
    started_ = true;
    if (advance()) return State::linearizable;
    remember();
    push_frame();
  }
  for (std::uint64_t done = 0; done < steps; done += 1 + tried_ / kTriesAStep) {
    if (frames_.empty()) return State::not_linearizable;
    if (!has_room(memory_bytes_max)) return State::out_of_memory;
    if (!try_next()) {
      pop_frame();
      continue;
    }
    if (advance()) return State::linearizable;
    if (remember()) {
      push_frame();
    } else {
      words_.resize(words_.size() - layout_.width());
      rewind_to(frames_.back().event);
      path_.resize(frames_.back().path_size);
    }
  }
  return State::running;
}

bool DepthFirst::has_room(std::uint64_t memory_bytes_max) {
  const std::size_t stride = layout_.width() + 2;
  const std::size_t taken = timeline_.slots() + 1;
  const bool table_full = (seen_count_ + 1) * 2 > table_.size();
  if (!table_full && words_.capacity() - words_.size() >= stride &&
      seen_.capacity() - seen_.size() >= stride && frames_.size() < frames_.capacity() &&
      path_.capacity() - path_.size() >= taken) {
    return true;
  }
  const std::uint64_t held = memory_bytes();
  if (table_full && held + table_.size() * 2 * sizeof(table_[0]) > memory_bytes_max) return false;
  return make_room(words_, stride, held, memory_bytes_max) &&
         make_room(seen_, stride, held, memory_bytes_max) &&
         make_room(frames_, 1, held, memory_bytes_max) &&
         make_room(path_, taken, held, memory_bytes_max);
}

bool DepthFirst::advance() {
  const auto events = timeline_.events();
  for (; event_ < events.size(); ++event_) {
    const Timeline::Event event = events[event_];
    Word* mask = layout_.mask_of(top());
    if (event.kind() == Timeline::Kind::returned) {
      const std::uint32_t slot = timeline_.operation(event.of()).slot;
      if (!has_bit(mask, slot)) break;
      clear_bit(mask, slot);
    }
    now_.forward(event);
    if (event.kind() == Timeline::Kind::invoked && timeline_.operation(event.of()).observes_only) {
      absorb(timeline_.operation(event.of()).slot, event.of());
    }
    if (event.kind() == Timeline::Kind::died) {
      layout_.count_of(top(), timeline_.of_class(event.of()).place) = 0;
    }
  }
  furthest_ = std::max(furthest_, event_);
  return event_ == events.size();
}

void DepthFirst::absorb(std::uint32_t slot, std::uint32_t i) {
  if (!machine_.step(layout_.state_of(top()), timeline_.operation(i).id)) return;
  set_bit(layout_.mask_of(top()), slot);
  path_.push_back(i);
}

void DepthFirst::absorb_all() {
  if (!now_.any_observer()) return;
  const Word* mask = layout_.mask_of(top());
  for (std::size_t w = 0; w < layout_.mask; ++w) {
    for (Word left = now_.observers()[w] & ~mask[w]; left != 0; left &= left - 1) {
      const std::uint32_t slot = static_cast<std::uint32_t>(w * 32) + std::countr_zero(left);
      absorb(slot, now_.in_slot()[slot]);
    }
  }
}

bool DepthFirst::try_next() {
  const auto end = static_cast<std::uint32_t>(1 + 2 * timeline_.slots() + timeline_.places());
  Frame& frame = frames_.back();
  for (tried_ = 0; frame.cursor < end; ++tried_) {
    if (try_candidate(frame.cursor++)) return true;
  }
  return false;
}

bool DepthFirst::try_candidate(std::uint32_t cursor) {
  const std::uint32_t returning = timeline_.events()[frames_.back().event].of();
  if (cursor == 0) return try_operation(returning);
  const auto slots = static_cast<std::uint32_t>(timeline_.slots());
  if (cursor <= 2 * slots) {
    const std::uint32_t i = now_.in_slot()[(cursor - 1) % slots];
    const bool forced = cursor > slots;
    return i != kNobody && i != returning && timeline_.operation(i).is_forced == forced &&
           try_operation(i);
  }
  const std::uint32_t k = now_.class_at()[cursor - 1 - 2 * slots];
  return k != kNobody && try_class(k);
}

bool DepthFirst::try_operation(std::uint32_t i) {
  const Timeline::Pending& op = timeline_.operation(i);
  const std::uint32_t to_read = frames_.back().to_read;
  if (op.observes_only || has_bit(layout_.mask_of(top()), op.slot)) return false;
  if (to_read != kNobody && !timeline_.may_read(i, to_read)) return false;
  if (!push_step(op.id)) return false;
  set_bit(layout_.mask_of(top()), op.slot);
  if (!has_future()) return false;
  path_.push_back(i);
  to_read_ = kNobody;
  absorb_all();
  return true;
}

bool DepthFirst::try_class(std::uint32_t k) {
  const Timeline::Class& of_class = timeline_.of_class(k);
  const std::uint32_t to_read = frames_.back().to_read;
  if (layout_.count_of(top(), of_class.place) >= now_.appeared(k)) return false;
  if (to_read != kNobody && !timeline_.class_may_read(k, to_read)) return false;
  if (!push_step(of_class.members[0])) return false;
  const Word* before = top() - layout_.width();
  if (std::equal(before, before + layout_.state, top())) {  // it would have changed nothing
    words_.resize(words_.size() - layout_.width());
    return false;
  }
  ++layout_.count_of(top(), of_class.place);
  if (!has_future()) return false;
  path_.push_back(k | Lineage::kClassBit);
  const std::size_t path_size = path_.size();
  absorb_all();
  to_read_ = of_class.waits && !was_read(path_size, k) ? k : kNobody;
  return true;
}

// By what was absorbed since the path had that size.
bool DepthFirst::was_read(std::size_t path_size, std::uint32_t of_class) const {
  return std::any_of(path_.begin() + static_cast<std::ptrdiff_t>(path_size), path_.end(),
                     [&](std::uint32_t i) { return timeline_.may_read(i, of_class); });
}

bool DepthFirst::push_step(OperationId id) {
  const std::size_t end = words_.size();
  words_.resize(end + layout_.width());
  std::copy_n(words_.data() + end - layout_.width(), layout_.width(), words_.data() + end);
  if (machine_.step(layout_.state_of(top()), id)) return true;
  words_.resize(end);
  return false;
}

bool DepthFirst::has_future() {
  if (foresight_ == nullptr) return true;
  const Position stranded =
      foresight_->stranded(layout_, top() - layout_.width(), top(), event_, now_);
  if (stranded == Foresight::kNobodyStranded) return true;
  foreseen_ = std::max(foreseen_, stranded);
  words_.resize(words_.size() - layout_.width());
  return false;
}

void DepthFirst::push_frame() {
  frames_.push_back({event_, path_.size()});
}

void DepthFirst::pop_frame() {
  frames_.pop_back();
  words_.resize(words_.size() - layout_.width());
  if (frames_.empty()) return;
  rewind_to(frames_.back().event);
  path_.resize(frames_.back().path_size);
}

void DepthFirst::rewind_to(std::size_t event) {
  while (event_ > event) now_.backward(timeline_.events()[--event_]);
}

bool DepthFirst::remember() {
  const std::size_t stride = layout_.width() + 2;
  if ((seen_count_ + 1) * 2 > table_.size()) {
    table_.assign(std::max<std::size_t>(64, table_.size() * 2), 0);
    for (std::size_t n = 0; n < seen_count_; ++n) {
      std::size_t slot = hash_words(&seen_[n * stride], stride, 2) & (table_.size() - 1);
      while (table_[slot] != 0) slot = (slot + 1) & (table_.size() - 1);
      table_[slot] = static_cast<std::uint32_t>(n + 1);
    }
  }
  CHECK(seen_count_ < kNobody - 1);
  seen_.push_back(static_cast<Word>(event_));
  seen_.push_back(to_read_);
  seen_.insert(seen_.end(), top(), top() + layout_.width());
  const Word* fresh = &seen_[seen_count_ * stride];
  std::size_t slot = hash_words(fresh, stride, 2) & (table_.size() - 1);
  for (; table_[slot] != 0; slot = (slot + 1) & (table_.size() - 1)) {
    if (std::equal(fresh, fresh + stride, &seen_[(table_[slot] - 1) * stride])) {
      seen_.resize(seen_.size() - stride);
      return false;
    }
  }
  table_[slot] = static_cast<std::uint32_t>(++seen_count_);
  return true;
}

void DepthFirst::append_witness(std::vector<OperationId>& out) const {
  append_operations(timeline_, path_, out);
}

Position DepthFirst::contradiction() const {
  return std::max(foreseen_, timeline_.operation(timeline_.events()[furthest_].of()).returned);
}

std::uint64_t DepthFirst::memory_bytes() const {
  return words_.capacity() * 4 + frames_.capacity() * sizeof(Frame) + path_.capacity() * 4 +
         seen_.capacity() * 4 + table_.capacity() * 4 + now_.memory_bytes();
}

}  // namespace raftkv::linearizability
