// For tests of a cluster whose nodes are no nodes.
#pragma once

#include <string>
#include <vector>

#include "tests/chaos/ground.h"

namespace raftkv::chaos {

// A ground on which nothing listens.
class NoGround final : public Ground {
 public:
  std::string name() const override { return "none"; }
  Place place(int) const override { return {}; }
  std::vector<std::string> prefix(int) const override { return {}; }
  void started(int, pid_t) override {}
  void set(const Links&) override {}
  std::string why_no_delay() const override { return ""; }
};

}  // namespace raftkv::chaos
