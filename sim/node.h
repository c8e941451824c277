// A node: a data directory that outlives its processes, and the process that runs on it, if one
// does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/kernel.h"
#include "sim/node_storage.h"
#include "sim/process.h"
#include "src/replica/join.h"

namespace raftkv::sim {

class Node final : public DiskWitness {
 public:
  Node(Kernel& kernel, std::size_t number, std::string name);

  // --- life ---
  // Begins as a member of the first cluster, whose log is `entries`.
  void found(raft::ClusterId cluster, MemberId member, raft::InstanceId instance,
             const std::vector<raft::Entry>& entries);
  // Starts a process, or joining where there is no identity yet. `endpoints`: HTTP addresses to
  // ask.
  void start(std::vector<std::string> endpoints);
  void kill(Crash kind);
  void wipe();
  void lose_state();
  // Loses power, and one of its files is damaged (NodeStorage::rot).
  void rot(const Action& how);
  // Its Host has stopped: the process ends, and a supervisor starts it again.
  void stopped();
  void pause() { paused_ = true; }
  void resume() { paused_ = false; }
  void set_disk_factor(std::uint64_t factor);

  // --- joining ---
  [[nodiscard]] bool joining() const { return joining_.has_value(); }
  void on_join_timer(std::uint32_t attempt, std::vector<std::string> endpoints);
  void on_response(const Exchange& exchange);

  // --- what it is ---
  [[nodiscard]] Process* process() { return process_.get(); }
  [[nodiscard]] const Process* process() const { return process_.get(); }
  [[nodiscard]] bool running() const { return process_ != nullptr; }
  [[nodiscard]] bool started() const { return process_ != nullptr || joining_.has_value(); }
  [[nodiscard]] bool paused() const { return paused_; }
  [[nodiscard]] std::uint64_t disk_factor() const { return disk_factor_; }
  [[nodiscard]] bool has_identity() const { return static_cast<bool>(identity_.member); }
  [[nodiscard]] const raft::Identity& identity() const { return identity_; }
  [[nodiscard]] raft::InstanceId instance() const { return instance_; }
  [[nodiscard]] std::size_t number() const { return number_; }
  [[nodiscard]] Endpoint endpoint() const { return static_cast<Endpoint>(number_); }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::string http_address() const { return name_ + ":8091"; }
  [[nodiscard]] std::string raft_address() const { return name_ + ":8089"; }
  [[nodiscard]] std::uint32_t epoch() const { return epoch_; }
  [[nodiscard]] NodeStorage& storage() { return *storage_; }
  [[nodiscard]] const NodeStorage& storage() const { return *storage_; }

  // --- DiskWitness ---
  void durable_hard_state(const raft::HardState& hard_state) override {
    kernel_.invariants.durable_hard_state(number_, hard_state);
  }
  void durable_truncated(raft::Index from) override {
    kernel_.invariants.durable_truncated(number_, from);
  }
  void durable_appended(const raft::Entry& entry) override {
    kernel_.invariants.durable_appended(number_, entry);
  }
  void durable_cut(raft::Index first) override { kernel_.invariants.durable_cut(number_, first); }
  void durable_installed(raft::Index index, raft::Term term) override {
    kernel_.invariants.durable_installed(number_, index, term);
  }
  void durable_state(raft::Index applied) override {
    kernel_.invariants.durable_state(number_, applied);
  }
  void promise_repaired() override { kernel_.invariants.promise_repaired(number_); }
  void found(const FoundOnDisk& found, std::span<const raft::LogWrite> under_way) override {
    kernel_.invariants.found(number_, found, under_way);
  }

 private:
  void start_process();
  // It cannot go on: it is gone, and a supervisor starts it again.
  void cannot_start(const Error& error);
  void start_again();
  // A person moves the damaged directory away and lets the node join again.
  void refuse(std::string_view why);
  void maybe_strike_start();
  void join_step();
  void tell_peers(raft::PeerEvent event);

  Kernel& kernel_;
  std::size_t number_;
  std::string name_;
  std::unique_ptr<NodeStorage> storage_;
  raft::Identity identity_;  // member 0: none yet
  raft::InstanceId instance_;
  std::optional<replica::Joining> joining_;
  std::uint32_t join_attempt_ = 0;
  bool waits_for_answer_ = false;
  std::uint32_t epoch_ = 0;
  bool paused_ = false;
  std::uint64_t disk_factor_ = 1;
  std::unique_ptr<Process> process_;
};

}  // namespace raftkv::sim
