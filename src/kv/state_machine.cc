#include "src/kv/state_machine.h"

#include <utility>

#include "src/base/check.h"

namespace raftkv::kv {
namespace {

Result<std::optional<Value>> value_of(std::optional<std::string> stored) {
  if (!stored) return std::nullopt;
  const auto parts = parse_stored_value(*stored);
  if (!parts) return failure(parts);
  Value value{.bytes = {}, .index = parts->index};
  const std::size_t size = parts->bytes.size();
  value.bytes = std::move(*stored);
  value.bytes.resize(size);
  return value;
}

}  // namespace

void StateMachine::begin(Batch& batch) {
  batch_ = &batch;
  touched_.clear();
  known_ = batch.operations().size();
}

Result<Outcome> StateMachine::execute(std::uint64_t index, std::string_view payload) {
  CHECK(batch_ != nullptr, "begin() first");
  const auto command = decode(payload);
  if (!command) return failure(command);
  if (const auto* set = std::get_if<SetView>(&*command)) {
    for (const auto& [key, value] : *set) batch_->put(kUserSpace, key, value, index);
    return Outcome{};
  }
  const std::string_view key = std::get<DeleteView>(*command).key;
  const auto there = exists(key);
  if (!there) return failure(there);
  if (*there) batch_->erase(kUserSpace, key);
  return Outcome{.deleted = *there};
}

Result<bool> StateMachine::exists(std::string_view key) {
  const auto& operations = batch_->operations();
  for (; known_ < operations.size(); ++known_) {
    touched_.insert_or_assign(operations[known_].key, operations[known_].bytes.has_value());
  }
  if (const auto found = touched_.find(key); found != touched_.end()) return found->second;
  stored_key(kUserSpace, key, stored_key_);
  const auto stored = store_.get(stored_key_);
  if (!stored) return failure(stored);
  return stored->has_value();
}

Result<std::optional<Value>> StateMachine::get(OrderedStore& store, std::string_view key) {
  std::string stored_key_bytes;
  stored_key(kUserSpace, key, stored_key_bytes);
  auto stored = store.get(stored_key_bytes);
  if (!stored) return failure(stored);
  return value_of(std::move(*stored));
}

std::optional<Result<std::optional<Value>>> StateMachine::get_at_once(OrderedStore& store,
                                                                      std::string_view key) {
  std::string stored_key_bytes;
  stored_key(kUserSpace, key, stored_key_bytes);
  std::optional<std::string> stored;
  if (!store.get_at_once(stored_key_bytes, stored)) return std::nullopt;
  return value_of(std::move(stored));
}

}  // namespace raftkv::kv
