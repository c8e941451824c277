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
  // `metrics` must outlive it. `node_stopped`: the disk has failed.
  EventLog(Metrics& metrics, std::function<void(const Error& why)> node_stopped);

  // The configuration at the start; later ones are events.
  void know(raft::Configuration configuration) { configuration_ = std::move(configuration); }

  void observe(const replica::Event& event) override;

 private:
  struct Writer;
  // The name of a member, or its number for one that is not known here.
  [[nodiscard]] std::string name_of(raft::MemberId member) const;

  raft::Configuration configuration_;
  Metrics& metrics_;
  std::function<void(const Error& why)> node_stopped_;
};

}  // namespace raftkv::app
