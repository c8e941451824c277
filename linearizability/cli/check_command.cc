#include <fmt/format.h>
#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "linearizability/cli/file.h"
#include "linearizability/cli/judge.h"
#include "linearizability/cli/run.h"
#include "linearizability/timeline/timeline.h"

namespace raftkv::linearizability {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kQuietTime = 1s;  // nothing is said about progress before
constexpr auto kProgressTime = 200ms;

// What a worker is at, for the line of progress.
struct Desk {
  std::atomic<std::size_t> file = 0;
  std::atomic<std::uint64_t> steps = 0;
  std::atomic<std::size_t> parts_done = 0;
  std::atomic<std::size_t> parts = 0;
  std::atomic<bool> busy = false;
};

class Run {
 public:
  explicit Run(const CheckCommand& command)
      : command_(command), desks_(workers()), results_(command.files.size()) {
    memory_bytes_ = command.memory_bytes > 0 ? command.memory_bytes : machine_bytes() / 4 * 3;
  }

  int run() {
    if (!prepare_folder()) return kExitUsage;
    std::vector<std::thread> threads;
    threads.reserve(desks_.size());
    for (Desk& desk : desks_) threads.emplace_back([this, &desk] { work(desk); });
    const bool watched = ::isatty(STDERR_FILENO) == 1;
    const auto start = Clock::now();
    std::unique_lock lock(mutex_);
    while (printed_ < command_.files.size()) {
      changed_.wait_for(lock, kProgressTime);
      print_ready();
      if (watched && Clock::now() - start > kQuietTime) show_progress(start);
    }
    lock.unlock();
    for (std::thread& thread : threads) thread.join();
    return exit_code();
  }

 private:
  [[nodiscard]] std::size_t workers() const {
    const std::size_t wanted =
        command_.jobs > 0 ? command_.jobs : std::max(1u, std::thread::hardware_concurrency());
    return std::min(wanted, command_.files.size());
  }

  // A result, once it is there; what it prints is made by the worker.
  struct Slot {
    bool done = false;
    std::string line;     // for the standard output
    std::string remarks;  // for the standard error
    int code = kExitLinearizable;
  };

  void work(Desk& desk) {
    for (std::size_t i = next_.fetch_add(1); i < command_.files.size(); i = next_.fetch_add(1)) {
      desk.file = i;
      desk.steps = desk.parts = desk.parts_done = 0;
      desk.busy = true;
      Slot slot = judge_one(desk, command_.files[i]);
      desk.busy = false;
      ::malloc_trim(0);  // the next file's limit is on what is resident
      const std::lock_guard lock(mutex_);
      results_[i] = std::move(slot);
      results_[i].done = true;
      changed_.notify_one();
    }
  }

  Slot judge_one(Desk& desk, const std::string& file) {
    Limits limits;
    if (command_.timeout.count() > 0) limits.deadline = Clock::now() + command_.timeout;
    limits.memory_bytes = memory_bytes_ / desks_.size();
    limits.process_bytes = memory_bytes_;
    limits.on_progress = [&desk](const Progress& progress) {
      desk.steps = progress.steps;
      desk.parts = progress.parts;
      desk.parts_done = progress.parts_done;
    };
    const Judged judged = judge(file, command_.judge, limits);
    Slot slot;
    slot.code = code_of(judged);
    if (judged.error) {
      slot.remarks = fmt::format("{}: {}\n", file, judged.error->message);
      if (command_.json) slot.line = json_of(judged);
      return slot;
    }
    slot.line = command_.json ? json_of(judged) : line_of(judged);
    remark(judged, slot);
    if (!command_.html.empty()) write_page(judged, slot);
    return slot;
  }

  static int code_of(const Judged& judged) {
    if (judged.error)
      return judged.error->code == ErrorCode::unsupported ? kExitUsage : kExitUnreadable;
    switch (judged.report.verdict) {
      case Verdict::linearizable:
        return kExitLinearizable;
      case Verdict::not_linearizable:
        return kExitViolation;
      case Verdict::unknown:
        break;
    }
    return kExitUnknown;
  }

