// The command line of lincheck.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "linearizability/readers/reader.h"

namespace raftkv::linearizability {

// Exit codes (docs/linearizability.md).
inline constexpr int kExitLinearizable = 0;
inline constexpr int kExitViolation = 1;
inline constexpr int kExitUnknown = 2;
inline constexpr int kExitUsage = 64;
inline constexpr int kExitUnreadable = 65;

// How files are read, and by what they are judged.
struct JudgeOptions {
  std::optional<std::string> model;  // none: as the history says or suggests
  std::optional<std::string> initial;
  ReadOptions read;
};

struct CheckCommand {
  JudgeOptions judge;
  std::chrono::nanoseconds timeout{
      std::chrono::seconds(60)};   // of a file, from the moment that it is opened; 0: none
  std::uint64_t memory_bytes = 0;  // of the whole process; 0: most of what the machine has
  std::size_t jobs = 0;            // files at once; 0: one a core
  std::string html;  // a file, or a folder if there are several files; empty: no picture
  bool json = false;
  std::vector<std::string> files;
};

struct VerifyCommand {
  JudgeOptions judge;
  std::chrono::nanoseconds timeout{std::chrono::seconds(60)};  // for a core; 0: none
  std::string history;
  std::string proof;  // what --json wrote; "-" is the standard input
};

struct CommandLine {
  std::optional<int> exit;  // usage errors and --help have said what they had to say
  bool verify = false;
  CheckCommand check_command;
  VerifyCommand verify_command;
};

[[nodiscard]] CommandLine parse_command_line(int count, const char* const* arguments);

// "90s", "1.5m", "200ms", "2h"; a bare number is seconds. Nothing if it is none of these.
[[nodiscard]] std::optional<std::chrono::nanoseconds> parse_duration(const std::string& text);
// "512MiB", "2GiB", "1000000", also with K, M, G or KB, MB, GB, which are powers of 1000 with a B
// and of 1024 without.
[[nodiscard]] std::optional<std::uint64_t> parse_size(const std::string& text);

}  // namespace raftkv::linearizability
