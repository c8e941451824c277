#include "linearizability/search/just_in_time.h"

#include <bit>
#include <numeric>

#include "src/base/check.h"

namespace raftkv::linearizability {

JustInTime::JustInTime(const Timeline& timeline, Machine& machine, bool want_witness,
                       const Foresight* foresight, bool hopeful)
    : timeline_(timeline),
      machine_(machine),
      foresight_(foresight),
      want_witness_(want_witness),
      hopeful_(hopeful),
      layout_(timeline, machine),
      width_(layout_.width()),
      now_(timeline) {
  configurations_.assign(width_, 0);
  machine_.initial(layout_.state_of(at(0)));
  lineage_of_.push_back(Lineage::kRoot);
  initial_ = configurations_;
}

Search::State JustInTime::run(std::uint64_t steps, std::uint64_t memory_bytes_max) {
  memory_bytes_max_ = memory_bytes_max;
  const auto events = timeline_.events();
  for (std::uint64_t done = 0; event_ < events.size();) {
    if (done >= steps) return State::running;
    if (!has_room()) return State::out_of_memory;
    const Timeline::Event event = events[event_];
    const std::uint32_t slot =
        event.kind() == Timeline::Kind::returned ? timeline_.operation(event.of()).slot : 0;
    if (expanding_) {
      for (; cursor_ < size(); ++cursor_) {
        if (done >= steps) return State::running;
        if (!has_room()) return State::out_of_memory;
        done += expand(cursor_, slot);
      }
      expanding_ = false;
      if (!settle(slot)) {
        contradiction_ = std::max(foreseen_, timeline_.operation(event.of()).returned);
        return State::not_linearizable;
      }
    } else if (event.kind() == Timeline::Kind::returned) {
      if (!all_have(slot)) {
        prepare();
        find_relevant(event.of());
        continue;
      }
      clear_slot(slot);
    }
    now_.forward(event);
    ++event_;
    done += size();
    if (event.kind() == Timeline::Kind::invoked) invoked(event.of());
    if (event.kind() == Timeline::Kind::died) died(event.of());
    if (event.kind() == Timeline::Kind::returned && is_fresh()) {
      fresh_start_ = timeline_.operation(event.of()).returned;
    }
    if (lineage_.wants_collection()) lineage_.collect(lineage_of_);
  }
  return State::linearizable;
}

void JustInTime::invoked(std::uint32_t i) {
  const Timeline::Pending& op = timeline_.operation(i);
  if (!op.observes_only) return;
  for (std::uint32_t c = 0; c < size(); ++c) {
    if (!machine_.step(layout_.state_of(at(c)), op.id)) continue;
    set_bit(layout_.mask_of(at(c)), op.slot);
    if (want_witness_) lineage_of_[c] = lineage_.add(lineage_of_[c], i);
  }
}

bool JustInTime::has_room() {
  const std::size_t children = timeline_.slots() + timeline_.places();
  const std::size_t observed =
      want_witness_ ? (children + 1) * (timeline_.slots() + 1) + size() : 0;
  if (configurations_.capacity() - configurations_.size() >= children * width_ &&
      lineage_of_.capacity() - lineage_of_.size() >= children && lineage_.room() >= observed) {
    return true;
  }
  const std::uint64_t held = memory_bytes();
  // Of each of these there is one a configuration, and its slots in the table.
  const std::uint64_t beside =
      (lineage_of_.capacity() + children) * (4 + 4 + 1 + 4 * sizeof(Group));
  return make_room(configurations_, children * width_, held + beside, memory_bytes_max_) &&
         make_room(lineage_of_, children, held, memory_bytes_max_) &&
         lineage_.make_room_for(observed, held, memory_bytes_max_);
}

bool JustInTime::all_have(std::uint32_t slot) const {
  for (std::uint32_t c = 0; c < size(); ++c) {
    if (!has_bit(layout_.mask_of(at(c)), slot)) return false;
  }
  return true;
}

void JustInTime::prepare() {
  expanding_ = true;
  cursor_ = 0;
  next_in_group_.assign(size(), kNobody);
  dead_.assign(size(), 0);
  begin_table(size());
  for (std::uint32_t c = 0; c < size(); ++c) {
    if (!enter(c)) dead_[c] = 1;
  }
}

std::uint64_t JustInTime::expand(std::uint32_t c, std::uint32_t slot) {
  if (dead_[c] || has_bit(layout_.mask_of(at(c)), slot)) return 1;
  std::uint64_t tried = 1;
  for (const std::uint32_t i : relevant_) {
    if (has_bit(layout_.mask_of(at(c)), timeline_.operation(i).slot)) continue;
    try_step(c, i);
    ++tried;
  }
  for (const std::uint32_t k : relevant_classes_) {
    if (layout_.count_of(at(c), timeline_.of_class(k).place) >= now_.appeared(k)) continue;
    try_class(c, k);
    ++tried;
  }
  return tried;
}

void JustInTime::find_relevant(std::uint32_t returning) {
  std::vector<std::uint32_t> others, other_classes;
  for (const std::uint32_t i : now_.in_slot()) {
    if (i != kNobody && i != returning) others.push_back(i);
  }
  for (const std::uint32_t k : now_.class_at()) {
    if (k != kNobody) other_classes.push_back(k);
  }
  relevant_.clear();
  relevant_classes_.clear();
  if (!timeline_.operation(returning).observes_only) relevant_.push_back(returning);
  touched_ = {timeline_.operation(returning).id};
  for (std::size_t t = 0; t < touched_.size(); ++t) {
    std::erase_if(others, [&](std::uint32_t i) {
      if (!timeline_.touch(touched_[t], timeline_.operation(i).id)) return false;
      // One that only observes takes no step of its own, but may have to come between two that do.
      if (!timeline_.operation(i).observes_only) relevant_.push_back(i);
      touched_.push_back(timeline_.operation(i).id);
      return true;
    });
    std::erase_if(other_classes, [&](std::uint32_t k) {
      if (!timeline_.touch(touched_[t], timeline_.of_class(k).members[0])) return false;
      if (!waits(k) || somebody_reads(k)) relevant_classes_.push_back(k);
      // What waits for a reader brings nobody in who is not there for another reason.
      if (!hopeful_) touched_.push_back(timeline_.of_class(k).members[0]);
      return true;
    });
  }
}

bool JustInTime::waits(std::uint32_t of_class) const {
  return hopeful_ || timeline_.of_class(of_class).waits;
}

bool JustInTime::somebody_reads(std::uint32_t of_class) const {
  const auto reads = [&](std::uint32_t i) {
    return i != kNobody && timeline_.may_read(i, of_class);
  };
  const auto class_reads = [&](std::uint32_t k) {
    return k != kNobody && timeline_.class_may_read(k, of_class);
  };
  return std::ranges::any_of(now_.in_slot(), reads) ||
         std::ranges::any_of(now_.class_at(), class_reads);
}

bool JustInTime::copy_and_step(std::uint32_t c, OperationId id) {
  const std::size_t end = configurations_.size();
  configurations_.resize(end + width_);
  std::copy_n(at(c), width_, configurations_.data() + end);
  if (machine_.step(layout_.state_of(configurations_.data() + end), id)) return true;
  configurations_.resize(end);
  return false;
}

bool JustInTime::try_step(std::uint32_t c, std::uint32_t i) {
  const Timeline::Pending& op = timeline_.operation(i);
  if (!copy_and_step(c, op.id)) return false;
  set_bit(layout_.mask_of(at(size())), op.slot);
  return has_future(c) && keep_if_new(c, i);
}

bool JustInTime::try_class(std::uint32_t c, std::uint32_t k) {
  const Timeline::Class& of_class = timeline_.of_class(k);
  if (!copy_and_step(c, of_class.members[0])) return false;
  Word* fresh = at(size());
  if (std::equal(at(c), at(c) + layout_.state, fresh)) {  // it would have changed nothing
    configurations_.resize(configurations_.size() - width_);
    return false;
  }
  ++layout_.count_of(fresh, of_class.place);
  if (!has_future(c)) return false;
  if (!waits(k)) return keep_if_new(c, k | Lineage::kClassBit);

  const std::uint32_t child = append(c, k | Lineage::kClassBit);
  if (was_read(at(c), at(child), k)) {
    if (enter(child)) return true;
    pop();
    return false;
  }
  return try_readers(child, k);
}

bool JustInTime::try_readers(std::uint32_t c, std::uint32_t k) {
  dead_[c] = 1;
  bool any = false;
  for (const std::uint32_t i : now_.in_slot()) {
    if (i == kNobody || timeline_.operation(i).observes_only) continue;
    if (has_bit(layout_.mask_of(at(c)), timeline_.operation(i).slot) || !timeline_.may_read(i, k))
      continue;
    any = try_step(c, i) || any;
  }
  for (const std::uint32_t reader : now_.class_at()) {
    if (reader == kNobody || !timeline_.class_may_read(reader, k)) continue;
    if (layout_.count_of(at(c), timeline_.of_class(reader).place) >= now_.appeared(reader))
      continue;
    any = try_class(c, reader) || any;
  }
  if (!any) pop();
  return any;
}

bool JustInTime::was_read(const Word* before, const Word* after, std::uint32_t k) const {
  const Word* x = layout_.mask_of(before);
  const Word* y = layout_.mask_of(after);
  for (std::size_t w = 0; w < layout_.mask; ++w) {
    for (Word left = y[w] & ~x[w]; left != 0; left &= left - 1) {
      const std::uint32_t slot = static_cast<std::uint32_t>(w * 32) + std::countr_zero(left);
      if (timeline_.may_read(now_.in_slot()[slot], k)) return true;
    }
  }
  return false;
}

bool JustInTime::has_future(std::uint32_t c) {
  if (foresight_ == nullptr) return true;
  const Position stranded = foresight_->stranded(layout_, at(c), at(size()), event_, now_);
  if (stranded == Foresight::kNobodyStranded) return true;
  foreseen_ = std::max(foreseen_, stranded);
  configurations_.resize(configurations_.size() - width_);
  return false;
}

// Completes the configuration that copy_and_step left at the end.
std::uint32_t JustInTime::append(std::uint32_t c, std::uint32_t what) {
  const std::uint32_t fresh = size();
  lineage_of_.push_back(want_witness_ ? lineage_.add(lineage_of_[c], what) : Lineage::kRoot);
  next_in_group_.push_back(kNobody);
  dead_.push_back(0);
  absorb(fresh);
  return fresh;
}

bool JustInTime::keep_if_new(std::uint32_t c, std::uint32_t what) {
  if (enter(append(c, what))) return true;
  pop();
  return false;
}

void JustInTime::pop() {
  configurations_.resize(configurations_.size() - width_);
  lineage_of_.pop_back();
  next_in_group_.pop_back();
  dead_.pop_back();
}

void JustInTime::absorb(std::uint32_t c) {
  if (!now_.any_observer()) return;
  Word* mask = layout_.mask_of(at(c));
  for (std::size_t w = 0; w < layout_.mask; ++w) {
    for (Word left = now_.observers()[w] & ~mask[w]; left != 0; left &= left - 1) {
      const std::uint32_t slot = static_cast<std::uint32_t>(w * 32) + std::countr_zero(left);
      const std::uint32_t i = now_.in_slot()[slot];
      if (!machine_.step(layout_.state_of(at(c)), timeline_.operation(i).id)) continue;
      set_bit(mask, slot);
      if (want_witness_) lineage_of_[c] = lineage_.add(lineage_of_[c], i);
    }
  }
}

bool JustInTime::settle(std::uint32_t slot) {
  std::uint32_t kept = 0;
  for (std::uint32_t c = 0; c < size(); ++c) {
    if (dead_[c] || !has_bit(layout_.mask_of(at(c)), slot)) continue;
    if (kept != c) std::copy_n(at(c), width_, at(kept));
    lineage_of_[kept++] = lineage_of_[c];
  }
  if (kept == 0) return false;
  configurations_.resize(kept * width_);
  lineage_of_.resize(kept);
  clear_slot(slot);
  return true;
}

void JustInTime::clear_slot(std::uint32_t slot) {
  for (std::uint32_t c = 0; c < size(); ++c) clear_bit(layout_.mask_of(at(c)), slot);
}

void JustInTime::died(std::uint32_t k) {
  const std::uint32_t place = timeline_.of_class(k).place;
  bool any = false;
  for (std::uint32_t c = 0; c < size(); ++c) {
    any = any || layout_.count_of(at(c), place) != 0;
    layout_.count_of(at(c), place) = 0;
  }
  if (any && size() > 1) forget_duplicates();
}

bool JustInTime::is_fresh() const {
  return size() == 1 && std::equal(initial_.begin(), initial_.end(), at(0));
}

void JustInTime::forget_duplicates() {
  prepare();
  expanding_ = false;
  std::uint32_t kept = 0;
  for (std::uint32_t c = 0; c < size(); ++c) {
    if (dead_[c]) continue;
    if (kept != c) std::copy_n(at(c), width_, at(kept));
    lineage_of_[kept++] = lineage_of_[c];
  }
  configurations_.resize(kept * width_);
  lineage_of_.resize(kept);
}

// ---- groups: the same state, the same writers linearized

std::uint64_t JustInTime::group_hash(const Word* c) const {
  std::uint64_t hash = hash_words(c, layout_.state, 1);
  const Word* mask = layout_.mask_of(c);
  for (std::size_t w = 0; w < layout_.mask; ++w) {
    hash = mix64(hash ^ (mask[w] & ~now_.observers()[w]));
  }
  return hash;
}

bool JustInTime::same_group(const Word* a, const Word* b) const {
  if (!std::equal(a, a + layout_.state, b)) return false;
  const Word* x = layout_.mask_of(a);
  const Word* y = layout_.mask_of(b);
  for (std::size_t w = 0; w < layout_.mask; ++w) {
    if ((x[w] ^ y[w]) & ~now_.observers()[w]) return false;
  }
  return true;
}

bool JustInTime::dominates(const Word* a, const Word* b) const {
  const Word* x = layout_.mask_of(a);
  const Word* y = layout_.mask_of(b);
  for (std::size_t w = 0; w < layout_.mask; ++w) {
    if (y[w] & ~x[w]) return false;
  }
  if (hopeful_) {
    const auto used = [&](const Word* mask) {
      return std::accumulate(mask + layout_.mask, mask + layout_.mask + layout_.counts, Word{0});
    };
    return used(x) <= used(y);
  }
  for (std::size_t p = 0; p < layout_.counts; ++p) {
    if (x[layout_.mask + p] > y[layout_.mask + p]) return false;
  }
  return true;
}

bool JustInTime::enter(std::uint32_t c) {
  if ((groups_ + 1) * 2 > table_.size()) grow_table();
  const std::size_t mask = table_.size() - 1;
  std::size_t slot = group_hash(at(c)) & mask;
  while (table_[slot].epoch == epoch_ && !same_group(at(table_[slot].first), at(c))) {
    slot = (slot + 1) & mask;
  }
  Group& group = table_[slot];
  if (group.epoch != epoch_) {
    group = {epoch_, c};
    ++groups_;
    return true;
  }
  for (std::uint32_t other = group.first; other != kNobody; other = next_in_group_[other]) {
    if (!dead_[other] && dominates(at(other), at(c))) return false;
  }
  for (std::uint32_t other = group.first; other != kNobody; other = next_in_group_[other]) {
    if (!dead_[other] && dominates(at(c), at(other))) dead_[other] = 1;
  }
  // The first stays the first, so that the table never needs to look at a configuration that was
  // popped.
  next_in_group_[c] = next_in_group_[group.first];
  next_in_group_[group.first] = c;
  return true;
}

void JustInTime::begin_table(std::size_t expected) {
  if (table_.empty()) table_.resize(64);
  while (table_.size() < expected * 2) table_.resize(table_.size() * 2);
  ++epoch_;
  groups_ = 0;
  CHECK(epoch_ != 0);
}

void JustInTime::grow_table() {
  std::vector<Group> old(table_.size() * 2);
  old.swap(table_);
  const std::size_t mask = table_.size() - 1;
  for (const Group& group : old) {
    if (group.epoch != epoch_) continue;
    std::size_t slot = group_hash(at(group.first)) & mask;
    while (table_[slot].epoch == epoch_) slot = (slot + 1) & mask;
    table_[slot] = group;
  }
}

void JustInTime::append_witness(std::vector<OperationId>& out) const {
  CHECK(want_witness_ && size() > 0);
  append_operations(timeline_, lineage_.path(lineage_of_[0]), out);
}

std::uint64_t JustInTime::memory_bytes() const {
  return configurations_.capacity() * sizeof(Word) + lineage_of_.capacity() * 4 +
         next_in_group_.capacity() * 4 + dead_.capacity() + table_.capacity() * sizeof(Group) +
         lineage_.memory_bytes() + now_.memory_bytes();
}

}  // namespace raftkv::linearizability
