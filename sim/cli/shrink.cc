// raftkv-sim shrink. Every candidate runs in a process of its own: one that a CHECK stops, or that
// never ends, is an answer, too.
#include "sim/shrink.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <iterator>
#include <optional>
#include <string>

#include "sim/cli/file.h"
#include "sim/cli/options.h"
#include "sim/print_cpp.h"
#include "sim/simulate.h"
#include "sim/swarm.h"

namespace raftkv::sim::cli {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr unsigned kSecondsPerRunMax = 20;
constexpr auto kProgressEvery = 200ms;
constexpr std::string_view kAnswer = "\njudged ";

// "CHECK log.cc:57" from "/…/src/raft/log.cc:57: CHECK failed: …": the same one is the same bug.
std::string check_name(std::string_view said) {
  const std::size_t end = said.find(": CHECK failed");
  if (end == std::string_view::npos) return "CHECK";
  std::string_view place = said.substr(0, end);
  const std::size_t slash = place.find_last_of("/\n");
  if (slash != std::string_view::npos) place.remove_prefix(slash + 1);
  return "CHECK " + std::string(place);
}

// "judged EVENTS NANOSECONDS INVARIANT"
Judged parse_answer(std::string_view said) {
  Judged judged;
  const std::size_t at = said.rfind(kAnswer);
  if (at == std::string_view::npos) return judged;
  said.remove_prefix(at + kAnswer.size());
  const char* end = said.data() + said.size();
  const auto events = std::from_chars(said.data(), end, judged.events);
  std::int64_t ns = 0;
  const auto time = std::from_chars(events.ptr + 1, end, ns);
  judged.at = Duration(ns);
  judged.invariant = std::string(time.ptr + 1, end);
  return judged;
}

void write_answer(int out, std::uint64_t events, Instant at, std::string_view invariant) {
  fmt::memory_buffer text;
  fmt::format_to(std::back_inserter(text), "{}{} {} {}", kAnswer, events, at.count(), invariant);
  (void)!write(out, text.data(), text.size());
}

// How far the run is, should a CHECK stop it.
class Progress : public Watcher {
 public:
  void happened(const World& /*world*/, const Event& event) override {
    ++events_;
    at_ = event.at;
  }
  void sent(Instant /*now*/, Endpoint /*from*/, Endpoint /*to*/, const SharedBytes& /*frame*/,
            const Fate& /*fate*/) override {}
  void ended(const World& /*world*/) override {}
  void write_to(int out) const { write_answer(out, events_, at_, ""); }

 private:
  std::uint64_t events_ = 0;
  Instant at_{};
};
Progress progress_of_candidate;

// The process ends after this; CHECK has said its place.
void on_abort(int /*signal*/) {
  progress_of_candidate.write_to(STDERR_FILENO);
}

[[noreturn]] void answer(int out, const Options& options, std::string_view target) {
  dup2(out, STDERR_FILENO);
  (void)signal(SIGABRT, on_abort);
  alarm(kSecondsPerRunMax);
  const Judged judged = judge(options, target, &progress_of_candidate);
  write_answer(out, judged.events, judged.at, judged.invariant);
  _exit(kExitClean);
}

Judged judge_apart(const Options& options, std::string_view target) {
  std::array<int, 2> ends{-1, -1};
  if (pipe(ends.data()) != 0) return {};
  (void)std::fflush(stdout);
  (void)std::fflush(stderr);
  const pid_t pid = fork();
  if (pid == 0) answer(ends[1], options, target);
  close(ends[1]);
  std::string said;
  std::array<char, 4096> buffer;
  ssize_t size = 0;
  while ((size = read(ends[0], buffer.data(), buffer.size())) > 0)
    said.append(buffer.data(), static_cast<std::size_t>(size));
  close(ends[0]);
  int status = 0;
  if (pid > 0) waitpid(pid, &status, 0);
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) {
    Judged judged = parse_answer(said);
    judged.invariant = check_name(said);
    return judged;
  }
  return parse_answer(said);
}

