// A child process of a test: started with an argument list, its output in a file, dead at latest
// when the test is.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace raftkv::process {

using std::chrono::milliseconds;
using namespace std::chrono_literals;  // NOLINT: 500ms reads better than any helper

// How a process ended: its exit code, or 128 + the signal that killed it, as a shell says it.
using ExitCode = int;

class Child {
 public:
  Child() = default;
  // Starts `arguments` (the first is the program's path); both output streams go to the end of
  // `log`. Aborts the test program if that is impossible.
  Child(const std::vector<std::string>& arguments, const std::string& log);
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  // Kills it if it is still there.
  ~Child();

  // True until the end has been seen by running(), wait() or kill().
  [[nodiscard]] bool running();
  [[nodiscard]] pid_t pid() const { return pid_; }

  void signal(int number);
  // SIGKILL, and waits for the end.
  void kill();
  // Waits for the end; nullopt if it did not come within `limit`.
  std::optional<ExitCode> wait(milliseconds limit);

 private:
  pid_t pid_ = 0;  // 0: none, or ended
  std::optional<ExitCode> exit_code_;
};

// Runs a program to its end and returns its exit code and what it printed on both streams.
struct Finished {
  ExitCode exit_code = -1;
  std::string output;
};
// Kills the program after `limit`; the exit code is then 137.
[[nodiscard]] Finished run(const std::vector<std::string>& arguments, milliseconds limit = 30s);

}  // namespace raftkv::process
