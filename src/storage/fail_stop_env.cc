#include "src/storage/fail_stop_env.h"

#include <fmt/format.h>

#include <charconv>
#include <memory>
#include <optional>
#include <string_view>

#include "src/base/bytes.h"
#include "src/storage/zero_ahead_file.h"

namespace raftkv::storage {
namespace {

std::string_view view_of(const leveldb::Slice& slice) {
  return {slice.data(), slice.size()};
}

// 7 of ".../000007.log"; nullopt if the file is no WAL (LevelDB's db/filename.cc).
std::optional<std::uint64_t> wal_number_of(std::string_view path) {
  std::string_view name = path.substr(path.rfind('/') + 1);
  if (!name.ends_with(".log")) return std::nullopt;
  name.remove_suffix(4);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return number;
}

// Follows what LevelDB's log::Writer appends (db/log_format.h, db/log_writer.cc): for each physical
// record a header of 7 bytes (u32 checksum, u16 length, u8 type), then the fragment; between blocks
// a trailer shorter than a header. A logical record is a batch: u64 sequence of its first write,
// u32 count (db/write_batch.cc).
class WalSequence {
 public:
  void append(std::string_view data) {
    if (expects_fragment_) {
      expects_fragment_ = false;
      const std::size_t room = kBatchHeaderSize - batch_header_.size();
      batch_header_.append(data.substr(0, room));
      if (room > 0 && batch_header_.size() == kBatchHeaderSize) {
        last_ = get_u64(batch_header_.data()) + get_u32(batch_header_.data() + 8) - 1;
      }
    } else if (data.size() == kRecordHeaderSize) {
      expects_fragment_ = true;
      if (data[6] == kFull || data[6] == kFirst) batch_header_.clear();
    }
  }
  // Of the last write of the last batch whose header has been appended; 0: none.
  [[nodiscard]] std::uint64_t last() const { return last_; }

 private:
  static constexpr std::size_t kRecordHeaderSize = 7;
  static constexpr std::size_t kBatchHeaderSize = 12;
  static constexpr char kFull = 1;
  static constexpr char kFirst = 2;

  bool expects_fragment_ = false;
  std::string batch_header_;
  std::uint64_t last_ = 0;
};

// Any file that is written.
class FailStopFile : public leveldb::WritableFile {
 public:
  FailStopFile(std::unique_ptr<leveldb::WritableFile> file, FailFlag& flag)
      : file_(std::move(file)), flag_(flag) {}

  leveldb::Status Append(const leveldb::Slice& data) override {
    return guarded([&] { return file_->Append(data); });
  }
  leveldb::Status Flush() override {
    return guarded([&] { return file_->Flush(); });
  }
  leveldb::Status Sync() override {
    return guarded([&] { return file_->Sync(); });
  }
  leveldb::Status Close() override {
    return guarded([&] { return file_->Close(); });
  }

 protected:
  FailFlag& flag() { return flag_; }

 private:
  template <typename Operation>
  leveldb::Status guarded(Operation operation) {
    if (flag_.tripped()) return flag_.status();
    const leveldb::Status status = operation();
    if (!status.ok()) flag_.trip(status);
    return status;
  }

  std::unique_ptr<leveldb::WritableFile> file_;
  FailFlag& flag_;
};

// A table, MANIFEST or CURRENT. LevelDB syncs a table when it is complete. Until then tens of
// megabytes of it may wait in memory, and a WAL that grows needs a commit of the file system's
// journal, which waits for all of them (ext4's data=ordered): every client would see it. So a table
// goes to the disk in steps. (RocksDB's bytes_per_sync.)
class TableFile final : public FailStopFile {
 public:
  using FailStopFile::FailStopFile;

  leveldb::Status Append(const leveldb::Slice& data) override {
    const leveldb::Status status = FailStopFile::Append(data);
    unsynced_ += data.size();
    return status.ok() && unsynced_ >= kTableSyncStep ? Sync() : status;
  }
  leveldb::Status Sync() override {
    unsynced_ = 0;
    return FailStopFile::Sync();
  }

 private:
  std::size_t unsynced_ = 0;
};

}  // namespace

// A write-ahead log.
class WalFile final : public FailStopFile {
 public:
  WalFile(std::unique_ptr<leveldb::WritableFile> file, FailStopEnv& env, bool zero_ahead)
      : FailStopFile(std::move(file), env.flag_), env_(env), zero_ahead_(zero_ahead) {}
  // LevelDB does not close what it has written to the end; a failure is in the flag.
  ~WalFile() override {
    const leveldb::Status synced = sync_if_needed();
    if (synced.ok() && zero_ahead_) (void)FailStopFile::Close();
  }

  leveldb::Status Append(const leveldb::Slice& data) override {
    unsynced_ = true;
    const leveldb::Status status = FailStopFile::Append(data);
    if (status.ok()) sequence_.append(view_of(data));
    return status;
  }
  leveldb::Status Sync() override {
    const leveldb::Status status = FailStopFile::Sync();
    if (!status.ok()) return status;
    unsynced_ = false;
    if (sequence_.last() > 0) env_.synced_sequence_.store(sequence_.last());
    return status;
  }
  leveldb::Status Close() override {
    const leveldb::Status status = sync_if_needed();
    if (!status.ok()) return status;
    return FailStopFile::Close();
  }

