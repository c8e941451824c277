#include "linearizability/cli/judge.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "linearizability/cli/file.h"
#include "linearizability/readers/token.h"
#include "linearizability/timeline/timeline.h"

namespace raftkv::linearizability {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

constexpr std::string_view kTimeReason = "the time limit struck (--timeout)";
constexpr std::string_view kMemoryReason = "the memory limit struck (--memory)";

// Whether a limit has struck, and which. Memory is looked at less often than the clock: it costs a
// system call.
class Watch {
 public:
  explicit Watch(const Limits& limits) : limits_(limits) {}

  bool keep_going() {
    if (!reason_.empty()) return false;
    if (Clock::now() >= limits_.deadline) reason_ = kTimeReason;
    if (limits_.process_bytes > 0 && resident_bytes() > limits_.process_bytes)
      reason_ = kMemoryReason;
    return reason_.empty();
  }
  [[nodiscard]] std::string_view reason() const { return reason_; }

 private:
  const Limits& limits_;
  std::string_view reason_;
};

Report unknown(std::string_view reason) {
  Report report;
  report.reason = reason;
  return report;
}

// The check proper. Errors: the model does not know a function of the history.
Result<Report> check_within(const Case& subject, const Limits& limits, Watch& watch) {
  const std::uint64_t held =
      subject.reading.history.memory_bytes() + subject.reading.lines.capacity() * 4;
  if (limits.memory_bytes > 0 && held >= limits.memory_bytes) return unknown(kMemoryReason);
  Options options;
  options.model = subject.model;
  options.initial = subject.initial;
  if (limits.memory_bytes > 0) options.memory_bytes_max = limits.memory_bytes - held;
  options.keep_going = [&](const Progress& progress) {
    if (limits.on_progress) limits.on_progress(progress);
    return watch.keep_going();
  };
  auto report = check(subject.reading.history, options);
  if (report && report->verdict == Verdict::unknown) {
    if (!watch.reason().empty()) report->reason = watch.reason();
    if (report->reason == "memory") report->reason = kMemoryReason;
  }
  return report;
}

// The bytes of the UTF-8 character at the beginning of `text`; 0 if there is none.
std::size_t character_size(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const std::size_t size = first < 0x80   ? 1
                           : first < 0xc2 ? 0
                           : first < 0xe0 ? 2
                           : first < 0xf0 ? 3
                           : first < 0xf5 ? 4
                                          : 0;
  if (size > text.size()) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 0;
  }
  return size;
}

// A JSON string. Keys, values and names of files may be any bytes: what is no UTF-8 becomes U+FFFD.
void append_string(std::string& out, std::string_view text) {
  std::string valid;
  while (!text.empty()) {
    const std::size_t size = character_size(text);
    if (size == 0) {
      valid += "\xef\xbf\xbd";
      text.remove_prefix(1);
    } else {
      valid += text.substr(0, size);
      text.remove_prefix(size);
    }
  }
  append_quoted(out, valid);
}

void append_ids(std::string& out, std::string_view name, std::span<const OperationId> ids) {
  fmt::format_to(std::back_inserter(out), "\"{}\":[", name);
  std::array<char, 16> digits;
  for (std::size_t i = 0; i < ids.size(); ++i) {  // a witness may have millions: no fmt here
    if (i > 0) out += ',';
    out.append(digits.data(),
               std::to_chars(digits.data(), digits.data() + digits.size(), ids[i]).ptr);
  }
  out += ']';
}

void append_core(std::string& out, const Judged& judged) {
  const Core& core = judged.report.core;
  const History& history = judged.subject.reading.history;
  fmt::format_to(std::back_inserter(out), ",\"core\":{{\"minimal\":{},", core.minimal);
  append_ids(out, "operations", core.operations);
  append_ids(out += ',', "weakened", core.weakened);
  out += ",\"described\":[";
  for (const OperationId id : core.operations) {
    if (id != core.operations.front()) out += ',';
    const Operation& operation = history[id];
    fmt::format_to(std::back_inserter(out),
                   "{{\"op\":{},\"line\":{},\"process\":{},\"end\":\"{}\",\"what\":", id,
                   judged.subject.reading.lines[id], operation.process, to_string(operation.end));
    append_string(out, label_of(history, id));
    out += '}';
  }
  out += "]}";
}

void append_explanation(std::string& out, const Explanation& explanation) {
  fmt::format_to(std::back_inserter(out), ",\"explanation\":{{\"failing\":{},\"possibilities\":[",
                 explanation.failing);
  bool begun = false;
  for (const auto& possibility : explanation.possibilities) {
    if (std::exchange(begun, true)) out += ',';
    out += "{\"state\":";
    append_string(out, possibility.state);
    append_ids(out += ',', "linearized", possibility.linearized);
    out += ",\"next\":[";
    for (std::size_t i = 0; i < possibility.next.size(); ++i) {
      fmt::format_to(std::back_inserter(out), "{}{{\"op\":{},\"why\":", i > 0 ? "," : "",
                     possibility.next[i].operation);
      append_string(out, possibility.next[i].why);
      out += '}';
    }
    out += "]}";
  }
  out += "]}";
}

}  // namespace

