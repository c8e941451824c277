// One file: read, judged, explained.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "linearizability/check.h"
#include "linearizability/cli/options.h"
#include "linearizability/readers/reader.h"
#include "src/base/result.h"

namespace raftkv::linearizability {

// A file with the model that is to judge it.
struct Case {
  Reading reading;
  const Model* model = nullptr;
  Value initial;
  bool model_is_assumed = false;  // neither the command line nor the file named it
  double read_ms = 0;
};

struct Judged {
  std::string file;
  std::optional<Error> error;  // then nothing below is set; ErrorCode::unsupported is wrong usage,
                               // others unreadable input
  Case subject;
  Report report;
  std::optional<Explanation> explanation;
  double check_ms = 0;
  [[nodiscard]] double ms() const { return subject.read_ms + check_ms; }
};

// What a judgement may use.
struct Limits {
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  std::uint64_t memory_bytes = 0;                    // of this file's judgement
  std::uint64_t process_bytes = 0;                   // of the process, resident
  std::function<void(const Progress&)> on_progress;  // called about every millisecond of work
};

// ErrorCode::exhausted if a limit struck while reading.
[[nodiscard]] Result<Case> read_case(const std::string& file, const JudgeOptions& options,
                                     const KeepGoing& keep_going = {});

// Never fails: what went wrong is in Judged::error, and a limit that struck makes the verdict
// unknown.
[[nodiscard]] Judged judge(const std::string& file, const JudgeOptions& options,
                           const Limits& limits);

// "FILE: linearizable ops=N ms=T"
[[nodiscard]] std::string line_of(const Judged& judged);
// What --json prints: one line, without its end.
[[nodiscard]] std::string json_of(const Judged& judged);

// The resident memory of this process now, and what the machine has, in bytes.
[[nodiscard]] std::uint64_t resident_bytes();
[[nodiscard]] std::uint64_t machine_bytes();

}  // namespace raftkv::linearizability
