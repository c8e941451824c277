// Runs a program as a process of its own and keeps what it said.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace raftkv::linearizability {

struct ProgramOutcome {
  int code = -1;  // exit code; 128 + n after signal n
  std::string out;
  std::string err;
  double seconds = 0;
  std::uint64_t memory_bytes_max = 0;  // resident
};

// `program` and its arguments; `input` is its standard input. Killed after two minutes.
[[nodiscard]] ProgramOutcome run_program(const std::vector<std::string>& command,
                                         const std::string& input = {});

// build/<preset>/bin/lincheck
[[nodiscard]] ProgramOutcome lincheck(std::vector<std::string> arguments,
                                      const std::string& input = {});

// The same with a terminal as its standard error; ProgramOutcome::err is what the terminal got.
[[nodiscard]] ProgramOutcome lincheck_on_terminal(std::vector<std::string> arguments);

// A folder of this test process, gone with it.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::string path(const std::string& name) const { return path_ + "/" + name; }
  // Writes a file; its path.
  std::string write(const std::string& name, const std::string& text) const;

 private:
  std::string path_;
};

[[nodiscard]] std::string read_file(const std::string& path);

// The folder of the recorded histories: $RAFTKV_SHARED/histories, else ../shared/histories beside
// the sources. Empty if there is none: the test says so and is skipped.
[[nodiscard]] std::string histories_folder();

// A history of 31 transactions, 30 of them at once, that no search here can judge in minutes.
[[nodiscard]] std::string hard_history(unsigned seed = 3);

}  // namespace raftkv::linearizability