  // What a person wants to know besides the verdict: why it is unknown, by what it was judged, what
  // contradicts.
  void remark(const Judged& judged, Slot& slot) const {
    const Report& report = judged.report;
    if (report.verdict == Verdict::unknown)
      slot.remarks += fmt::format("  unknown: {}\n", report.reason);
    if (report.verdict != Verdict::not_linearizable || command_.json) return;
    const Case& subject = judged.subject;
    if (subject.model_is_assumed || subject.initial == kUnsaid) {
      slot.remarks +=
          fmt::format("  judged as {}, starting with {}; --model and --initial say otherwise\n",
                      subject.model->name(), initial_of(subject));
    }
    const auto& core = report.core.operations;
    slot.remarks += core.size() == 1
                        ? "  this operation cannot have answered so:\n"
                        : fmt::format("  {} operations contradict each other:\n", core.size());
    for (std::size_t i = 0; i < std::min(core.size(), kCoreLinesMax); ++i) {
      slot.remarks += fmt::format(
          "    line {}: process {} {} ({})\n", subject.reading.lines[core[i]],
          subject.reading.history[core[i]].process, label_of(subject.reading.history, core[i]),
          to_string(subject.reading.history[core[i]].end));
    }
    if (core.size() > kCoreLinesMax)
      slot.remarks += fmt::format("    and {} more\n", core.size() - kCoreLinesMax);
  }

  static std::string initial_of(const Case& subject) {
    if (subject.initial != kUnsaid) return subject.reading.history.values().print(subject.initial);
    const std::string_view model = subject.model->name();
    return model == "append-kv" ? "\"\""
           : model == "mutex"   ? "free"
           : model == "set"     ? "empty"
                                : "nil";
  }

  void write_page(const Judged& judged, Slot& slot) const {
    const std::string path = page_path(judged.file);
    const std::string page =
        render_timeline(judged.subject.reading.history, judged.report, judged.explanation,
                        judged.subject.reading.lines,
                        {.title = judged.file,
                         .model = judged.subject.model ? judged.subject.model->name() : "unknown",
                         .note = fmt::format("{:.1f} ms", judged.ms())});
    if (const Status status = write_file(path, page); !status) {
      slot.remarks += fmt::format("  no page: {}\n", status.error().message);
      slot.code = kExitUnreadable;
    }
  }

  [[nodiscard]] bool many() const { return command_.files.size() > 1; }

  [[nodiscard]] std::string page_path(std::string file) const {
    if (!many()) return command_.html;
    std::ranges::replace(file, '/', '_');
    return command_.html + "/" + file + ".html";
  }

  [[nodiscard]] bool prepare_folder() const {
    if (command_.html.empty() || !many() || ::mkdir(command_.html.c_str(), 0755) == 0 ||
        errno == EEXIST)
      return true;
    fmt::print(stderr, "lincheck: {}: {}\n", command_.html, std::strerror(errno));
    return false;
  }

  void print_ready() {
    while (printed_ < results_.size() && results_[printed_].done) {
      clear_progress();
      Slot& slot = results_[printed_++];
      if (!slot.line.empty()) fmt::print("{}\n", slot.line);
      std::fflush(stdout);
      fmt::print(stderr, "{}", slot.remarks);
      slot = {.done = true, .line = {}, .remarks = {}, .code = slot.code};
    }
  }

  void show_progress(Clock::time_point start) {
    std::uint64_t steps = 0;
    std::string names, parts;
    for (const Desk& desk : desks_) {
      if (!desk.busy) continue;
      steps += desk.steps;
      names += (names.empty() ? "" : ", ") + command_.files[desk.file];
      if (desk.parts > 1)
        parts = fmt::format(", part {} of {}", desk.parts_done.load(), desk.parts.load());
    }
    if (names.size() > 60) names = "…" + names.substr(names.size() - 59);
    fmt::print(stderr, "\r\x1b[K{}/{} files, {} s, {:.1f} million steps{}, {} MiB: {}", printed_,
               command_.files.size(),
               std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - start).count(),
               static_cast<double>(steps) / 1e6, parts, resident_bytes() >> 20, names);
    std::fflush(stderr);
    progress_shown_ = true;
  }

  void clear_progress() {
    if (!progress_shown_) return;
    fmt::print(stderr, "\r\x1b[K");
    progress_shown_ = false;
  }

  // A violation weighs more than a file that could not be read, and that more than a verdict that
  // is unknown.
  [[nodiscard]] int exit_code() const {
    for (const int code : {kExitUsage, kExitViolation, kExitUnreadable, kExitUnknown}) {
      if (std::ranges::any_of(results_, [&](const Slot& slot) { return slot.code == code; }))
        return code;
    }
    return kExitLinearizable;
  }

  static constexpr std::size_t kCoreLinesMax = 12;

  const CheckCommand& command_;
  std::uint64_t memory_bytes_ = 0;
  std::vector<Desk> desks_;
  std::atomic<std::size_t> next_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Slot> results_;  // under mutex_
  std::size_t printed_ = 0;
  bool progress_shown_ = false;
};

}  // namespace

int run_check(const CheckCommand& command) {
  return Run(command).run();
}

}  // namespace raftkv::linearizability
