// raftkv-chaos: real processes, real sockets, real faults, and a verdict (docs/chaos.md).
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "tests/chaos/belongings.h"
#include "tests/chaos/figures.h"
#include "tests/chaos/nemesis.h"
#include "tests/chaos/run.h"
#include "tests/process/cluster.h"
#include "tests/process/files.h"

namespace raftkv::chaos {
namespace {

volatile sig_atomic_t g_interrupted = 0;

void interrupt(int) {
  g_interrupted = 1;
}

void catch_signals() {
  struct sigaction action{};
  action.sa_handler = interrupt;
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(number, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

// "90s", "5m", "1h" or a number of seconds; 0 if it is none.
double seconds_of(const std::string& text) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  const std::string unit = end;
  const double factor = unit == "h"                   ? 3600
                        : unit == "m"                 ? 60
                        : unit == "s" || unit.empty() ? 1
                        : unit == "ms"                ? 0.001
                                                      : 0;
  return number * factor;
}

std::string nemeses_help() {
  std::string text = "Faults:\n";
  for (const NemesisKind& kind : nemesis_kinds())
    text += fmt::format("  {:<16} {}\n", kind.name, kind.what);
  return text +
         "  none             no fault at all\n"
         "Exit codes: 0 every promise was kept, 1 one was not, 2 unknown or no run, 64 usage.";
}

struct Parsed {
  RunOptions options;
  std::string duration = "60s";
  std::string control = "none";
  std::string gap = "5s";
};

void add_run(CLI::App& run, Parsed& parsed) {
  RunOptions& options = parsed.options;
  run.add_option("--nodes", options.nodes, "nodes in the cluster")
      ->check(CLI::Range(3, kNodesMost))
      ->capture_default_str();
  run.add_option("--clients", options.clients, "clients at once")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  run.add_option("--duration", parsed.duration, "of the faults: 90s, 5m, 1h")
      ->capture_default_str();
  run.add_option("--nemesis", options.nemeses, "faults, separated by commas (default: all)")
      ->delimiter(',');
  run.add_flag("--mix,!--no-mix", options.mix, "now and then two faults at once")
      ->capture_default_str();
  run.add_option("--seed", options.seed,
                 "of faults and operations; the processes' timing stays their own")
      ->capture_default_str();
  run.add_option("--network", options.network, "how links are cut")
      ->check(CLI::IsMember({"auto", "namespaces", "proxy"}))
      ->capture_default_str();
  run.add_option("--history", options.history, "writes the history (JSON lines, for lincheck)");
  run.add_option("--html", options.html, "writes the picture, with the faults as bands");
  run.add_option("--figures", options.figures, "writes the figures by fault as JSON");
  run.add_option("--raftkv", options.raftkv, "the program to run as nodes")->capture_default_str();
  run.add_option("--control", parsed.control,
                 "a wrong judgement that must end in a violation: stale-as-consistent,\n"
                 "unknown-as-failed")
      ->check(CLI::IsMember({"none", "stale-as-consistent", "unknown-as-failed"}));
  run.add_option("--check-timeout", options.check_seconds, "seconds for the linearizability check")
      ->capture_default_str();
  run.add_flag("--keep", options.keep, "keeps the nodes' directories and logs");
  run.add_option("--longest-gap", parsed.gap,
                 "a longer time without an acknowledged write, although a majority ran and was\n"
                 "connected, gives a warning, and the directories and logs stay")
      ->capture_default_str();
  run.footer(nemeses_help());
}

bool complete(Parsed& parsed) {
  parsed.options.seconds = seconds_of(parsed.duration);
  parsed.options.longest_gap_seconds = seconds_of(parsed.gap);
  for (const std::string& text : {parsed.duration, parsed.gap}) {
    if (seconds_of(text) > 0) continue;
    fmt::print(stderr, "raftkv-chaos: '{}' is no duration: 90s, 5m, 1h\n", text);
    return false;
  }
  for (const std::string& name : parsed.options.nemeses) {
    if (name != "none" && find_nemesis(name) == nullptr) {
      fmt::print(stderr, "raftkv-chaos: no fault '{}'; see raftkv-chaos run --help\n", name);
      return false;
    }
  }
  if (parsed.control == "stale-as-consistent")
    parsed.options.control = Control::stale_as_consistent;
  if (parsed.control == "unknown-as-failed") parsed.options.control = Control::unknown_as_failed;
  return true;
}

// The figures of several runs, as one table.
int add_figures(const std::vector<std::string>& files) {
  std::vector<Figures> all;
  for (const std::string& file : files) {
    const auto figures = parse_figures(process::read_file(file));
    if (!figures) {
      fmt::print(stderr, "raftkv-chaos: '{}' has no figures of raftkv-chaos run --figures\n", file);
      return kUsage;
    }
    add(all, *figures);
  }
  fmt::print("{}", table_of(all));
  return kGood;
}

int chaos(int argc, char** argv) {
  Parsed parsed;
  parsed.options.raftkv = process::raftkv_program();
  CLI::App app{"Real nodes, real faults, and a verdict"};
  app.require_subcommand(1);
  CLI::App* const run_command = app.add_subcommand("run", "a cluster under faults, judged");
  add_run(*run_command, parsed);
  CLI::App* const clean_command =
      app.add_subcommand("clean", "takes away what runs left that were killed");
  std::vector<std::string> files;
  CLI::App* const figures_command =
      app.add_subcommand("figures", "the figures of several runs, added up");
  figures_command->add_option("FILE", files, "what --figures has written")->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  if (clean_command->parsed()) return clean();
  if (figures_command->parsed()) return add_figures(files);
  if (!complete(parsed)) return kUsage;
  catch_signals();
  return run(parsed.options, [] { return g_interrupted != 0; });
}

}  // namespace
}  // namespace raftkv::chaos

int main(int argc, char** argv) {
  return raftkv::chaos::chaos(argc, argv);
}
