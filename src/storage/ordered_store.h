// An ordered store on LevelDB. A write is not synced; sync() makes all before it durable.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "src/base/result.h"
#include "src/kv/store.h"
#include "src/storage/database.h"

namespace raftkv::storage {

class LevelDbStore final : public kv::OrderedStore {
 public:
  static constexpr DatabaseOptions kOptions = {.create = false,
                                               .write_buffer = 4 << 20,
                                               .block_cache = 32 << 20,
                                               .open_files_max = 500,
                                               .bloom_filter = true};

  // Makes an empty one in a directory that holds none.
  [[nodiscard]] static Status create(FailStopEnv& env, const std::string& path);
  // Errors: corrupt, fatal.
  [[nodiscard]] static Result<std::unique_ptr<LevelDbStore>> open(FailStopEnv& env,
                                                                  const std::string& path);

  // Any thread.
  [[nodiscard]] Result<std::optional<std::string>> get(std::string_view key) override;
  [[nodiscard]] std::unique_ptr<kv::View> view() override;
  // One thread. Errors: fatal.
  [[nodiscard]] Status write(const kv::Batch& batch) override;
  [[nodiscard]] Status sync() override;
  // Stored keys and values; nullopt: erased. All of them or none, and nothing of the batch is kept
  // in memory. Errors: fatal.
  using StoredChange = std::pair<std::string_view, std::optional<std::string_view>>;
  [[nodiscard]] Status write_stored(std::span<const StoredChange> changes, bool sync);

  // Fatal if the disk has failed. Any thread.
  [[nodiscard]] Status check() const { return database_.env().flag().check(); }

 private:
  explicit LevelDbStore(Database database) : database_(std::move(database)) {}

  Database database_;
  leveldb::WriteBatch batch_;  // these three are kept for their memory
  std::string key_;
  std::string value_;
};

}  // namespace raftkv::storage
