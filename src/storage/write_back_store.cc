#include "src/storage/write_back_store.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace raftkv::storage {
namespace {

using Change = std::pair<std::string, std::optional<std::string>>;

}  // namespace

// What was in memory over what was under it.
class WriteBackStore::MergedView final : public kv::View {
 public:
  // The changes: ascending, each key once.
  MergedView(std::vector<Change> changes, std::unique_ptr<kv::View> under)
      : changes_(std::move(changes)), under_(std::move(under)) {
    settle();
  }

  [[nodiscard]] bool valid() const override {
    return status() && (at_ < changes_.size() || under_->valid());
  }
  [[nodiscard]] std::string_view key() const override {
    return changed() ? std::string_view(changes_[at_].first) : under_->key();
  }
  [[nodiscard]] std::string_view value() const override {
    return changed() ? std::string_view(*changes_[at_].second) : under_->value();
  }
  void next() override {
    if (changed()) {
      ++at_;
    } else {
      under_->next();
    }
    settle();
  }
  void seek(std::string_view key) override {
    at_ = static_cast<std::size_t>(std::ranges::lower_bound(changes_, key, {}, &Change::first) -
                                   changes_.begin());
    under_->seek(key);
    settle();
  }
  [[nodiscard]] Status status() const override { return under_->status(); }

 private:
  [[nodiscard]] bool changed() const {
    return at_ < changes_.size() && (!under_->valid() || changes_[at_].first < under_->key());
  }
  // Past the pairs that changes replace, and past erasures: then the two stand on different keys,
  // and the lower one is there.
  void settle() {
    while (at_ < changes_.size()) {
      if (under_->valid()) {
        if (under_->key() < changes_[at_].first) return;
        if (under_->key() == changes_[at_].first) under_->next();
      }
      if (changes_[at_].second) return;
      ++at_;
    }
  }

  const std::vector<Change> changes_;
  std::size_t at_ = 0;
  std::unique_ptr<kv::View> under_;
};

const std::optional<std::string>* WriteBackStore::find(std::string_view key) const {
  for (const Changes* changes : {&latest_, &leaving_, &left_}) {
    if (const auto found = changes->find(key); found != changes->end()) return &found->second;
  }
  return read_.find(key);
}

bool WriteBackStore::get_at_once(std::string_view key, std::optional<std::string>& value) {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  const auto* const found = lock.owns_lock() ? find(key) : nullptr;
  if (found == nullptr || (*found && (*found)->size() > kBytesAtOnce)) return false;
  value = *found;
  return true;
}

Result<std::optional<std::string>> WriteBackStore::get(std::string_view key) {
  std::uint64_t batches = 0;
  {
    const std::lock_guard lock(mutex_);
    if (const auto* const found = find(key)) return *found;
    batches = batches_;
  }
  // What leaves memory from now on is not of this key, or was written after this call began.
  auto value = under_->get(key);
  if (!value || (*value && (*value)->size() > kBytesAtOnce)) return value;
  const std::lock_guard lock(mutex_);
  if (batches == batches_) read_.put(key, *value);
  return value;
}

std::unique_ptr<kv::View> WriteBackStore::view() {
  std::vector<Change> changes;
  std::unique_ptr<kv::View> under;
  {
    const std::lock_guard lock(mutex_);
    changes.reserve(latest_.size() + leaving_.size());
    changes.assign(latest_.begin(), latest_.end());
    for (const auto& change : leaving_) {
      if (!latest_.contains(change.first)) changes.emplace_back(change);
    }
    // Whether LevelDB has those that are leaving already: the same either way.
    under = under_->view();
  }
  std::ranges::sort(changes, {}, &Change::first);
  return std::make_unique<MergedView>(std::move(changes), std::move(under));
}

Status WriteBackStore::write(const kv::Batch& batch) {
  bool full = false;
  {
    const std::lock_guard lock(mutex_);
    ++batches_;
    for (const auto& operation : batch.operations()) note(operation);
    full = latest_bytes_ > bytes_max_;
  }
  return full ? hand_on(/*sync=*/false) : under_->check();
}

bool WriteBackStore::writes_at_once() {
  // Held while a view copies what is in memory: that may take milliseconds.
  const std::unique_lock lock(mutex_, std::try_to_lock);
  return lock.owns_lock() && latest_bytes_ <= bytes_max_ / 2;
}

bool WriteBackStore::wants_sync() {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  return lock.owns_lock() && latest_bytes_ > bytes_max_ / 2;
}

void WriteBackStore::note(const kv::Batch::Operation& operation) {
  kv::stored_key(operation.space, operation.key, key_);
  if (!read_.empty()) read_.erase(key_);
  auto found = latest_.find(std::string_view(key_));
  if (found == latest_.end()) {
    found = latest_.try_emplace(key_).first;
    latest_bytes_ += memory_of(key_, std::nullopt);
  } else if (found->second) {
    latest_bytes_ -= found->second->size();
  }
  std::optional<std::string>& value = found->second;
  if (!operation.bytes) {
    value.reset();
    return;
  }
  if (!value) value.emplace();
  kv::stored_value(*operation.bytes, operation.index, *value);
  latest_bytes_ += value->size();
}

Status WriteBackStore::sync() {
  return hand_on(/*sync=*/true);
}

Status WriteBackStore::hand_on(bool sync) {
  const std::lock_guard only_one(handing_on_);
  {
    const std::lock_guard lock(mutex_);
    if (!leaving_.empty()) {
      return failure(ErrorCode::fatal, "state: nothing is written after a write that has failed");
    }
    leaving_.swap(latest_);
    latest_bytes_ = 0;
  }
  // In order, for LevelDB's memtable is a list: neighbours are found next to each other.
  std::vector<LevelDbStore::StoredChange> changes;
  changes.reserve(leaving_.size());
  for (const auto& [key, value] : leaving_) changes.emplace_back(key, value);
  std::ranges::sort(changes, {}, &LevelDbStore::StoredChange::first);
  // An error is fatal: they stay where readers find them.
  if (Status written = under_->write_stored(changes, sync); !written) return written;
  Changes gone;  // and is freed after the lock
  const std::lock_guard lock(mutex_);
  gone.swap(left_);
  left_.swap(leaving_);
  return {};
}

}  // namespace raftkv::storage
