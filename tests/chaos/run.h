// One run: nodes, clients, faults, and the verdict.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/chaos/clients.h"

namespace raftkv::chaos {

// As lincheck's.
inline constexpr int kGood = 0;
inline constexpr int kViolated = 1;
inline constexpr int kUnknown = 2;
inline constexpr int kUsage = 64;

struct RunOptions {
  int nodes = 5;
  int clients = 16;
  double seconds = 60;
  std::vector<std::string> nemeses = {};  // names; empty: all that this machine can do
  bool mix = true;                        // now and then two faults at once
  std::uint64_t seed = 1;
  std::string network = "auto";  // namespaces, proxy, auto
  std::string raftkv;            // the program
  std::string history = {}, html = {}, figures = {};
  Control control = Control::none;
  bool keep = false;  // the nodes' directories and logs stay
  // So long a majority may run, connected, without an acknowledged write. A longer time is no
  // violation: it is told, and the directories and logs stay.
  double longest_gap_seconds = 5;
  double check_seconds = 120;
};

// Prints what happens and the verdict; the exit code. `interrupted` is asked often: when it is true
// the run ends early, without a verdict, and takes everything away.
[[nodiscard]] int run(const RunOptions& options, bool (*interrupted)());

}  // namespace raftkv::chaos