Result<Case> read_case(const std::string& file, const JudgeOptions& options,
                       const KeepGoing& keep_going) {
  const auto start = Clock::now();
  const auto input = InputFile::open(file);
  if (!input) return failure(input);
  ReadOptions read = options.read;
  if (options.model) read.model = *options.model;
  read.keep_going = keep_going;
  auto reading = read_history(input->text(), read);
  if (!reading) return failure(reading);

  Case subject{.reading = std::move(*reading),
               .model = nullptr,
               .initial = kUnsaid,
               .model_is_assumed = false,
               .read_ms = 0};
  subject.model_is_assumed = !options.model && !subject.reading.model_is_named;
  const std::string model = options.model.value_or(subject.reading.model);
  subject.model = find_model(model);
  if (!subject.model)
    return failure(ErrorCode::invalid,
                   fmt::format("the history names the model {}, which is unknown", model));
  if (const auto initial = options.initial ? options.initial : subject.reading.initial) {
    const auto value = read_initial(subject.reading.history, *initial);
    if (!value) return failure(ErrorCode::unsupported, value.error().message);
    subject.initial = *value;
  }
  subject.read_ms = ms_since(start);
  return subject;
}

Judged judge(const std::string& file, const JudgeOptions& options, const Limits& limits) {
  Judged judged;
  judged.file = file;
  Watch watch(limits);
  const auto opened = Clock::now();
  auto subject = read_case(file, options, [&](std::uint32_t) { return watch.keep_going(); });
  if (!subject && subject.error().code == ErrorCode::exhausted && !watch.reason().empty()) {
    judged.report = unknown(watch.reason());
    judged.subject.read_ms = ms_since(opened);
    return judged;
  }
  if (!subject) {
    judged.error = subject.error();
    return judged;
  }
  judged.subject = std::move(*subject);
  const auto start = Clock::now();
  auto report = check_within(judged.subject, limits, watch);
  if (!report) {
    judged.error = report.error();
    return judged;
  }
  judged.report = std::move(*report);
  judged.check_ms = ms_since(start);
  if (judged.report.verdict == Verdict::not_linearizable) {
    Options explained;
    explained.model = judged.subject.model;
    explained.initial = judged.subject.initial;
    judged.explanation = explain(judged.subject.reading.history, judged.report.core, explained);
  }
  return judged;
}

std::string line_of(const Judged& judged) {
  return fmt::format("{}: {} ops={} ms={:.1f}", judged.file, to_string(judged.report.verdict),
                     judged.subject.reading.history.size(), judged.ms());
}

std::string json_of(const Judged& judged) {
  const Case& subject = judged.subject;
  const Report& report = judged.report;
  std::string out = "{\"lincheck\":1,\"file\":";
  append_string(out, judged.file);
  if (judged.error) {
    append_string(out += ",\"error\":", judged.error->message);
    return out += '}';
  }
  fmt::format_to(
      std::back_inserter(out),
      ",\"verdict\":\"{}\",\"ops\":{},\"ms\":{:.3f},\"read_ms\":{:.3f},\"check_ms\":{:.3f}",
      to_string(report.verdict), subject.reading.history.size(), judged.ms(), subject.read_ms,
      judged.check_ms);
  if (!report.reason.empty()) append_string(out += ",\"reason\":", report.reason);
  if (!subject.model) return out += '}';  // a limit struck while reading
  fmt::format_to(std::back_inserter(out),
                 ",\"format\":\"{}\",\"model\":\"{}\",\"steps\":{},\"algorithms\":[",
                 to_string(subject.reading.format), subject.model->name(), report.steps);
  for (std::size_t i = 0; i < report.deciders.size(); ++i) {
    fmt::format_to(std::back_inserter(out), "{}\"{}\"", i > 0 ? "," : "",
                   to_string(report.deciders[i]));
  }
  out += ']';
  if (subject.initial != kUnsaid)
    append_string(out += ",\"initial\":", subject.reading.history.values().print(subject.initial));
  if (report.verdict == Verdict::linearizable) append_ids(out += ',', "witness", report.witness);
  if (report.verdict == Verdict::not_linearizable) append_core(out, judged);
  if (judged.explanation) append_explanation(out, *judged.explanation);
  return out += '}';
}

std::uint64_t resident_bytes() {
  const int descriptor = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return 0;
  std::array<char, 128> text{};
  const ssize_t size = ::read(descriptor, text.data(), text.size());
  ::close(descriptor);
  if (size <= 0) return 0;
  const char* const end = text.data() + size;
  const char* const second = std::find(static_cast<const char*>(text.data()), end, ' ');
  std::uint64_t pages = 0;
  if (second != end) std::from_chars(second + 1, end, pages);
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::uint64_t machine_bytes() {
  return static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
         static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace raftkv::linearizability
