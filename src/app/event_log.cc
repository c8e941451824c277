#include "src/app/event_log.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "src/app/logs.h"

namespace raftkv::app {
namespace {

std::string names(const raft::Configuration& configuration, const raft::VoterSet& set) {
  std::string all;
  for (const raft::MemberId id : set) {
    const raft::Member* member = configuration.find(id);
    all += (all.empty() ? "" : ",") + (member != nullptr ? member->name : std::to_string(id.value));
  }
  return all.empty() ? "-" : all;
}

raft::VoterSet learners(const raft::Configuration& configuration) {
  raft::VoterSet all;
  for (const raft::Member& member : configuration.members) {
    if (configuration.is_learner(member.id)) all.push_back(member.id);
  }
  return all;
}

}  // namespace

EventLog::EventLog(Metrics& metrics, std::function<void(const Error& why)> node_stopped)
    : metrics_(metrics), node_stopped_(std::move(node_stopped)) {}

std::string EventLog::name_of(raft::MemberId id) const {
  if (!id) return "-";
  const raft::Member* member = configuration_.find(id);
  return member != nullptr ? member->name : std::to_string(id.value);
}

struct EventLog::Writer {
  EventLog& log;

  void operator()(const raft::Event& event) const { std::visit(*this, event); }
  void operator()(const raft::RoleChanged& e) const {
    spdlog::info("event=role role={} term={} reason={}", raft::to_string(e.role), e.term.value,
                 quoted(e.reason));
  }
  void operator()(const raft::LeaderChanged& e) const {
    log.metrics_.leader_changed();
    spdlog::info("event=leader leader={} member={} term={}", log.name_of(e.leader), e.leader.value,
                 e.term.value);
  }
  void operator()(const raft::Committed&) const {}
  void operator()(const raft::Truncated& e) const {
    spdlog::info("event=log_truncated from={}", e.from.value);
  }
  void operator()(const raft::ConfigurationChanged& e) const {
    log.configuration_ = e.configuration;
    spdlog::info("event=configuration index={} voters={} outgoing={} learners={}", e.index.value,
                 names(e.configuration, e.configuration.voters),
                 names(e.configuration, e.configuration.outgoing),
                 names(e.configuration, learners(e.configuration)));
  }
  void operator()(const raft::TransferEnded& e) const {
    spdlog::info("event=transfer_ended target={} done={}", log.name_of(e.target), e.done);
  }
  void operator()(const raft::PromiseRepaired&) const { spdlog::info("event=promise_repaired"); }
  void operator()(const raft::SnapshotInstalled& e) const {
    log.metrics_.snapshot_installed();
    spdlog::info("event=snapshot_installed index={} term={}", e.index.value, e.term.value);
  }
  void operator()(const raft::SnapshotSent& e) const {
    log.metrics_.snapshot_sent();
    spdlog::info("event=snapshot_sent peer={} index={}", log.name_of(e.peer), e.index.value);
  }
  void operator()(const raft::LogCutTo& e) const {
    spdlog::info("event=log_cut first={}", e.first.value);
  }
  void operator()(const replica::ChunkSent& e) const { log.metrics_.chunk_sent(e.bytes); }
  void operator()(const replica::ChunkReceived& e) const { log.metrics_.chunk_received(e.bytes); }
  void operator()(const replica::Marked& e) const { log.metrics_.marked(e.marks); }
  void operator()(const replica::SnapshotFailed& e) const {
    log.metrics_.snapshot_failed();
    spdlog::warn("event=snapshot_failed reason={}", quoted(e.reason));
  }
  void operator()(const replica::Applied&) const {}
  void operator()(const replica::FrameRefused&) const {
    log.metrics_.frame_refused();
  }  // src/net logs it
  void operator()(const replica::Stopped& e) const { log.node_stopped_(e.error); }
};

void EventLog::observe(const replica::Event& event) {
  std::visit(Writer{*this}, event);
}

}  // namespace raftkv::app
