#include "src/storage/wal_scan.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/base/bytes.h"
#include "src/storage/log_format.h"
#include "src/storage/status.h"

namespace raftkv::storage {
namespace {

constexpr std::size_t kBatchHeaderSize = 12;
constexpr std::string_view kWal = ".log";
constexpr std::string_view kTable = ".ldb";
constexpr std::string_view kUnfinished = ".dbtmp";  // LevelDB removes such files

std::unexpected<Error> corrupt(std::string_view name, std::string_view what) {
  return failure(ErrorCode::corrupt, fmt::format("{}: {}", name, what));
}

// LevelDB would find a missing table at the open, and a short one when it is read.
Status check_tables(leveldb::Env& env, std::string_view name, const std::string& database,
                    const Manifest& manifest) {
  for (const auto& [number, size] : manifest.tables) {
    const std::string path = numbered_path(database, number, kTable);
    if (!env.FileExists(path)) return corrupt(name, fmt::format("table {} is missing", number));
    std::uint64_t found = 0;
    if (const auto status = env.GetFileSize(path, &found); !status.ok()) {
      return failure_of(status, fmt::format("{}: cannot look at table {}", name, number));
    }
    if (found != size) {
      return corrupt(name, fmt::format("table {} has {} bytes instead of {}", number, found, size));
    }
  }
  return {};
}

// Reads the stream file by file, until it breaks.
class Stream {
 public:
  explicit Stream(DatabaseScan& scan) : scan_(scan) {
    scan_.last_sequence = scan_.manifest.last_sequence;
  }

  // The next file's bytes.
  void read(std::uint64_t number, std::string_view bytes) {
    scan_.wals.push_back({.number = number, .size = bytes.size(), .batches = 0});
    if (scan_.broken) {
      scan_.broken->passed = scan_.broken->passed || !bytes.empty();
      return;
    }
    LogFormatReader reader(bytes);
    std::uint64_t whole = 0;
    for (std::string record; reader.next(record); whole = reader.whole()) {
      if (const std::string_view why = take(record); !why.empty()) {
        return break_at(whole, why, /*passed=*/true);
      }
      ++scan_.wals.back().batches;
    }
    if (reader.broken().empty()) return;
    break_at(whole, reader.broken(), record_begins_behind(bytes, whole, [&](std::string_view data) {
               return is_later(data);
             }));
  }

 private:
  // Why it does not follow what came before; empty: it does, and is part of the stream.
  std::string_view take(std::string_view batch) {
    if (batch.size() < kBatchHeaderSize) return "a batch that is none";
    const std::uint64_t first = get_u64(batch.data());
    // The manifest's last sequence is at least that of the tables: a flush notes how far the writes
    // have come meanwhile, and they are in the WAL that it names.
    const bool may_overlap = !begun_ && scan_.wals.size() == 1;
    const bool follows = may_overlap ? first > 0 && first <= scan_.last_sequence + 1
                                     : first == scan_.last_sequence + 1;
    if (!follows) return "a hole in the sequence of the batches";
    begun_ = true;
    scan_.last_sequence = first + get_u32(batch.data() + 8) - 1;
    return {};
  }

  // A batch behind the one that is missing: that one has at least one write.
  [[nodiscard]] bool is_later(std::string_view data) const {
    constexpr std::uint64_t kFar = 1ull << 48;
    if (data.size() < 8) return false;
    const std::uint64_t first = get_u64(data.data());
    return first > scan_.last_sequence + 1 && first < scan_.last_sequence + kFar;
  }

  void break_at(std::uint64_t offset, std::string_view why, bool passed) {
    scan_.broken = WalBreak{
        .file = scan_.wals.size() - 1, .offset = offset, .why = std::string(why), .passed = passed};
  }

  DatabaseScan& scan_;
  bool begun_ = false;
};

// The file becomes its first `size` bytes, at once or not at all.
Status cut_file(FailStopEnv& env, const std::string& path, std::uint64_t size,
                const std::string& unfinished) {
  std::string bytes;
  if (const auto status = leveldb::ReadFileToString(&env, path, &bytes); !status.ok()) {
    return failure(ErrorCode::fatal, "cannot read " + status.ToString());
  }
  bytes.resize(std::min<std::size_t>(bytes.size(), size));
  if (Status written = write_synced(env, unfinished, bytes); !written) return written;
  if (const auto status = env.RenameFile(unfinished, path); !status.ok()) {
    return failure(ErrorCode::fatal, "cannot cut " + status.ToString());
  }
  return {};
}

}  // namespace

Result<DatabaseScan> scan_database(leveldb::Env& env, std::string_view name,
                                   const std::string& database) {
  DatabaseScan scan;
  auto manifest = read_manifest(env, name, database);
  if (!manifest) return failure(manifest);
  scan.manifest = std::move(*manifest);
  if (Status there = check_tables(env, name, database, scan.manifest); !there) {
    return failure(there);
  }
  const auto numbers = numbered_files(env, database, kWal);
  if (!numbers) return failure(numbers);
  const auto first = std::ranges::lower_bound(*numbers, scan.manifest.log_number);
  if (first == numbers->end() || *first != scan.manifest.log_number) {
    return corrupt(name, fmt::format("write-ahead log {} is missing", scan.manifest.log_number));
  }
  Stream stream(scan);
  for (auto number = first; number != numbers->end(); ++number) {
    std::string bytes;
    const std::string path = numbered_path(database, *number, kWal);
    if (const auto status = leveldb::ReadFileToString(&env, path, &bytes); !status.ok()) {
      return failure_of(status, fmt::format("{}: cannot read write-ahead log {}", name, *number));
    }
    stream.read(*number, bytes);
  }
  return scan;
}

Status cut_to_scan(FailStopEnv& env, const std::string& database, const DatabaseScan& scan) {
  const Manifest& manifest = scan.manifest;
  if (manifest.torn()) {
    const std::string path = fmt::format("{}/{}", database, manifest.file);
    const std::string unfinished = numbered_path(database, manifest.log_number, kUnfinished);
    if (Status cut = cut_file(env, path, manifest.whole, unfinished); !cut) return cut;
  }
  if (!scan.broken) return {};
  // From the last to the first: whatever stays after a crash is still behind the break.
  for (std::size_t i = scan.wals.size() - 1; i > scan.broken->file; --i) {
    const auto status = env.RemoveFile(numbered_path(database, scan.wals[i].number, kWal));
    if (!status.ok()) return failure(ErrorCode::fatal, "cannot remove " + status.ToString());
  }
  const std::uint64_t number = scan.wals[scan.broken->file].number;
  return cut_file(env, numbered_path(database, number, kWal), scan.broken->offset,
                  numbered_path(database, number, kUnfinished));
}

std::optional<std::string> lost_since(const DatabaseScan& scan, std::uint64_t sequence) {
  if (scan.broken && scan.broken->passed) {
    return fmt::format("write-ahead log {} is damaged at byte {} ({}), and more was written later",
                       scan.wals[scan.broken->file].number, scan.broken->offset, scan.broken->why);
  }
  const std::uint64_t known = std::max(sequence, scan.manifest.last_sequence);
  if (scan.last_sequence < known) {
    return fmt::format("its write-ahead logs end with write {}, but {} was synced",
                       scan.last_sequence, known);
  }
  return std::nullopt;
}

}  // namespace raftkv::storage
