// What a run of raftkv-chaos has made on this machine, written to a file before it is made, so that
// `raftkv-chaos clean` can take it away after the program itself was killed.
//
// Files: $TMPDIR/raftkv-chaos.PID.state, a line each: `owner PID START`, `process PID START`,
// `namespace NAME`, `link NAME`, `mount PATH`, `directory PATH`. START is the process's start time
// as the kernel counts it (/proc/PID/stat, field 22): a process id alone may belong to somebody
// else by now.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace raftkv::chaos {

// Everything of ours has a name that begins so: namespaces and links, and files below $TMPDIR.
inline constexpr const char* kLinkPrefix = "rkvc";
inline constexpr const char* kFilePrefix = "raftkv-chaos.";

// 0 if there is no such process, or it has ended and its parent does not know yet.
[[nodiscard]] std::uint64_t start_time_of(pid_t pid);

// Runs a command of the machine's administration (/usr/sbin/ip and the like) to its end; false if
// its exit code is not 0. `output` takes what it printed.
bool administer(const std::vector<std::string>& command, std::string* output = nullptr);

class Belongings {
 public:
  // Begins the state file of this process. Aborts if that is impossible.
  Belongings();
  Belongings(const Belongings&) = delete;
  Belongings& operator=(const Belongings&) = delete;
  // Takes everything away, and the file.
  ~Belongings();

  // To be called before the thing is made, but for a process, which is noted as soon as it is
  // there.
  void note_process(pid_t pid);
  void note_namespace(const std::string& name);
  void note_link(const std::string& name);
  void note_mount(const std::string& path);
  // The directory is left where it is: there is something to look at.
  void keep_directory() { keeps_directory_ = true; }
  // Of this run, made here.
  [[nodiscard]] const std::string& directory() const { return directory_; }

 private:
  void note(const std::string& line);

  std::string file_;
  std::string directory_;
  bool keeps_directory_ = false;
};

// Takes away what runs left that are over; prints a line for each. A run that still lives is left
// alone. The exit code: 0, or 1 if something could not be removed.
int clean();

}  // namespace raftkv::chaos
