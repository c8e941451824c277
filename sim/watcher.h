// Somebody who watches a run from outside: a recorder. Nothing in a run depends on it.
#pragma once

#include "sim/event_queue.h"
#include "sim/network.h"
#include "src/base/bytes.h"

namespace raftkv::sim {

class World;

struct Watcher {
  virtual ~Watcher() = default;
  // An event has been handled.
  virtual void happened(const World& world, const Event& event) = 0;
  // A frame leaves a node, and this will become of it.
  virtual void sent(Instant now, Endpoint from, Endpoint to, const SharedBytes& frame,
                    const Fate& fate) = 0;
  // The run is over.
  virtual void ended(const World& world) = 0;
};

}  // namespace raftkv::sim