 private:
  leveldb::Status sync_if_needed() {
    return unsynced_ && !flag().tripped() ? WalFile::Sync() : leveldb::Status::OK();
  }

  FailStopEnv& env_;
  const bool zero_ahead_;
  WalSequence sequence_;
  bool unsynced_ = false;
};

void FailFlag::trip(const leveldb::Status& failure) {
  const std::lock_guard lock(mutex_);
  if (tripped_.load(std::memory_order_relaxed)) return;
  reason_ = failure.ToString();
  tripped_.store(true, std::memory_order_release);
}

leveldb::Status FailFlag::status() const {
  const std::lock_guard lock(mutex_);
  return leveldb::Status::IOError("stopped after an earlier failure", reason_);
}

Status FailFlag::check() const {
  if (!tripped()) return {};
  const std::lock_guard lock(mutex_);
  return failure(ErrorCode::fatal,
                 fmt::format("the disk failed ({}), and nothing is written any more", reason_));
}

FailStopEnv::FailStopEnv(Disk& disk, FailFlag& flag, WalUse wal_use)
    : EnvWrapper(&disk), disk_(disk), flag_(flag), wal_use_(wal_use) {}

leveldb::Status FailStopEnv::trip(const leveldb::Status& failure) {
  if (!failure.ok()) flag_.trip(failure);
  return failure;
}

leveldb::Status FailStopEnv::NewWritableFile(const std::string& name,
                                             leveldb::WritableFile** file) {
  return create(&leveldb::Env::NewWritableFile, name, file);
}

leveldb::Status FailStopEnv::NewAppendableFile(const std::string& name,
                                               leveldb::WritableFile** file) {
  return create(&leveldb::Env::NewAppendableFile, name, file);
}

// Null and ok: the disk has no such files.
leveldb::Status FailStopEnv::make_ahead(const std::string& name,
                                        std::unique_ptr<leveldb::WritableFile>& file) {
  std::unique_ptr<OverwritableFile> made;
  const leveldb::Status status = disk_.new_overwritable_file(name, made);
  if (status.ok() && made != nullptr) file = std::make_unique<ZeroAheadFile>(std::move(made));
  return status;
}

leveldb::Status FailStopEnv::create(Create how, const std::string& name,
                                    leveldb::WritableFile** file) {
  *file = nullptr;
  if (flag_.tripped()) return flag_.status();
  const bool is_new = !disk_.FileExists(name);
  const auto wal = wal_number_of(name);
  std::unique_ptr<leveldb::WritableFile> owned;
  leveldb::Status status;
  if (wal && wal_use_ == WalUse::syncs_always) status = make_ahead(name, owned);
  const bool zero_ahead = owned != nullptr;
  if (status.ok() && !zero_ahead) {
    leveldb::WritableFile* made = nullptr;
    status = (static_cast<leveldb::Env&>(disk_).*how)(name, &made);
    owned.reset(made);
  }
  if (status.ok() && is_new) status = disk_.sync_directory(directory_of(name));
  if (!status.ok()) return trip(status);
  if (wal) {
    wal_number_.store(*wal);
    *file = new WalFile(std::move(owned), *this, zero_ahead);
  } else {
    *file = new TableFile(std::move(owned), flag_);
  }
  return status;
}

leveldb::Status FailStopEnv::RenameFile(const std::string& from, const std::string& to) {
  if (flag_.tripped()) return flag_.status();
  const leveldb::Status status = disk_.RenameFile(from, to);
  if (!status.ok()) return trip(status);
  return trip(disk_.sync_directory(directory_of(to)));
}

leveldb::Status FailStopEnv::RemoveFile(const std::string& name) {
  if (flag_.tripped()) return flag_.status();
  return disk_.RemoveFile(name);
}

leveldb::Status FailStopEnv::CreateDir(const std::string& name) {
  if (flag_.tripped()) return flag_.status();
  const leveldb::Status status = disk_.CreateDir(name);
  if (!status.ok()) return status;
  return trip(disk_.sync_directory(directory_of(name)));
}

void FailStopEnv::Schedule(void (*function)(void*), void* argument) {
  if (!disk_.has_background_thread()) return disk_.Schedule(function, argument);
  struct Piece {
    FailStopEnv* env;
    void (*function)(void*);
    void* argument;
  };
  {
    const std::lock_guard lock(background_mutex_);
    ++background_work_;
  }
  disk_.StartThread(
      [](void* given) {
        const std::unique_ptr<Piece> piece(static_cast<Piece*>(given));
        piece->function(piece->argument);
        const std::lock_guard lock(piece->env->background_mutex_);
        --piece->env->background_work_;
        piece->env->background_done_.notify_all();
      },
      std::make_unique<Piece>(this, function, argument).release());
}

void FailStopEnv::await_background_work() {
  std::unique_lock lock(background_mutex_);
  background_done_.wait(lock, [this] { return background_work_ == 0; });
}

Status write_synced(FailStopEnv& env, const std::string& name, const std::string& bytes) {
  leveldb::WritableFile* opened = nullptr;
  auto status = env.NewWritableFile(name, &opened);
  const std::unique_ptr<leveldb::WritableFile> file(opened);
  if (status.ok()) status = file->Append(bytes);
  if (status.ok()) status = file->Sync();
  if (status.ok()) status = file->Close();
  if (!status.ok()) return failure(ErrorCode::fatal, "cannot write " + status.ToString());
  return {};
}

}  // namespace raftkv::storage
