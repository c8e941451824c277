#include "src/storage/database.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "src/storage/status.h"

namespace raftkv::storage {
namespace {

// LevelDB's own chronicle tells nothing that our errors do not, and would be a file more.
class Silence final : public leveldb::Logger {
 public:
  void Logv(const char* /*format*/, std::va_list /*arguments*/) override {}
};

}  // namespace

leveldb::Status remove_database(FailStopEnv& env, const std::string& path) {
  if (!env.FileExists(path)) return leveldb::Status::OK();
  std::vector<std::string> names;
  auto status = env.GetChildren(path, &names);
  for (const std::string& name : names) {
    if (name == "." || name == ".." || !status.ok()) continue;
    status = env.RemoveFile(fmt::format("{}/{}", path, name));
  }
  return status.ok() ? env.RemoveDir(path) : status;
}

Result<Database> Database::open(FailStopEnv& env, std::string_view name, const std::string& path,
                                const DatabaseOptions& options) {
  Database database(env, name);
  database.info_log_ = std::make_unique<Silence>();
  database.cache_.reset(leveldb::NewLRUCache(options.block_cache));
  if (options.bloom_filter) database.filter_.reset(leveldb::NewBloomFilterPolicy(10));

  leveldb::Options how;
  how.env = &env;
  how.info_log = database.info_log_.get();
  how.create_if_missing = options.create;
  how.error_if_exists = options.create;
  how.paranoid_checks = true;
  how.reuse_logs = false;
  how.compression = leveldb::kNoCompression;
  how.write_buffer_size = std::min(options.write_buffer, env.disk().write_buffer_max());
  how.max_open_files = options.open_files_max;
  how.block_cache = database.cache_.get();
  how.filter_policy = database.filter_.get();
  if (options.create) {
    // LevelDB would do so too, and would not say if it fails.
    if (const auto status = env.CreateDir(path); !status.ok()) {
      return failure(ErrorCode::fatal, fmt::format("{}: cannot make: {}", name, status.ToString()));
    }
  }
  leveldb::DB* opened = nullptr;
  if (const auto status = leveldb::DB::Open(how, path, &opened); !status.ok()) {
    return failure_of(status, fmt::format("{}: cannot open", name));
  }
  database.db_.reset(opened);
  if (Status whole = env.flag().check(); !whole) return failure(whole);
  return database;
}

void Database::Close::operator()(leveldb::DB* db) const {
  env->disk().run_background_work();
  delete db;
}

Status Database::write(leveldb::WriteBatch& batch, bool sync) {
  if (Status whole = env_->flag().check(); !whole) return whole;
  leveldb::WriteOptions how;
  how.sync = sync;
  const auto status = db_->Write(how, &batch);
  // A failure that LevelDB does not report (a WAL closed unsynced) is in the flag, and so is the
  // first one.
  if (Status whole = env_->flag().check(); !whole) return whole;
  if (!status.ok()) {
    return failure(ErrorCode::fatal, fmt::format("{}: cannot write: {}", name_, status.ToString()));
  }
  return {};
}

Result<std::optional<std::string>> Database::get(std::string_view key) {
  leveldb::ReadOptions how;
  how.verify_checksums = true;
  std::string value;
  const auto status = db_->Get(how, slice_of(key), &value);
  if (status.IsNotFound()) return std::nullopt;
  if (!status.ok()) return failure_of(status, fmt::format("{}: cannot read", name_));
  return value;
}

std::unique_ptr<leveldb::Iterator> Database::iterate() {
  leveldb::ReadOptions how;
  how.verify_checksums = true;
  how.fill_cache = false;
  return std::unique_ptr<leveldb::Iterator>(db_->NewIterator(how));
}

void Database::compact(std::string_view begin, std::string_view end) {
  const leveldb::Slice first = slice_of(begin);
  const leveldb::Slice last = slice_of(end);
  env_->await_background_work();
  db_->CompactRange(&first, &last);
}

std::uint64_t Database::size(std::string_view begin, std::string_view end) {
  const leveldb::Range range(slice_of(begin), slice_of(end));
  std::uint64_t bytes = 0;
  db_->GetApproximateSizes(&range, 1, &bytes);
  return bytes;
}

Status Database::check(const leveldb::Iterator& iterator) const {
  const auto status = iterator.status();
  if (!status.ok()) return failure_of(status, fmt::format("{}: cannot read", name_));
  return {};
}

}  // namespace raftkv::storage
