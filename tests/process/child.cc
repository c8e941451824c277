#include "tests/process/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <thread>
#include <utility>

#include "tests/process/files.h"

namespace raftkv::process {
namespace {

// Between fork and exec only async-signal-safe calls are allowed.
[[noreturn]] void become(char* const* arguments, int output, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // the parent ended before prctl
  const int input = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (::dup2(input, 0) < 0 || ::dup2(output, 1) < 0 || ::dup2(output, 2) < 0) ::_exit(127);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execv(arguments[0], arguments);
  ::_exit(127);
}

}  // namespace

Child::Child(const std::vector<std::string>& arguments, const std::string& log) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const pid_t parent = ::getpid();
  pid_ = output < 0 ? -1 : ::fork();
  if (pid_ < 0) {
    std::perror("cannot start a child process");
    std::abort();
  }
  if (pid_ == 0) become(argv.data(), output, parent);
  ::close(output);
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)), exit_code_(std::exchange(other.exit_code_, {})) {}

Child& Child::operator=(Child&& other) noexcept {
  if (this != &other) {
    kill();
    pid_ = std::exchange(other.pid_, 0);
    exit_code_ = std::exchange(other.exit_code_, {});
  }
  return *this;
}

Child::~Child() {
  kill();
}

bool Child::running() {
  if (pid_ == 0) return false;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return true;
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  pid_ = 0;
  return false;
}

void Child::signal(int number) {
  if (pid_ != 0) ::kill(pid_, number);
}

void Child::kill() {
  signal(SIGKILL);
  wait(30s);
}

std::optional<ExitCode> Child::wait(milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (running()) {
    if (std::chrono::steady_clock::now() >= end) return {};
    std::this_thread::sleep_for(1ms);
  }
  return exit_code_;
}

Finished run(const std::vector<std::string>& arguments, milliseconds limit) {
  const TempDir dir;
  const std::string log = dir.path() + "/output";
  Child child(arguments, log);
  std::optional<ExitCode> code = child.wait(limit);
  if (!code) {
    child.kill();
    code = 137;
  }
  return {*code, read_file(log)};
}

}  // namespace raftkv::process
