#include "src/storage/state_directories.h"

#include <fmt/format.h>

#include <atomic>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "src/base/check.h"
#include "src/storage/database.h"
#include "src/storage/wal_scan.h"

namespace raftkv::storage {
namespace {

constexpr std::string_view kPrefix = "state-";

}  // namespace

Result<std::string> next_state_directory(std::string_view name) {
  std::uint64_t number = 0;
  const char* const end = name.data() + name.size();
  if (name.starts_with(kPrefix)) {
    const auto [stop, error] = std::from_chars(name.data() + kPrefix.size(), end, number);
    if (error == std::errc() && stop == end && number > 0) {
      return fmt::format("{}{}", kPrefix, number + 1);
    }
  }
  return failure(ErrorCode::corrupt, fmt::format("state: '{}' is no name of a state", name));
}

// One database and where it lives.
class StateDirectories::Directory {
 public:
  Directory(Disk& disk, FailFlag& flag, const std::string& parent, std::string name)
      : env_(disk, flag), name_(std::move(name)), path_(fmt::format("{}/{}", parent, name_)) {}
  ~Directory() {
    store_.reset();
    if (doomed_) (void)remove_database(env_, path_);  // what stays, the next start removes
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  [[nodiscard]] Status create() {
    if (const auto status = remove_database(env_, path_); !status.ok()) {
      return failure(ErrorCode::fatal, fmt::format("state: cannot remove what is left of {}: {}",
                                                   name_, status.ToString()));
    }
    if (Status made = LevelDbStore::create(env_, path_); !made) return made;
    return open();
  }
  // It is not synced at each write: whatever its WALs lost at their end, the log redoes.
  [[nodiscard]] Status open() {
    const auto scan = scan_database(env_, "state", path_);
    if (!scan) return failure(scan);
    if (Status cut = cut_to_scan(env_, path_, *scan); !cut) return cut;
    auto store = LevelDbStore::open(env_, path_);
    if (!store) return failure(store);
    store_ = std::make_unique<WriteBackStore>(std::move(*store));
    return {};
  }

  [[nodiscard]] WriteBackStore& store() { return *store_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  // It goes when nobody uses it any more.
  void doom() { doomed_ = true; }
  void keep() { doomed_ = false; }

 private:
  FailStopEnv env_;
  std::string name_;
  std::string path_;
  std::unique_ptr<WriteBackStore> store_;
  std::atomic<bool> doomed_ = false;
};

// A view that keeps its directory.
class StateDirectories::DirectoryView final : public kv::View {
 public:
  explicit DirectoryView(std::shared_ptr<Directory> directory)
      : directory_(std::move(directory)), view_(directory_->store().view()) {}

  [[nodiscard]] bool valid() const override { return view_->valid(); }
  [[nodiscard]] std::string_view key() const override { return view_->key(); }
  [[nodiscard]] std::string_view value() const override { return view_->value(); }
  void next() override { view_->next(); }
  void seek(std::string_view key) override { view_->seek(key); }
  [[nodiscard]] Status status() const override { return view_->status(); }

 private:
  std::shared_ptr<Directory> directory_;
  std::unique_ptr<kv::View> view_;  // last: it goes first
};

StateDirectories::StateDirectories(Disk& disk, FailFlag& flag, std::string path)
    : disk_(disk), flag_(flag), path_(std::move(path)) {}

StateDirectories::~StateDirectories() = default;

Result<std::unique_ptr<StateDirectories>> StateDirectories::open(Disk& disk, FailFlag& flag,
                                                                 const std::string& path,
                                                                 const std::string& name) {
  if (const auto named = next_state_directory(name); !named) return failure(named);
  std::unique_ptr<StateDirectories> all(new StateDirectories(disk, flag, path));
  all->current_ = std::make_shared<Directory>(disk, flag, path, name);
  if (Status opened = all->current_->open(); !opened) return failure(opened);
  return all;
}

Result<std::unique_ptr<StateDirectories>> StateDirectories::create(Disk& disk, FailFlag& flag,
                                                                   const std::string& path,
                                                                   const std::string& name) {
  std::unique_ptr<StateDirectories> all(new StateDirectories(disk, flag, path));
  all->current_ = std::make_shared<Directory>(disk, flag, path, name);
  if (Status made = all->current_->create(); !made) return failure(made);
  return all;
}

std::shared_ptr<StateDirectories::Directory> StateDirectories::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

const std::string& StateDirectories::name() const {
  return current_->name();
}

void StateDirectories::remove_others() {
  std::vector<std::string> names;
  if (!disk_.GetChildren(path_, &names).ok()) return;
  FailStopEnv env(disk_, flag_);
  for (const std::string& name : names) {
    if (!name.starts_with(kPrefix) || name == current_->name()) continue;
    (void)remove_database(env, fmt::format("{}/{}", path_, name));
  }
}

Result<std::optional<std::string>> StateDirectories::get(std::string_view key) {
  return current()->store().get(key);
}

bool StateDirectories::get_at_once(std::string_view key, std::optional<std::string>& value) {
  return current()->store().get_at_once(key, value);
}

std::unique_ptr<kv::View> StateDirectories::view() {
  return std::make_unique<DirectoryView>(current());
}

Status StateDirectories::write(const kv::Batch& batch) {
  return current_->store().write(batch);
}

bool StateDirectories::writes_at_once() {
  return current()->store().writes_at_once();
}

bool StateDirectories::wants_sync() {
  return current()->store().wants_sync();
}

Status StateDirectories::sync() {
  return current()->store().sync();
}

Result<kv::OrderedStore*> StateDirectories::begin_incoming() {
  if (Status discarded = discard_incoming(); !discarded) return failure(discarded);
  auto name = next_state_directory(current_->name());
  if (!name) return failure(name);
  incoming_ = std::make_shared<Directory>(disk_, flag_, path_, std::move(*name));
  incoming_->doom();
  if (Status made = incoming_->create(); !made) return failure(made);
  return &incoming_->store().under();
}

Status StateDirectories::discard_incoming() {
  incoming_.reset();
  return flag_.check();
}

Status StateDirectories::adopt_incoming() {
  CHECK(incoming_ != nullptr, "nothing has been received");
  incoming_->keep();
  std::shared_ptr<Directory> old = std::move(incoming_);
  incoming_.reset();
  {
    const std::lock_guard lock(mutex_);
    current_.swap(old);
  }
  old->doom();
  return flag_.check();
}

}  // namespace raftkv::storage
