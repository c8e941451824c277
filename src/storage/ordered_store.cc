#include "src/storage/ordered_store.h"

#include <utility>

namespace raftkv::storage {
namespace {

// An iterator: it pins files and memtables, and nothing else. Never a registered leveldb::Snapshot:
// held over compactions it can bring obsolete values back in 1.23.
class LevelDbView final : public kv::View {
 public:
  explicit LevelDbView(Database& database) : database_(database), at_(database.iterate()) {
    at_->SeekToFirst();
  }

  [[nodiscard]] bool valid() const override { return at_->Valid(); }
  [[nodiscard]] std::string_view key() const override { return storage::view_of(at_->key()); }
  [[nodiscard]] std::string_view value() const override { return storage::view_of(at_->value()); }
  void next() override { at_->Next(); }
  void seek(std::string_view key) override { at_->Seek(slice_of(key)); }
  [[nodiscard]] Status status() const override { return database_.check(*at_); }

 private:
  const Database& database_;
  std::unique_ptr<leveldb::Iterator> at_;
};

}  // namespace

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

std::unique_ptr<kv::View> LevelDbStore::view() {
  return std::make_unique<LevelDbView>(database_);
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

Status LevelDbStore::write_stored(std::span<const StoredChange> changes, bool sync) {
  leveldb::WriteBatch batch;
  for (const auto& [key, value] : changes) {
    if (value) {
      batch.Put(slice_of(key), slice_of(*value));
    } else {
      batch.Delete(slice_of(key));
    }
  }
  return database_.write(batch, sync);
}

Status LevelDbStore::sync() {
  batch_.Clear();
  return database_.write(batch_, /*sync=*/true);
}

}  // namespace raftkv::storage