class ProgressLine {
 public:
  explicit ProgressLine(Duration limit) : limit_(limit) {}
  ~ProgressLine() { clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // False: the time is over.
  bool show(const ShrinkProgress& progress) {
    const auto now = SteadyClock::now();
    if (limit_ > Duration(0) && now - began_ >= limit_) return false;
    if (!watched_ || now < next_) return true;
    next_ = now + kProgressEvery;
    const ScheduleSize size = size_of(progress.best.schedule);
    fmt::print(stderr, "\r\x1b[K{} runs, {} s: {} nodes, {} faults, {} operations", progress.runs,
               std::chrono::duration_cast<std::chrono::seconds>(now - began_).count(),
               progress.best.voters + progress.best.learners + progress.best.spares, size.faults,
               size.operations);
    (void)std::fflush(stderr);
    shown_ = true;
    return true;
  }
  void clear() {
    if (shown_) fmt::print(stderr, "\r\x1b[K");
    shown_ = false;
  }
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(SteadyClock::now() - began_).count();
  }

 private:
  Duration limit_;
  SteadyClock::time_point began_ = SteadyClock::now();
  SteadyClock::time_point next_ = began_ + 1s;
  bool watched_ = ::isatty(STDERR_FILENO) == 1;
  bool shown_ = false;
};

std::string source_of(const ShrinkCommand& command) {
  if (!command.file.empty()) return command.file;
  std::string text = fmt::format("seed {}", command.seed);
  text += fixed_options({command.nodes, command.duration, command.leveldb});
  return text;
}

std::optional<Options> options_of(const ShrinkCommand& command) {
  if (command.file.empty())
    return draw_options(command.seed, {command.nodes, command.duration, command.leveldb});
  auto options = read_schedule(command.file);
  if (options && command.leveldb) options->leveldb = *command.leveldb ? 1 : 0;
  return options;
}

// The schedule file: what it shows, then what replay reads.
std::string file_of(const ShrinkCommand& command, const Shrunk& shrunk) {
  return fmt::format("# Violates {}. Shrunk from {} in {} runs{}.\n{}", shrunk.invariant,
                     source_of(command), shrunk.runs,
                     shrunk.finished ? "" : ", which was not enough to end", print(shrunk.options));
}

}  // namespace

int shrink(const ShrinkCommand& command) {
  const auto options = options_of(command);
  if (!options) return kExitUsage;
  ProgressLine progress(command.timeout);
  ShrinkOptions how;
  how.judge = judge_apart;
  how.runs_max = command.runs;
  how.keep_going = [&](const ShrinkProgress& at) { return progress.show(at); };
  const auto shrunk = sim::shrink(*options, how);
  progress.clear();
  if (!shrunk) {
    fmt::print("{} violates nothing\n", source_of(command));
    return kExitClean;
  }
  const std::string text = file_of(command, *shrunk);
  if (command.output.empty()) {
    fmt::print("{}", text);
  } else if (!write_file(command.output, text)) {
    return kExitUsage;
  }
  if (command.test) {
    std::string name;
    for (const char c : shrunk->invariant) {
      if (c >= '0' && c <= 'z' && c != ':') name += c;
    }
    fmt::print("\n{}", print_test(shrunk->options, "Shrunk", "Violates" + name));
  }
  const ScheduleSize before = size_of(options->schedule);
  const ScheduleSize after = size_of(shrunk->options.schedule);
  fmt::print(stderr,
             "shrunk: {} runs={} seconds={:.1f} nodes={}->{} faults={}->{} operations={}->{}{}\n",
             shrunk->invariant, shrunk->runs, progress.seconds(),
             options->voters + options->learners + options->spares,
             shrunk->options.voters + shrunk->options.learners + shrunk->options.spares,
             before.faults, after.faults, before.operations, after.operations,
             shrunk->finished ? "" : " (stopped by a limit)");
  return kExitViolated;
}

}  // namespace raftkv::sim::cli
