#include "tests/chaos/unsynced.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <map>
#include <vector>

#include "tests/process/files.h"

namespace raftkv::chaos {
namespace {

namespace fs = std::filesystem;
using What = JournalRecord::What;

struct Entry {
  std::uint64_t number;
  JournalRecord record;
  std::string old;
};

struct File {
  std::vector<Entry> pending;  // not synced, in order
  bool synced = false;
};

// A torn last record is one whose write never began.
std::map<std::uint64_t, File> read_journal(const std::string& journal) {
  const std::string bytes = process::read_file(journal);
  std::map<std::uint64_t, File> files;
  std::uint64_t number = 0;
  for (std::size_t at = 0; at + sizeof(JournalRecord) <= bytes.size(); ++number) {
    JournalRecord record;
    std::memcpy(&record, bytes.data() + at, sizeof(record));
    at += sizeof(record);
    if (record.size_old > bytes.size() - at) break;
    File& file = files[record.inode];
    if (record.what == What::created) {
      file = File();  // the number of an earlier file, given again
    } else if (record.what == What::sync) {
      std::erase_if(file.pending, [&](const Entry& e) { return e.number < record.offset; });
      file.synced = true;
    } else {
      file.pending.push_back({number, record, bytes.substr(at, record.size_old)});
    }
    at += record.size_old;
  }
  return files;
}

void put_back(int fd, std::uint64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put <= 0) return;
    offset += static_cast<std::uint64_t>(put);
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
}

// As if the write had ended after its first `kept` bytes.
void undo(int fd, const Entry& entry, std::uint64_t kept) {
  const JournalRecord& record = entry.record;
  if (record.what == What::write && record.offset + record.size > record.file_old) {
    const std::uint64_t end = std::max(record.file_old, record.offset + kept);
    struct stat status{};
    if (::fstat(fd, &status) == 0 && static_cast<std::uint64_t>(status.st_size) > end &&
        ::ftruncate(fd, static_cast<off_t>(end)) != 0)
      return;
  }
  if (kept < entry.old.size())
    put_back(fd, record.offset + kept, std::string_view(entry.old).substr(kept));
}

void lose(const fs::path& path, const File& file, Keep keep, Prng& prng, Lost& lost) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  const std::size_t kept =
      keep == Keep::nothing ? 0 : static_cast<std::size_t>(prng.below(file.pending.size() + 1));
  for (std::size_t i = file.pending.size(); i-- > kept;) {
    const Entry& entry = file.pending[i];
    const bool torn = i == kept && keep == Keep::drawn && entry.record.what == What::write;
    const std::uint64_t part = torn ? prng.below(entry.record.size + 1) : 0;
    undo(fd, entry, part);
    ++lost.writes;
    lost.bytes += entry.record.size - part;
  }
  if (kept < file.pending.size()) ++lost.files;
  ::fsync(fd);
  ::close(fd);
}

}  // namespace

Lost lose_unsynced(const std::string& journal, const std::string& directory, Keep keep,
                   Prng& prng) {
  Lost lost;
  const auto files = read_journal(journal);
  std::map<std::uint64_t, fs::path> paths;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    struct stat status{};
    if (::lstat(entry.path().c_str(), &status) == 0 && S_ISREG(status.st_mode))
      paths[status.st_ino] = entry.path();
  }
  for (const auto& [inode, file] : files) {
    if (file.synced) ++lost.synced_files;
    const auto path = paths.find(inode);
    if (path != paths.end() && !file.pending.empty()) lose(path->second, file, keep, prng, lost);
  }
  ::unlink(journal.c_str());
  return lost;
}

}  // namespace raftkv::chaos
