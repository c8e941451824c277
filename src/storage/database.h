// A LevelDB database, opened the way this project needs it: on a FailStopEnv, with all checks on,
// and never made by accident.
#pragma once

#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/filter_policy.h>
#include <leveldb/write_batch.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "src/base/result.h"
#include "src/storage/fail_stop_env.h"

namespace raftkv::storage {

struct DatabaseOptions {
  bool create = false;  // make a new one; its directory must not exist. Else it must.
  std::size_t write_buffer = 4 << 20;  // bytes of a memtable; there may be two
  std::size_t block_cache = 1 << 20;   // bytes
  int open_files_max = 64;
  bool bloom_filter = false;  // 10 bits a key: for reads of keys that are not there
};

[[nodiscard]] inline leveldb::Slice slice_of(std::string_view view) {
  return {view.data(), view.size()};
}
[[nodiscard]] inline std::string_view view_of(const leveldb::Slice& slice) {
  return {slice.data(), slice.size()};
}

// Removes a database, or what there is of one, with its directory. No error if there is none. It
// must be closed.
[[nodiscard]] leveldb::Status remove_database(FailStopEnv& env, const std::string& path);

class Database {
 public:
  // `env` must outlive it. `name` stands in errors ("log"). Errors: corrupt (damaged, or a part is
  // missing), fatal.
  [[nodiscard]] static Result<Database> open(FailStopEnv& env, std::string_view name,
                                             const std::string& path,
                                             const DatabaseOptions& options);

  // Errors: fatal. A write that fails leaves the database unusable for further ones.
  [[nodiscard]] Status write(leveldb::WriteBatch& batch, bool sync);
  // Nullopt: not there. Errors: corrupt, fatal.
  [[nodiscard]] Result<std::optional<std::string>> get(std::string_view key);
  // A consistent view, with checksums verified. It pins files: keep it for a short time. Its blocks
  // do not go into the cache.
  [[nodiscard]] std::unique_ptr<leveldb::Iterator> iterate();
  // Errors of what an iterator met: corrupt, fatal.
  [[nodiscard]] Status check(const leveldb::Iterator& iterator) const;
  // About how many bytes the pairs with begin <= key < end have in tables.
  [[nodiscard]] std::uint64_t size(std::string_view begin, std::string_view end);
  // Writes the memtable into a table, and compacts all tables with keys from `begin` through `end`:
  // what was deleted there gives its room back. Waits until it is done: only where the disk has a
  // background thread. Any thread; others go on reading and writing meanwhile: it lets a flush that
  // is under way end first, for until then another switch of memtables would hold up all writes.
  void compact(std::string_view begin, std::string_view end);
  [[nodiscard]] FailStopEnv& env() const { return *env_; }

 private:
  Database(FailStopEnv& env, std::string_view name)
      : env_(&env), name_(name), db_(nullptr, Close{&env}) {}

  struct Close {
    FailStopEnv* env;
    void operator()(leveldb::DB* db) const;
  };

  FailStopEnv* env_;
  std::string name_;
  // The database uses the others until it is closed.
  std::unique_ptr<leveldb::Logger> info_log_;
  std::unique_ptr<leveldb::Cache> cache_;
  std::unique_ptr<const leveldb::FilterPolicy> filter_;
  std::unique_ptr<leveldb::DB, Close> db_;
};

}  // namespace raftkv::storage
