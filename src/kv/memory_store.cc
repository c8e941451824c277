#include <utility>

#include "src/base/check.h"
#include "src/kv/store.h"

namespace raftkv::kv {
namespace {

class MemoryView final : public View {
 public:
  explicit MemoryView(MemoryStore::Contents contents)
      : contents_(std::move(contents)), at_(contents_.begin()) {}

  [[nodiscard]] bool valid() const override { return at_ != contents_.end(); }
  [[nodiscard]] std::string_view key() const override { return at_->first; }
  [[nodiscard]] std::string_view value() const override { return at_->second; }
  void next() override { ++at_; }
  void seek(std::string_view key) override { at_ = contents_.lower_bound(key); }
  [[nodiscard]] Status status() const override { return {}; }

 private:
  const MemoryStore::Contents contents_;
  MemoryStore::Contents::const_iterator at_;
};

}  // namespace

Result<std::optional<std::string>> MemoryStore::get(std::string_view key) {
  const auto found = contents_.find(key);
  if (found == contents_.end()) return std::nullopt;
  return found->second;
}

Status MemoryStore::write(const Batch& batch) {
  std::string key;
  for (const auto& operation : batch.operations()) {
    stored_key(operation.space, operation.key, key);
    if (operation.bytes) {
      stored_value(*operation.bytes, operation.index, contents_[key]);
    } else {
      contents_.erase(key);
    }
  }
  return {};
}

std::unique_ptr<View> MemoryStore::view() {
  return view_of(contents_);
}

Result<OrderedStore*> MemoryStore::begin_incoming() {
  incoming_ = std::make_unique<MemoryStore>();
  return incoming_.get();
}

Status MemoryStore::discard_incoming() {
  incoming_.reset();
  return {};
}

Status MemoryStore::adopt_incoming() {
  CHECK(incoming_ != nullptr, "nothing has been received");
  contents_ = std::move(incoming_->contents_);
  incoming_.reset();
  return {};
}

std::unique_ptr<View> view_of(MemoryStore::Contents contents) {
  return std::make_unique<MemoryView>(std::move(contents));
}

}  // namespace raftkv::kv
