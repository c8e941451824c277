#include "src/storage/inspection.h"

#include <fmt/format.h>
#include <leveldb/table.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "src/storage/overlay_disk.h"

namespace raftkv::storage {
namespace {

constexpr std::size_t kReadBytes = 1 << 20;

std::uint64_t bytes_in(Disk& disk, const std::string& directory) {
  std::vector<std::string> names;
  (void)disk.GetChildren(directory, &names);
  std::uint64_t sum = 0;
  for (const std::string& name : names) {
    std::uint64_t size = 0;
    const bool is_file = name != "." && name != "..";
    if (is_file && disk.GetFileSize(fmt::format("{}/{}", directory, name), &size).ok()) sum += size;
  }
  return sum;
}

DatabaseInspection look_at(Disk& disk, const std::string& path, const std::string& directory) {
  DatabaseInspection database;
  database.directory = directory;
  const std::string whole_path = fmt::format("{}/{}", path, directory);
  auto scan = scan_database(disk, directory, whole_path);
  if (scan) {
    database.scan = std::move(*scan);
  } else {
    database.trouble = scan.error().message;
  }
  database.bytes = bytes_in(disk, whole_path);
  return database;
}

// The directory on a disk that forgets, and what its files say before anything is opened.
class Look {
 public:
  Look(Disk& disk, std::string path) : disk_(disk), path_(std::move(path)) {}

  Status look() {
    auto directory = DataDirectory::take(disk_, path_, /*make=*/false);
    if (!directory) return failure(directory);
    directory_ = std::move(*directory);
    result_.stage = directory_->stage();
    if (result_.stage != DataDirectory::Stage::node) {
      result_.refusal = directory_->open().error().message;
      return {};
    }
    look_at_promise();
    result_.log = look_at(disk_, path_, "log");
    const std::string state = result_.promise ? result_.promise->state_directory : "state-1";
    result_.state = look_at(disk_, path_, state);
    open();
    return {};
  }

  Inspection& result() { return result_; }
  std::optional<OpenedNode>& node() { return node_; }
  Disk& disk() { return disk_; }

 private:
  void look_at_promise() {
    FailFlag flag;
    FailStopEnv env(disk_, flag);
    const auto file = PromiseFile::open(env, path_);
    if (!file) {
      result_.promise_trouble = file.error().message;
      return;
    }
    result_.promise = file->get();
    if (file->was_torn()) result_.promise_trouble = "one of its two files is missing or not whole";
  }

  void open() {
    auto opened = directory_->open();
    if (!opened) {
      result_.refusal = opened.error().message;
      return;
    }
    result_.node = NodeInspection{.first = opened->log_store->first(),
                                  .recovered = opened->recovered,
                                  .state = opened->state,
                                  .loss = opened->loss,
                                  .state_damage = opened->state_damage};
    node_ = std::move(*opened);
  }

  OverlayDisk disk_;
  std::string path_;
  std::unique_ptr<DataDirectory> directory_;
  std::optional<OpenedNode> node_;  // on directory_
  Inspection result_;
};

// Reads all blocks of a table. A phrase if one does not hold.
std::optional<std::string> check_table(Disk& disk, const std::string& path, std::uint64_t size) {
  leveldb::RandomAccessFile* opened = nullptr;
  auto status = disk.NewRandomAccessFile(path, &opened);
  const std::unique_ptr<leveldb::RandomAccessFile> file(opened);
  leveldb::Options options;
  options.paranoid_checks = true;
  leveldb::Table* made = nullptr;
  if (status.ok()) status = leveldb::Table::Open(options, file.get(), size, &made);
  const std::unique_ptr<leveldb::Table> table(made);
  if (!status.ok()) return status.ToString();
  leveldb::ReadOptions verify;
  verify.verify_checksums = true;
  verify.fill_cache = false;
  const std::unique_ptr<leveldb::Iterator> at(table->NewIterator(verify));
  for (at->SeekToFirst(); at->Valid(); at->Next()) {
  }
  if (!at->status().ok()) return at->status().ToString();
  return std::nullopt;
}

class Checker {
 public:
  Checker(Look& look, std::string path) : look_(look), path_(std::move(path)) {}

  Check run() && {
    Inspection& found = look_.result();
    if (found.stage == DataDirectory::Stage::node) {
      if (!found.promise_trouble.empty()) damage("promise file: {}", found.promise_trouble);
      if (found.promise && found.promise->lost) {
        leftover("a promise was lost earlier, and the others have not repaired it yet");
      }
      check_files(found.log);
      check_files(found.state);
      if (found.log.scan && found.promise) {
        const auto loss = lost_since(*found.log.scan, found.promise->through.sequence);
        if (loss) damage("{}", *loss);
      }
      if (found.node && !found.node->loss.empty()) damage("{}", found.node->loss);
      if (found.node && !found.node->state_damage.empty()) damage("{}", found.node->state_damage);
      if (!found.refusal.empty()) damage("{}", found.refusal);
      if (look_.node()) read_all(*look_.node());
    }
    out_.inspection = std::move(found);
    return std::move(out_);
  }

 private:
  template <typename... Args>
  void damage(fmt::format_string<Args...> format, Args&&... args) {
    std::string what = fmt::format(format, std::forward<Args>(args)...);
    const auto same = [&](const std::string& known) { return what.contains(known); };
    if (std::ranges::none_of(out_.damages, same)) out_.damages.push_back(std::move(what));
  }
  void leftover(std::string what) { out_.leftovers.push_back(std::move(what)); }

  void check_files(const DatabaseInspection& database) {
    const std::string& name = database.directory;
    if (!database.scan) return damage("{}", database.trouble);
    const DatabaseScan& scan = *database.scan;
    if (scan.manifest.torn()) leftover(fmt::format("{}: {} ends torn", name, scan.manifest.file));
    if (scan.broken) {
      leftover(fmt::format("{}: write-ahead log {} ends at byte {} ({})", name,
                           scan.wals[scan.broken->file].number, scan.broken->offset,
                           scan.broken->why));
    }
    for (const auto& [number, size] : scan.manifest.tables) {
      const std::string table = fmt::format("{}/{}/{:06}.ldb", path_, name, number);
      if (const auto why = check_table(look_.disk(), table, size)) {
        damage("{}: table {} is damaged: {}", name, number, *why);
      }
      ++out_.tables;
    }
  }

  void read_all(OpenedNode& node) {
    LevelDbLogStore& log = *node.log_store;
    for (raft::Index from = log.first(); from <= log.last();) {
      const auto entries = log.read(from, log.last(), kReadBytes);
      if (!entries) {
        damage("entry {} or one of those behind it: {}", from.value, entries.error().message);
        break;
      }
      out_.entries += entries->size();
      from = entries->back().index().next();
    }
    const std::string begin(1, kv::kUserSpace);
    const std::string end(1, kv::kUserSpace + 1);
    const Status scanned = node.states->scan(begin, end, [&](std::string_view, std::string_view v) {
      if (v.size() < kv::kStampSize) damage("state: a value has no index behind it");
      ++out_.keys;
      return true;
    });
    if (!scanned) damage("{}", scanned.error().message);
  }

  Look& look_;
  std::string path_;
  Check out_;
};

}  // namespace

Result<Inspection> inspect(Disk& disk, const std::string& path) {
  Look look(disk, path);
  if (Status looked = look.look(); !looked) return failure(looked);
  return std::move(look.result());
}

Result<Check> check(Disk& disk, const std::string& path) {
  Look look(disk, path);
  if (Status looked = look.look(); !looked) return failure(looked);
  return Checker(look, path).run();
}

}  // namespace raftkv::storage
