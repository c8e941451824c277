// The Observer of a real node: writes what changed to the log, one line an event, and counts it.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "src/app/metrics.h"
#include "src/replica/ports.h"

namespace raftkv::app {

class EventLog final : public replica::Observer {
 public:
  struct Hooks {
    std::function<void()> promise_repaired;              // say so durably
    std::function<void(const Error& why)> node_stopped;  // the disk has failed
  };

  // `metrics` must outlive it.
  EventLog(Metrics& metrics, Hooks hooks);

  // The configuration at the start; later ones are events.
  void know(raft::Configuration configuration) { configuration_ = std::move(configuration); }

  void observe(const replica::Event& event) override;

 private:
  struct Writer;
  // The name of a member, or its number for one that is not known here.
  [[nodiscard]] std::string name_of(raft::MemberId member) const;

  raft::Configuration configuration_;
  Metrics& metrics_;
  Hooks hooks_;
};

}  // namespace raftkv::app
