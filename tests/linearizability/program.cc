#include "tests/linearizability/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pty.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "src/base/check.h"
#include "src/base/prng.h"

namespace raftkv::linearizability {
namespace {

using Clock = std::chrono::steady_clock;

void execute(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const std::string& argument : command)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  ::alarm(120);  // outlives the exec: a program that hangs is killed
  ::execvp(arguments[0], arguments.data());
  ::_exit(127);
}

void redirect(int target, const std::string& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags, 0600);
  if (descriptor < 0 || ::dup2(descriptor, target) < 0) ::_exit(126);
}

// Waits for the child, fills in how it ended.
void finish(pid_t child, Clock::time_point start, ProgramOutcome& outcome) {
  int status = 0;
  struct rusage usage{};
  CHECK(::wait4(child, &status, 0, &usage) == child);
  outcome.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  outcome.memory_bytes_max = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

std::vector<std::string> with_program(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), RAFTKV_BIN_DIR "/lincheck");
  return arguments;
}

}  // namespace

ProgramOutcome run_program(const std::vector<std::string>& command, const std::string& input) {
  const Folder folder;
  const std::string in = folder.write("in", input);
  const auto start = Clock::now();
  const pid_t child = ::fork();
  CHECK(child >= 0);
  if (child == 0) {
    redirect(STDIN_FILENO, in, O_RDONLY);
    redirect(STDOUT_FILENO, folder.path("out"), O_WRONLY | O_CREAT);
    redirect(STDERR_FILENO, folder.path("err"), O_WRONLY | O_CREAT);
    execute(command);
  }
  ProgramOutcome outcome;
  finish(child, start, outcome);
  outcome.out = read_file(folder.path("out"));
  outcome.err = read_file(folder.path("err"));
  return outcome;
}

ProgramOutcome lincheck(std::vector<std::string> arguments, const std::string& input) {
  return run_program(with_program(std::move(arguments)), input);
}

ProgramOutcome lincheck_on_terminal(std::vector<std::string> arguments) {
  const std::vector<std::string> command = with_program(std::move(arguments));
  int terminal = -1;
  const auto start = Clock::now();
  const pid_t child = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  CHECK(child >= 0);
  if (child == 0) execute(command);
  ProgramOutcome outcome;
  std::array<char, 4096> buffer;
  while (true) {  // until the program closes its end
    const ssize_t size = ::read(terminal, buffer.data(), buffer.size());
    if (size <= 0) break;
    outcome.err.append(buffer.data(), static_cast<std::size_t>(size));
  }
  finish(child, start, outcome);
  ::close(terminal);
  return outcome;
}

Folder::Folder() {
  std::string path = std::filesystem::temp_directory_path() / "lincheck-XXXXXX";
  CHECK(::mkdtemp(path.data()) != nullptr);
  path_ = path;
}

Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string Folder::write(const std::string& name, const std::string& text) const {
  std::ofstream(path(name), std::ios::binary) << text;
  return path(name);
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string histories_folder() {
  const char* const shared = std::getenv("RAFTKV_SHARED");
  const std::string folder =
      shared ? std::string(shared) + "/histories" : RAFTKV_SOURCE_DIR "/../shared/histories";
  return std::filesystem::exists(folder + "/verdicts.tsv") ? folder : "";
}

std::string hard_history(unsigned seed) {
  Prng prng(seed);
  const auto key = [&] { return prng.below(12); };
  const auto value = [&] { return prng.below(3); };
  std::string text = "{\"history\":1,\"model\":\"multi-register\",\"initial\":0}\n";
  for (int process = 0; process < 30; ++process) {
    const auto k0 = key(), v0 = value(), k1 = key(), v1 = value(), k2 = key(), v2 = value();
    text += fmt::format(
        "{{\"process\":{},\"invoke\":{},\"return\":{},\"f\":\"txn\",\"value\":"
        "[[\"read\",{},{}],[\"write\",{},{}],[\"write\",{},{}]]}}\n",
        process, process, 1000 + process, k0, v0, k1, v1, k2, v2);
  }
  return text +
         "{\"process\":0,\"invoke\":5000,\"return\":5001,\"f\":\"txn\",\"value\":[[\"read\",0,7]]}"
         "\n";
}

}  // namespace raftkv::linearizability
