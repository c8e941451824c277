// What goes wrong on purpose. The words are those of the simulator's schedules (sim/schedule.h)
// where it knows the fault; docs/chaos.md describes each.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/prng.h"
#include "tests/chaos/cluster.h"

namespace raftkv::chaos {

// Faults of one kind do not overlap.
enum class Field : std::uint8_t { links, processes, disks };

class Nemesis {
 public:
  virtual ~Nemesis() = default;
  // Does it, and says what, as a line of a schedule without its time.
  virtual std::string strike() = 0;
  // Undoes it; processes are on their way back when it returns.
  virtual void heal() = 0;
  // Whether what it did is over: a node that was wiped is a voter again.
  virtual bool recovered() { return true; }
  // Empty, or what a node did that it must not do.
  [[nodiscard]] virtual std::string broken() const { return ""; }
  // How long it should last at least.
  [[nodiscard]] virtual milliseconds least() const { return milliseconds(0); }
};

// What nemeses work on. Links are shared by those that change them.
struct World {
  Cluster& cluster;
  Prng& prng;
  Links links;
  int small_disk = -1;
  milliseconds patience{30'000};  // with a node that must end
};

struct NemesisKind {
  std::string_view name;
  Field field;
  std::string_view what;
  std::unique_ptr<Nemesis> (*make)(World&);
};

// All that there are, in the order of the documentation.
[[nodiscard]] const std::vector<NemesisKind>& nemesis_kinds();
// Null if there is none of this name.
[[nodiscard]] const NemesisKind* find_nemesis(std::string_view name);

}  // namespace raftkv::chaos
