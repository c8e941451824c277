// The world: nodes, clients and the network in virtual time, and the schedule that happens to them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/client.h"
#include "sim/kernel.h"
#include "sim/node.h"
#include "sim/options.h"

namespace raftkv::sim {

class World {
 public:
  // `options` and `watcher`, if there is one, must outlive it.
  World(const Options& options, Trace::Sink sink, Watcher* watcher = nullptr);

  // Runs both phases, or until an invariant is violated.
  void run();

  [[nodiscard]] const Kernel& kernel() const { return kernel_; }
  [[nodiscard]] const std::vector<std::unique_ptr<Node>>& nodes() const { return nodes_; }
  [[nodiscard]] std::uint64_t events() const { return events_; }
  // The second phase took place.
  [[nodiscard]] bool lively() const { return lively_; }
  // Every node in a line: what a failure report shows.
  [[nodiscard]] std::string state() const;

 private:
  // What a run's own events mean.
  enum class Milestone : std::uint32_t { probe, judge };

  void found_cluster();
  void run_until(Instant end);
  void run_second_phase();
  void finish();
  void dispatch(const Event& event);
  void to_node(const Event& event);
  void respond(std::uint32_t exchange);
  void milestone(Milestone which);
  void plan(Milestone which, Duration later);

  // --- actions ---
  void act(const Action& action);
  void cut(const Action& action);
  void heal(std::uint32_t label);
  void operate(const Action& action);
  void unclog(const Action& action);
  void wipe(std::size_t node);
  void damage(std::size_t node);
  void rot(std::size_t node, const Action& how);
  void resume(std::size_t node);
  void start(std::size_t node);
  [[nodiscard]] std::vector<Network::Link> links_of(const Action& action) const;
  [[nodiscard]] std::vector<bool> members_of(const std::vector<Who>& group) const;
  // A quorum of every configuration that may be in force still has its disks when one node's is
  // lost, and when one node is removed, and those whose removal is still on its way. What breaks
  // this is no fault that a cluster promises to survive.
  [[nodiscard]] bool quorums_stay(std::optional<std::size_t> lost,
                                  std::optional<std::size_t> removed) const;
  // Asked for so lately that it may still happen.
  [[nodiscard]] bool removal_under_way(std::size_t node) const;
  [[nodiscard]] bool may_count_though_lost(MemberId learner, std::optional<std::size_t> lost) const;
  [[nodiscard]] std::vector<Configuration> configurations_in_play() const;

  // --- who is who ---
  [[nodiscard]] std::optional<std::size_t> resolve(const Who& who) const;
  [[nodiscard]] std::optional<std::size_t> find_leader() const;
  [[nodiscard]] std::optional<std::size_t> find_deposed() const;
  [[nodiscard]] std::optional<std::size_t> find_side(bool majority) const;
  [[nodiscard]] bool reaches_majority(std::size_t node) const;

  // --- the second phase ---
  // False: there is none left to heal, because a removal and a lost disk crossed.
  [[nodiscard]] bool heal_a_quorum();
  [[nodiscard]] bool may_break_for_good(std::size_t victim) const;
  void break_for_good(std::size_t victim);
  // Runs, and has none of the faults that are left.
  [[nodiscard]] bool is_well(std::size_t node) const {
    return nodes_[node]->running() && node != left_broken_;
  }
  [[nodiscard]] const raft::Raft& core(std::size_t node) const;  // of one that runs
  [[nodiscard]] std::vector<std::size_t> well_members(std::size_t leader) const;
  [[nodiscard]] bool snapshot_needed() const;
  [[nodiscard]] std::uint64_t entries_lacking() const;
  [[nodiscard]] Duration time_of_an_entry() const;
  void probe();
  void judge();
  [[nodiscard]] Duration settling_time() const;

  const Options& options_;
  Kernel kernel_;
  Resolve resolve_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<std::vector<Event>> held_;  // by node: what came while it was paused
  ProcessNumbers processes_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::size_t>
      client_of_number_;  // of a schedule's c1, c2, …: position + 1 in clients_
  Action nudge_ = put("probe", "nudge");
  Schedule probes_;
  std::vector<std::size_t> probing_;  // clients
  std::optional<std::size_t> left_broken_;
  std::optional<Instant> last_removal_;      // asked for
  std::map<std::size_t, Instant> removals_;  // asked for last, by node
  std::map<MemberId, Instant> wiped_;
  bool lively_ = false;  // the second phase was run
  bool judged_ = false;
  std::size_t waits_for_snapshots_ = 0;
  bool waited_for_entries_ = false;
  std::uint64_t events_ = 0;
};

}  // namespace raftkv::sim
