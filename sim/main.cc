// raftkv-sim: the node in a deterministic world (docs/simulation.md).
#include <CLI/CLI.hpp>
#include <cstdio>
#include <optional>
#include <string>

#include "sim/cli/options.h"
#include "sim/options.h"
#include "sim/schedule.h"

namespace {

using raftkv::sim::cli::MergeCommand;
using raftkv::sim::cli::ReplayCommand;
using raftkv::sim::cli::RunCommand;
using raftkv::sim::cli::ShrinkCommand;
using raftkv::sim::cli::SwarmCommand;
using raftkv::sim::cli::TallyOutputs;

// 60s, 1500ms: as schedules write durations.
void add_time(CLI::App* app, const std::string& name, raftkv::Duration& duration,
              const std::string& what) {
  app->add_option_function<std::string>(
         name,
         [&duration, name](const std::string& text) {
           const auto parsed = raftkv::sim::parse_duration(text);
           if (!parsed) throw CLI::ValidationError(name, parsed.error().message);
           duration = *parsed;
         },
         what)
      ->type_name("TIME");
}
void add_duration(CLI::App* app, raftkv::Duration& duration) {
  add_time(app, "--duration", duration,
           "simulated time of the first phase, as 20s or 500ms (default 20s)");
}

void add_outputs(CLI::App* app, TallyOutputs& outputs) {
  app->add_flag("--marks", outputs.marks,
                "prints how many seeds came to each rare moment, and which did first");
  CLI::Option* every =
      app->add_flag("--every-mark", outputs.every_mark, "fails if no seed came to one of them");
  app->add_option("--but", outputs.but, "but these: names, each with a --but of its own")
      ->needs(every)
      ->allow_extra_args(false);
  app->add_option("--json", outputs.json, "writes the results to this file, for merge");
}
void add_storage(CLI::App* app, std::optional<bool>& leveldb, const std::string& otherwise) {
  app->add_option_function<std::string>(
         "--storage", [&leveldb](const std::string& text) { leveldb = text == "leveldb"; },
         "what the nodes store on: memory, or leveldb on simulated files (default: " + otherwise +
             ")")
      ->check(CLI::IsMember({"memory", "leveldb"}))
      ->type_name("memory|leveldb");
}

// 1..1000, or a single seed.
void parse_seeds(const std::string& text, SwarmCommand& swarm) {
  const std::size_t dots = text.find("..");
  const std::string first = text.substr(0, dots);
  const std::string last = dots == std::string::npos ? first : text.substr(dots + 2);
  if (!CLI::detail::lexical_cast(first, swarm.first) ||
      !CLI::detail::lexical_cast(last, swarm.last) || swarm.first > swarm.last) {
    throw CLI::ValidationError("--seeds", "'" + text + "' is no range of seeds: A..B");
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Runs raft-kv's nodes in a deterministic world and checks what must hold.",
               "raftkv-sim");
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 nothing violated, 1 violated (the last lines name the invariant and the "
      "command that\n"
      "reproduces it), 2 usage.");
  const auto kNodes = CLI::Range(std::uint64_t{1}, raftkv::sim::kNodesMax - 4);

  RunCommand run;
  CLI::App* run_app = app.add_subcommand("run", "runs one seed");
  run_app->add_option("--seed", run.seed, "the seed")->required();
  run_app->add_option("--nodes", run.nodes, "voters at the beginning (default: drawn, 1 to 7)")
      ->check(kNodes);
  add_duration(run_app, run.duration);
  add_storage(run_app, run.leveldb, "drawn, leveldb in a tenth of the seeds");
  run_app->add_option("--trace", run.trace,
                      "writes a line an event to this file; - is standard output");
  run_app->add_option("--history", run.history,
                      "writes what clients did as JSON lines, for lincheck");
  run_app->add_option(
      "--html", run.html,
      "writes the run as a page to look at, and beside it lincheck's of its history");
  run_app->add_option("--schedule", run.schedule,
                      "writes what was drawn as a file that replay runs; - is standard output");

  SwarmCommand swarm;
  CLI::App* swarm_app = app.add_subcommand("swarm", "runs many seeds");
  swarm_app
      ->add_option_function<std::string>(
          "--seeds", [&swarm](const std::string& text) { parse_seeds(text, swarm); },
          "A..B, both inclusive")
      ->required()
      ->type_name("A..B");
  swarm_app->add_option("--jobs", swarm.jobs, "processes at once (default 1)")
      ->check(CLI::Range(1, 1024));
  swarm_app->add_option("--nodes", swarm.nodes, "voters at the beginning (default: drawn, 1 to 7)")
      ->check(kNodes);
  add_duration(swarm_app, swarm.duration);
  add_storage(swarm_app, swarm.leveldb, "drawn, leveldb in a tenth of the seeds");
  swarm_app->add_flag("--twice", swarm.twice,
                      "runs every seed twice and compares the trace hashes");
  swarm_app->add_flag("--hashes", swarm.hashes, "prints each seed's trace hash");
  swarm_app->add_flag("--keep-going", swarm.keep_going, "does not end at the first failure");

  add_outputs(swarm_app, swarm.outputs);

  MergeCommand merge;
  CLI::App* merge_app =
      app.add_subcommand("merge", "adds up what several runs of swarm have written with --json");
  merge_app->add_option("file", merge.files, "the files")->required();
  add_outputs(merge_app, merge.outputs);

  ReplayCommand replay;
  CLI::App* replay_app = app.add_subcommand("replay", "runs a schedule file");
  replay_app->add_option("file", replay.file, "the file")->required();
  add_storage(replay_app, replay.leveldb, "as the file says");
  replay_app->add_option("--trace", replay.trace,
                         "writes a line an event to this file; - is standard output");
  replay_app->add_option("--history", replay.history,
                         "writes what clients did as JSON lines, for lincheck");
  replay_app->add_option("--html", replay.html,
                         "writes the run as a page to look at, and beside it lincheck's");

  ShrinkCommand shrink;
  CLI::App* shrink_app =
      app.add_subcommand("shrink", "reduces a failing run to a schedule that a person understands");
  CLI::Option* shrink_seed = shrink_app->add_option("--seed", shrink.seed, "the seed that fails");
  shrink_app->add_option("file", shrink.file, "or a schedule file that fails")
      ->excludes(shrink_seed);
  shrink_app->add_option("--nodes", shrink.nodes, "as for run")->check(kNodes);
  add_duration(shrink_app, shrink.duration);
  add_storage(shrink_app, shrink.leveldb, "as for run, or as the file says");
  shrink_app->add_option("-o,--output", shrink.output,
                         "writes the schedule to this file (default: standard output)");
  shrink_app->add_flag("--test", shrink.test, "prints it as a C++ test to paste, too");
  add_time(shrink_app, "--timeout", shrink.timeout,
           "ends with the best so far after this time; 0s: never (default 60s)");
  shrink_app->add_option("--runs", shrink.runs,
                         "ends with the best so far after so many runs (default 20000)");

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? raftkv::sim::cli::kExitClean : raftkv::sim::cli::kExitUsage;
  }
  if (run_app->parsed()) return raftkv::sim::cli::run(run);
  if (swarm_app->parsed()) return raftkv::sim::cli::swarm(swarm);
  if (merge_app->parsed()) return raftkv::sim::cli::merge(merge);
  if (shrink_app->parsed()) {
    if (shrink.file.empty() && shrink_seed->count() == 0) {
      (void)std::fputs("raftkv-sim shrink: --seed N or a schedule file; see --help\n", stderr);
      return raftkv::sim::cli::kExitUsage;
    }
    return raftkv::sim::cli::shrink(shrink);
  }
  return raftkv::sim::cli::replay(replay);
}
