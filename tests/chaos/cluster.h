// The nodes of a run: real processes of `raftkv serve`, which of them should live, and what may
// have been done to their disks.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "src/base/prng.h"
#include "tests/chaos/clients.h"
#include "tests/chaos/disk_control.h"
#include "tests/chaos/ground.h"
#include "tests/chaos/unsynced.h"
#include "tests/process/child.h"
#include "tests/process/cluster.h"

namespace raftkv::chaos {

struct ClusterOptions {
  int nodes = 5;
  std::string raftkv;  // the program
  // The library that lets unsynced writes be lost and syncs be slow or fail; empty: not loaded.
  std::string interposed = "";
  std::string faketime = "";  // libfaketime; empty: not loaded
  int small_disk = -1;        // the node whose data is on a file system of its own
};

class Cluster {
 public:
  Cluster(ClusterOptions options, Ground& ground, Belongings& belongings);
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  // Makes the cluster; false, with words for the user, if it does not come about.
  [[nodiscard]] bool make(std::string& error);

  [[nodiscard]] int size() const { return options_.nodes; }
  [[nodiscard]] int minority() const { return (size() - 1) / 2; }
  [[nodiscard]] int majority() const { return size() / 2 + 1; }
  [[nodiscard]] Ground& ground() { return ground_; }
  [[nodiscard]] const Epochs& epochs() const { return epochs_; }
  [[nodiscard]] std::vector<Address> endpoints() const;
  [[nodiscard]] std::string id(int i) const { return "node0" + std::to_string(i + 1); }
  [[nodiscard]] std::string data(int i) const { return directory(i) + "/data"; }
  [[nodiscard]] std::string directory(int i) const;
  [[nodiscard]] std::string log(int i) const;

  // --- processes ---
  void start(int i);
  void join(int i);
  void kill(int i);  // SIGKILL, and waits
  void signal(int i, int number);
  std::optional<process::ExitCode> terminate(int i);
  [[nodiscard]] bool running(int i);
  // Runs and is not stopped by a signal.
  [[nodiscard]] bool goes_on(int i) { return running(i) && !node(i).paused; }
  void wipe(int i);
  // Since the last start of this node.
  [[nodiscard]] std::string log_since_start(int i) const;
  [[nodiscard]] Lost lose_unsynced_writes(int i, Prng& prng);
  // Nodes that are dead and should not be, with the ends of their logs. Nodes whose files were
  // damaged may find it out later: they are wiped and join again.
  [[nodiscard]] std::vector<std::string> unexpected_deaths();
  void files_were_damaged(int i) { node(i).doubtful = true; }
  [[nodiscard]] bool is_doubtful(int i) { return node(i).doubtful; }
  // It may end by itself, until it is started again.
  void may_die(int i) { node(i).should_live = false; }
  // What the node's syncs meet. Null without `interposed`.
  [[nodiscard]] const DiskControl* disk_of(int i) { return node(i).disk; }
  // The same. Only with `interposed`.
  [[nodiscard]] DiskControl& disk(int i) { return *node(i).disk; }
  [[nodiscard]] int wiped_for_damage() const { return wiped_for_damage_; }

  // --- the small disk ---
  [[nodiscard]] std::string mount_small_disk();  // empty, or why not
  void fill_small_disk();
  void free_small_disk();

  // Of all nodes that should run.
  void set_clock(std::int64_t seconds);

  // --- what the nodes say ---
  [[nodiscard]] std::optional<process::Status> status(int i,
                                                      milliseconds limit = milliseconds(300));
  // The one that says so in the highest term.
  [[nodiscard]] std::optional<int> leader();
  // Sends to every node until one answers other than 503 or 504, following redirects.
  [[nodiscard]] std::optional<process::Response> administer(const process::Request& request,
                                                            milliseconds limit);
  [[nodiscard]] bool all_are_voters();
  // All nodes have applied the same index, with the same digest. `why` takes what stands against
  // it.
  [[nodiscard]] bool agree(std::string& why);

 private:
  struct Node {
    process::Child child;
    bool should_live = false;
    bool doubtful = false;
    bool paused = false;
    DiskControl* disk = nullptr;
    std::size_t log_begin = 0;
  };
  [[nodiscard]] Node& node(int i) { return nodes_[static_cast<std::size_t>(i)]; }
  [[nodiscard]] std::vector<std::string> environment(int i) const;
  [[nodiscard]] std::string journal(int i) const { return directory(i) + "/journal"; }
  [[nodiscard]] std::string disk_control(int i) const {
    return belongings_.directory() + "/" + id(i) + ".disk";
  }
  [[nodiscard]] std::string clock_file() const { return belongings_.directory() + "/clock"; }
  void serve(int i, const std::vector<std::string>& more);

  ClusterOptions options_;
  Ground& ground_;
  Belongings& belongings_;
  Epochs epochs_ = {};
  std::vector<Node> nodes_;
  int wiped_for_damage_ = 0;
};

}  // namespace raftkv::chaos
