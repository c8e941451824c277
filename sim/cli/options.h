// The command line of raftkv-sim.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/base/time.h"

namespace raftkv::sim::cli {

inline constexpr int kExitClean = 0;
inline constexpr int kExitViolated = 1;
inline constexpr int kExitUsage = 2;

struct RunCommand {
  std::uint64_t seed = 1;
  std::uint64_t nodes = 0;  // voters; 0: drawn
  Duration duration = 20s;
  std::optional<bool> leveldb;  // nullopt: drawn
  std::string trace;            // file; "-": standard output
  std::string history;          // file
  std::string schedule;         // file to write what was drawn to
  std::string html;             // file
};
// What is said of a hunt beside its summary.
struct TallyOutputs {
  bool marks = false;            // how many seeds reached each mark, and which did first
  bool every_mark = false;       // a mark that no seed reached is a failure
  std::vector<std::string> but;  // names of marks that are none
  std::string json;              // file; "": none
};
struct SwarmCommand {
  std::uint64_t first = 1;
  std::uint64_t last = 1;  // inclusive
  std::uint64_t jobs = 1;
  std::uint64_t nodes = 0;
  Duration duration = 20s;
  std::optional<bool> leveldb;  // nullopt: drawn
  bool twice = false;           // every seed again: the trace hashes must be equal
  bool hashes = false;          // a line "SEED HASH" for each
  bool keep_going = false;      // do not end at the first failure
  TallyOutputs outputs;
};
struct MergeCommand {
  std::vector<std::string> files;  // at least one
  TallyOutputs outputs;
};
struct ReplayCommand {
  std::string file;
  std::optional<bool> leveldb;  // nullopt: as the file says
  std::string trace;
  std::string history;
  std::string html;
};
struct ShrinkCommand {
  std::uint64_t seed = 1;
  std::uint64_t nodes = 0;
  Duration duration = 20s;
  std::optional<bool> leveldb;  // nullopt: drawn
  std::string file;             // instead of a seed
  std::string output;           // file; empty: standard output
  bool test = false;            // print it as C++, too
  Duration timeout = 60s;
  std::uint64_t runs = 20'000;
};

// Each gives the exit code.
[[nodiscard]] int run(const RunCommand& command);
[[nodiscard]] int swarm(const SwarmCommand& command);
[[nodiscard]] int merge(const MergeCommand& command);
[[nodiscard]] int replay(const ReplayCommand& command);
[[nodiscard]] int shrink(const ShrinkCommand& command);

// Call before each run: when a CHECK in the code under test stops the process, this says what was
// run.
void note_run(const std::string& reproduce);

}  // namespace raftkv::sim::cli
