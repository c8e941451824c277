#include "tests/chaos/belongings.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/process/child.h"
#include "tests/process/files.h"

namespace raftkv::chaos {
namespace {

namespace fs = std::filesystem;

std::string temporary() {
  return fs::temp_directory_path().string();
}

struct Noted {
  std::string kind;
  std::string name;
  std::uint64_t start = 0;
};

std::vector<Noted> read_notes(const std::string& file) {
  std::vector<Noted> notes;
  std::istringstream lines(process::read_file(file));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    Noted noted;
    words >> noted.kind >> noted.name >> noted.start;
    notes.push_back(noted);
  }
  return notes;
}

pid_t pid_of(const Noted& noted) {
  return static_cast<pid_t>(std::strtol(noted.name.c_str(), nullptr, 10));
}

bool is_alive(const Noted& noted) {
  return noted.start != 0 && start_time_of(pid_of(noted)) == noted.start;
}

// Whether the name can be one of ours at all: a state file is a file like any other.
bool is_ours(const Noted& noted) {
  if (noted.kind == "namespace" || noted.kind == "link") return noted.name.starts_with(kLinkPrefix);
  const std::string begin = temporary() + "/" + kFilePrefix;
  return noted.name.starts_with(begin) && noted.name.find("..") == std::string::npos;
}

bool take_away(const Noted& noted) {
  if (noted.kind == "owner") return true;
  if (noted.kind == "process") {
    if (is_alive(noted)) ::kill(pid_of(noted), SIGKILL);
    return true;
  }
  if (!is_ours(noted)) return false;
  if (noted.kind == "namespace") {
    return !fs::exists("/run/netns/" + noted.name) ||
           administer({"/usr/sbin/ip", "netns", "delete", noted.name});
  }
  if (noted.kind == "link") {
    return !fs::exists("/sys/class/net/" + noted.name) ||
           administer({"/usr/sbin/ip", "link", "delete", noted.name});
  }
  if (noted.kind == "mount") {
    ::umount2(noted.name.c_str(), MNT_DETACH);
    return true;
  }
  std::error_code error;
  fs::remove_all(noted.name, error);
  return !error;
}

// Processes first, then the rest from the last to the first; directories at the end, when nothing
// is mounted in them.
std::vector<Noted> in_order_of_removal(std::vector<Noted> notes) {
  std::ranges::reverse(notes);
  std::ranges::stable_sort(notes, {}, [](const Noted& noted) {
    return noted.kind == "process" ? 0 : noted.kind == "directory" ? 2 : 1;
  });
  return notes;
}

bool belongs_to_us(const std::string& file) {
  struct stat status{};
  return ::lstat(file.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         status.st_uid == ::geteuid();
}

}  // namespace

std::uint64_t start_time_of(pid_t pid) {
  const std::string text = process::read_file(fmt::format("/proc/{}/stat", pid));
  const auto end_of_name = text.rfind(')');
  if (end_of_name == std::string::npos) return 0;
  std::istringstream words(text.substr(end_of_name + 1));
  std::string word;
  words >> word;
  if (word == "Z") return 0;  // killed; its parent has not looked yet
  for (int field = 4; field <= 22; ++field) words >> word;
  return std::strtoull(word.c_str(), nullptr, 10);
}

bool administer(const std::vector<std::string>& command, std::string* output) {
  const process::Finished finished = process::run(command);
  if (output != nullptr) *output = finished.output;
  return finished.exit_code == 0;
}

Belongings::Belongings()
    : file_(fmt::format("{}/{}{}.state", temporary(), kFilePrefix, ::getpid())) {
  ::unlink(file_.c_str());
  const int made = ::open(file_.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (made >= 0) ::close(made);
  note(fmt::format("owner {} {}", ::getpid(), start_time_of(::getpid())));
  std::string name = fmt::format("{}/{}{}.XXXXXX", temporary(), kFilePrefix, ::getpid());
  if (made < 0 || ::mkdtemp(name.data()) == nullptr) {
    fmt::print(stderr, "raftkv-chaos: cannot write to {}\n", temporary());
    std::abort();
  }
  directory_ = name;
  note("directory " + directory_);
}

Belongings::~Belongings() {
  for (const Noted& noted : in_order_of_removal(read_notes(file_))) {
    if (noted.kind == "directory" && keeps_directory_) continue;
    if (!take_away(noted)) {
      fmt::print(stderr, "raftkv-chaos: cannot remove {} {}\n", noted.kind, noted.name);
    }
  }
  ::unlink(file_.c_str());
}

void Belongings::note(const std::string& line) {
  std::ofstream(file_, std::ios::app) << line << '\n';
}

void Belongings::note_process(pid_t pid) {
  note(fmt::format("process {} {}", pid, start_time_of(pid)));
}
void Belongings::note_namespace(const std::string& name) {
  note("namespace " + name);
}
void Belongings::note_link(const std::string& name) {
  note("link " + name);
}
void Belongings::note_mount(const std::string& path) {
  note("mount " + path);
}

int clean() {
  int failed = 0;
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(temporary())) {
    const std::string name = entry.path().filename();
    if (name.starts_with(kFilePrefix) && name.ends_with(".state")) files.push_back(entry.path());
  }
  for (const std::string& file : files) {
    if (!belongs_to_us(file)) continue;
    const std::vector<Noted> notes = read_notes(file);
    if (!notes.empty() && notes.front().kind == "owner" && is_alive(notes.front())) {
      fmt::print("process {} still runs: left alone\n", notes.front().name);
      continue;
    }
    int failed_here = 0;
    for (const Noted& noted : in_order_of_removal(notes)) {
      if (!take_away(noted)) {
        fmt::print("cannot remove {} {}\n", noted.kind, noted.name);
        ++failed_here;
      }
    }
    fmt::print("{}: {} things of a run that is over, {} left\n", file, notes.size(), failed_here);
    if (failed_here == 0) ::unlink(file.c_str());
    failed += failed_here;
  }
  return failed == 0 ? 0 : 1;
}

}  // namespace raftkv::chaos
