#include "src/storage/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "src/base/bytes.h"
#include "src/storage/log_format.h"
#include "src/storage/status.h"

namespace raftkv::storage {
namespace {

constexpr std::string_view kComparator = "leveldb.BytewiseComparator";
constexpr int kLevels = 7;

// Tags of a VersionEdit's fields.
enum Tag : std::uint8_t {
  kTagComparator = 1,
  kTagLogNumber = 2,
  kTagNextFile = 3,
  kTagLastSequence = 4,
  kTagCompactPointer = 5,
  kTagDeletedFile = 6,
  kTagNewFile = 7,
  kTagPrevLogNumber = 9,
};

// LevelDB's varints: seven bits a byte, the lowest first.
std::uint64_t varint(ByteReader& reader) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const std::uint8_t byte = reader.u8();
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  reader.fail();
  return 0;
}

std::string_view sized(ByteReader& reader) {
  return reader.raw(varint(reader));
}

using LevelFile = std::pair<std::uint64_t, std::uint64_t>;  // level, number

// The version that the records read so far amount to.
class Version {
 public:
  // False: this is no VersionEdit.
  [[nodiscard]] bool apply(std::string_view record) {
    ByteReader reader(record);
    std::vector<LevelFile> deleted;
    std::map<LevelFile, std::uint64_t> added;
    while (reader.ok() && reader.left() > 0) field(reader, deleted, added);
    if (!reader.ok()) return false;
    for (const LevelFile& file : deleted) files_.erase(file);
    files_.insert(added.begin(), added.end());
    return true;
  }
  [[nodiscard]] bool complete() const { return log_number_ && next_file_ && last_sequence_; }
  void copy_to(Manifest& manifest) const {
    manifest.log_number = *log_number_;
    manifest.last_sequence = *last_sequence_;
    for (const auto& [file, size] : files_) manifest.tables.emplace(file.second, size);
  }

 private:
  void field(ByteReader& reader, std::vector<LevelFile>& deleted,
             std::map<LevelFile, std::uint64_t>& added) {
    switch (varint(reader)) {
      case kTagComparator:
        if (sized(reader) != kComparator) reader.fail();
        return;
      case kTagLogNumber:
        log_number_ = varint(reader);
        return;
      case kTagPrevLogNumber:
        (void)varint(reader);  // LevelDB writes 0, since 2011
        return;
      case kTagNextFile:
        next_file_ = varint(reader);
        return;
      case kTagLastSequence:
        last_sequence_ = varint(reader);
        return;
      case kTagCompactPointer:
        (void)level(reader);
        (void)sized(reader);
        return;
      case kTagDeletedFile: {
        const std::uint64_t at = level(reader);
        deleted.emplace_back(at, varint(reader));
        return;
      }
      case kTagNewFile: {
        const std::uint64_t at = level(reader);
        const std::uint64_t number = varint(reader);
        added[{at, number}] = varint(reader);
        (void)sized(reader);  // smallest key
        (void)sized(reader);  // largest key
        return;
      }
      default:
        reader.fail();
    }
  }
  static std::uint64_t level(ByteReader& reader) {
    const std::uint64_t level = varint(reader);
    if (level >= kLevels) reader.fail();
    return level;
  }

  std::optional<std::uint64_t> log_number_;
  std::optional<std::uint64_t> next_file_;
  std::optional<std::uint64_t> last_sequence_;
  std::map<LevelFile, std::uint64_t> files_;
};

std::unexpected<Error> corrupt(std::string_view name, std::string_view what) {
  return failure(ErrorCode::corrupt, fmt::format("{}: {}", name, what));
}

// Missing is damage here: the file was there.
Result<std::string> read_file(leveldb::Env& env, std::string_view name, const std::string& path) {
  std::string bytes;
  const auto status = leveldb::ReadFileToString(&env, path, &bytes);
  const std::string_view file = std::string_view(path).substr(path.rfind('/') + 1);
  if (status.IsNotFound()) return corrupt(name, fmt::format("{} is missing", file));
  if (!status.ok()) return failure_of(status, fmt::format("{}: cannot read {}", name, file));
  return bytes;
}

Result<std::string> manifest_name(leveldb::Env& env, std::string_view name,
                                  const std::string& database) {
  auto current = read_file(env, name, database + "/CURRENT");
  if (!current) return failure(current);
  const bool holds = current->starts_with("MANIFEST-") && current->ends_with('\n') &&
                     number_of(current->substr(9, current->size() - 10), "").has_value();
  if (!holds) return corrupt(name, "CURRENT is damaged");
  current->pop_back();
  return current;
}

// A record of a manifest begins with a tag.
bool may_be_edit(std::string_view data) {
  return !data.empty() && data[0] >= kTagComparator && data[0] <= kTagPrevLogNumber;
}

}  // namespace

Result<Manifest> read_manifest(leveldb::Env& env, std::string_view name,
                               const std::string& database) {
  auto file = manifest_name(env, name, database);
  if (!file) return failure(file);
  const auto bytes = read_file(env, name, fmt::format("{}/{}", database, *file));
  if (!bytes) return failure(bytes);

  Version version;
  LogFormatReader reader(*bytes);
  for (std::string record; reader.next(record);) {
    if (!version.apply(record)) return corrupt(name, *file + " has a record that is none");
  }
  if (!reader.broken().empty() && record_begins_behind(*bytes, reader.whole(), may_be_edit)) {
    return corrupt(
        name, fmt::format("{} is damaged at byte {} ({})", *file, reader.whole(), reader.broken()));
  }
  if (!version.complete()) return corrupt(name, *file + " is not complete");
  Manifest manifest;
  manifest.file = std::move(*file);
  manifest.size = bytes->size();
  // What a block's trailer holds does not matter.
  manifest.whole = reader.broken().empty() ? manifest.size : reader.whole();
  version.copy_to(manifest);
  return manifest;
}

std::optional<std::uint64_t> number_of(std::string_view file_name, std::string_view suffix) {
  if (!file_name.ends_with(suffix)) return std::nullopt;
  file_name.remove_suffix(suffix.size());
  std::uint64_t number = 0;
  const char* const stop = file_name.data() + file_name.size();
  const auto [end, error] = std::from_chars(file_name.data(), stop, number);
  if (file_name.empty() || error != std::errc() || end != stop) return std::nullopt;
  return number;
}

Result<std::vector<std::uint64_t>> numbered_files(leveldb::Env& env, const std::string& database,
                                                  std::string_view suffix) {
  std::vector<std::string> names;
  if (const auto status = env.GetChildren(database, &names); !status.ok()) {
    return failure(ErrorCode::fatal, "cannot list " + status.ToString());
  }
  std::vector<std::uint64_t> numbers;
  for (const std::string& name : names) {
    if (const auto number = number_of(name, suffix)) numbers.push_back(*number);
  }
  std::ranges::sort(numbers);
  return numbers;
}

std::string numbered_path(const std::string& database, std::uint64_t number,
                          std::string_view suffix) {
  return fmt::format("{}/{:06}{}", database, number, suffix);
}

}  // namespace raftkv::storage
