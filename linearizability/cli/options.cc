#include "linearizability/cli/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cmath>
#include <string_view>
#include <utility>

#include "linearizability/model.h"

namespace raftkv::linearizability {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

// A positive number with one of the units behind it, in terms of the unit whose factor is 1.
template <std::size_t N>
std::optional<double> parse_with_unit(const std::string& text, const std::array<Unit, N>& units) {
  std::size_t length = 0;
  double number = 0;
  try {
    number = std::stod(text, &length);
  } catch (const std::exception&) {
    return std::nullopt;
  }
  if (!std::isfinite(number) || number < 0) return std::nullopt;
  const std::string_view name = std::string_view(text).substr(length);
  for (const Unit& unit : units) {
    if (unit.name == name && number * unit.factor < 9e18) return number * unit.factor;
  }
  return std::nullopt;
}

constexpr std::string_view kIntroduction =
    R"(Decides whether recorded histories are linearizable, with proof.

A history is what the clients of a store did: who called what, when, and what came back. It is linearizable if
each operation can be given one moment between its call and its return so that, one after the other, they behave
like the model: a register, a mutex, a store. For each file lincheck prints one line:

  FILE: linearizable|not-linearizable|unknown ops=N ms=T

Forms, told apart by content: JSON lines (our own), Jepsen log lines, EDN maps, one EDN vector or list.)";

constexpr std::string_view kExamples =
    R"(Examples:
  lincheck run.jsonl                               the model is what the file says, or what its functions suggest
  lincheck --model cas-register --initial 0 *.edn  Knossos' examples start at 0
  lincheck --html why.html run.jsonl               a page to look at: the core of a violation, or the order that works
  lincheck --json run.jsonl > proof.json           the proof, for programs
  lincheck verify run.jsonl proof.json             checks the proof without searching

Exit codes: 0 all linearizable; 1 some file is not; 2 none is not, but some verdict is unknown (a limit struck);
            64 wrong usage; 65 some file cannot be read. docs/linearizability.md has the forms, models and proofs.)";

std::string models() {
  return fmt::format("{}", fmt::join(model_names(), ", "));
}

// Options that check and verify share.
void add_judge_options(CLI::App& app, JudgeOptions& judge, std::string& format) {
  app.add_option("-m,--model", judge.model, "What the store should behave like: " + models())
      ->check(CLI::Validator(
          [](const std::string& name) {
            return find_model(name)
                       ? std::string()
                       : fmt::format("there is no model {}; there are {}", name, models());
          },
          "MODEL"));
  app.add_option("-i,--initial", judge.initial,
                 "What every key starts with, as EDN or JSON: nil, 0, '\"\"', '{x 0, y 0}' "
                 "(default: nil; the empty text for "
                 "append-kv)");
  app.add_option("-f,--format", format,
                 fmt::format("The form of the files: {}", fmt::join(format_names(), ", ")))
      ->check(CLI::Validator(
          [](const std::string& name) {
            return find_format(name) ? std::string()
                                     : fmt::format("there is no format {}; there are {}", name,
                                                   fmt::join(format_names(), ", "));
          },
          "FORMAT"));
  app.add_flag("--independent", judge.read.independent,
               "EDN values are tuples [key value], as jepsen.independent writes them");
  app.add_flag(
      "--nil-is-value", judge.read.nil_is_value,
      "In EDN, an ok read of nil found no value (default: as in Knossos, it says nothing)");
}

void add_timeout(CLI::App& app, std::string& timeout, const std::string& help) {
  app.add_option("-t,--timeout", timeout, help)
      ->check(CLI::Validator(
          [](const std::string& t) {
            return parse_duration(t) ? "" : "a time is 90s, 5m or 200ms";
          },
          "TIME"));
}

void add_check_options(CLI::App& app, CheckCommand& command, std::string& timeout,
                       std::string& memory) {
  add_timeout(
      app, timeout,
      "For each file, as 90s, 5m, 200ms; 0 for none; then the verdict is unknown (default: 60s)");
  app.add_option("--memory", memory,
                 "For the whole program, as 512MiB, 4GiB; then the verdict is unknown (default: "
                 "3/4 of the machine's)")
      ->check(CLI::Validator(
          [](const std::string& m) { return parse_size(m) ? "" : "a size is 512MiB or 4GiB"; },
          "SIZE"));
  app.add_option("-j,--jobs", command.jobs, "Files to check at once (default: one a core)")
      ->check(CLI::PositiveNumber);
  app.add_option("--html", command.html,
                 "Write a page to look at; a folder of pages if there are several files");
  app.add_flag("--json", command.json,
               "Print a JSON object for each file instead of the line: verdict, witness, core");
  app.add_option("FILE", command.files, "Histories")->type_name("");
}

}  // namespace

std::optional<std::chrono::nanoseconds> parse_duration(const std::string& text) {
  static constexpr std::array<Unit, 6> kUnits{
      {{"s", 1e9}, {"", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"m", 60e9}, {"h", 3600e9}}};
  const auto nanoseconds = parse_with_unit(text, kUnits);
  if (!nanoseconds) return std::nullopt;
  return std::chrono::nanoseconds(static_cast<std::int64_t>(*nanoseconds));
}

std::optional<std::uint64_t> parse_size(const std::string& text) {
  static constexpr std::array<Unit, 11> kUnits{{{"", 1},
                                                {"B", 1},
                                                {"K", 1024},
                                                {"M", 1048576},
                                                {"G", 1073741824},
                                                {"KiB", 1024},
                                                {"MiB", 1048576},
                                                {"GiB", 1073741824},
                                                {"KB", 1e3},
                                                {"MB", 1e6},
                                                {"GB", 1e9}}};
  const auto bytes = parse_with_unit(text, kUnits);
  if (!bytes || *bytes < 1) return std::nullopt;
  return static_cast<std::uint64_t>(*bytes);
}

CommandLine parse_command_line(int count, const char* const* arguments) {
  CommandLine line;
  std::string format, timeout, memory;
  CLI::App app{std::string(kIntroduction), "lincheck"};
  app.footer(std::string(kExamples));
  app.get_formatter()->column_width(30);
  add_judge_options(app, line.check_command.judge, format);
  add_check_options(app, line.check_command, timeout, memory);

  CLI::App* const verify = app.add_subcommand(
      "verify", "Check a proof that --json wrote, in one pass and without a search");
  add_judge_options(*verify, line.verify_command.judge, format);
  add_timeout(*verify, timeout, "For judging a core again; 0 for none (default: 60s)");
  verify->add_option("HISTORY", line.verify_command.history, "The history")
      ->required()
      ->type_name("");
  verify
      ->add_option("PROOF", line.verify_command.proof,
                   "What lincheck --json printed for it (default: standard input)")
      ->default_val("-")
      ->type_name("");
  try {
    app.parse(count, arguments);
    line.verify = verify->parsed();
    if (!line.verify && line.check_command.files.empty()) throw CLI::RequiredError("FILE");
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    line.exit = code == 0 ? kExitLinearizable : kExitUsage;
    return line;
  }
  if (!format.empty()) {
    line.check_command.judge.read.format = *find_format(format);
    line.verify_command.judge.read.format = *find_format(format);
  }
  if (!timeout.empty()) {
    line.check_command.timeout = line.verify_command.timeout = *parse_duration(timeout);
  }
  if (!memory.empty()) line.check_command.memory_bytes = *parse_size(memory);
  return line;
}

}  // namespace raftkv::linearizability
