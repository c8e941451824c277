#include "src/storage/ordered_store.h"

#include <utility>

namespace raftkv::storage {

Status LevelDbStore::create(FailStopEnv& env, const std::string& path) {
  DatabaseOptions options = kOptions;
  options.create = true;
  const auto database = Database::open(env, "state", path, options);
  if (!database) return failure(database);
  return {};
}

Result<std::unique_ptr<LevelDbStore>> LevelDbStore::open(FailStopEnv& env,
                                                         const std::string& path) {
  auto database = Database::open(env, "state", path, kOptions);
  if (!database) return failure(database);
  return std::unique_ptr<LevelDbStore>(new LevelDbStore(std::move(*database)));
}

Result<std::optional<std::string>> LevelDbStore::get(std::string_view key) {
  return database_.get(key);
}

Status LevelDbStore::scan(std::string_view begin, std::string_view end,
                          const std::function<bool(std::string_view, std::string_view)>& visit) {
  const auto at = database_.iterate();
  for (at->Seek(slice_of(begin)); at->Valid(); at->Next()) {
    if (!end.empty() && view_of(at->key()) >= end) break;
    if (!visit(view_of(at->key()), view_of(at->value()))) break;
  }
  return database_.check(*at);
}

Status LevelDbStore::write(const kv::Batch& batch) {
  batch_.Clear();
  for (const auto& operation : batch.operations()) {
    kv::stored_key(operation.space, operation.key, key_);
    if (operation.bytes) {
      kv::stored_value(*operation.bytes, operation.index, value_);
      batch_.Put(key_, value_);
    } else {
      batch_.Delete(key_);
    }
  }
  return database_.write(batch_, /*sync=*/false);
}

Status LevelDbStore::sync() {
  batch_.Clear();
  return database_.write(batch_, /*sync=*/true);
}

}  // namespace raftkv::storage
