// The data directory of a node:
//
//   LOCK              held while a process uses the directory
//   instance          while joining: the instance id, made before the first join request
//   promise.0, .1     who the node is and what it has promised (src/storage/promise_file.h)
//   log/              LevelDB: the log (src/storage/log_store.h)
//   log.damaged/      what was there instead, before it could not be used (log_recovery.h)
//   state-N/          LevelDB: the state; the promise file names the one in use
//
// The promise file is made last. A directory without it was never finished: what lies there is made
// anew. One with it and without a good log is damaged, and never taken for empty. A state can be
// had again, from the log or from another node: in place of a damaged one stands a new, empty one.
//
// Errors are sentences for a person: what is wrong with which directory, and what to do.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "src/base/result.h"
#include "src/raft/raft.h"
#include "src/raft/types.h"
#include "src/replica/state_store.h"
#include "src/storage/disk.h"
#include "src/storage/fail_stop_env.h"
#include "src/storage/log_store.h"
#include "src/storage/promise_file.h"
#include "src/storage/state_directories.h"

namespace raftkv::storage {

// A node that has been opened: who it is, what it knows, and where it writes.
struct OpenedNode {
  raft::Identity identity;  // with the incarnation of this run
  NodeNames names;
  raft::Recovered recovered;
  replica::StateMeta state;  // as state_store gave it
  std::string loss;          // what this start found missing of the log, a phrase; empty: nothing
  std::unique_ptr<LevelDbLogStore> log_store;
  std::unique_ptr<StateDirectories> states;
  std::unique_ptr<replica::StateStore> state_store;  // on `states`; loaded
  std::string
      state_damage;  // why an empty state stands in place of the one that was; "": it does not
};

// What the state of a new cluster begins as: that of another one, from a backup or from a node's
// directory.
struct Seed {
  // The next chunk of the state, until the one that is the last; none: the state is empty.
  std::function<Result<replica::StateChunk>()> next;
  std::span<const raft::Entry> tail;  // what that state had still to apply, without a gap
  raft::Term term;                    // the new cluster's terms are later than this
};

class DataDirectory {
 public:
  // What has been made in a directory so far.
  enum class Stage {
    empty,       // nothing
    unfinished,  // a cluster was being made or restored, or a join being finished, and it was cut
                 // short
    joining,     // an instance that has asked to join, or is about to
    node,        // a node
  };

  // Takes the directory, which nobody else may use until this is destroyed. With `make`, it is made
  // if it is missing, its parents too. `disk` must outlive this.
  // Errors: not_found (missing, not to be made), unavailable (in use), invalid (it holds something
  // else), fatal (cannot be read or written).
  [[nodiscard]] static Result<std::unique_ptr<DataDirectory>> take(Disk& disk, std::string path,
                                                                   bool make);
  ~DataDirectory();
  DataDirectory(const DataDirectory&) = delete;
  DataDirectory& operator=(const DataDirectory&) = delete;

  [[nodiscard]] Stage stage() const { return stage_; }

  // Makes a node that is the only one of a new cluster: entry 1 is its configuration, the term
  // is 1. The ids are random and not 0. Errors: invalid (a node, or joining), fatal.
  [[nodiscard]] Status create_cluster(raft::ClusterId cluster, raft::InstanceId instance,
                                      const NodeNames& names);

  // The same with a state that is there before the first entry of the new cluster. What the state
  // holds keeps its indexes: the configuration of the new cluster is the entry behind all of it, in
  // a term later than all of it, and has been applied; the log begins behind that. The only
  // member's id is that entry's index, which no member of the old cluster can have had. Gives the
  // state's record. Until it returns the directory is unfinished, and all can be done again.
  // Errors: as create_cluster; those of `seed.next`, and corrupt where its chunks are no whole
  // state.
  [[nodiscard]] Result<replica::StateMeta> create_cluster_from(raft::ClusterId cluster,
                                                               raft::InstanceId instance,
                                                               const NodeNames& names,
                                                               const Seed& seed);

  // Makes the instance id durable, before the first join request. What it gives is `fresh` (random,
  // not 0), or the one that an earlier call made: it stays the same over retries and crashes.
  // Errors: invalid (a node), corrupt, fatal.
  [[nodiscard]] Result<raft::InstanceId> begin_join(raft::InstanceId fresh);
  // The join was answered: makes the node. Its log is empty. Stage: joining. Errors: invalid (no
  // legal names), fatal.
  [[nodiscard]] Status finish_join(raft::ClusterId cluster, raft::MemberId member,
                                   const NodeNames& names);

  // Opens the node and counts its incarnation, durably. What it gives must be destroyed before this
  // is. Errors: not_found (no node: empty, unfinished or joining), corrupt (damaged), unsupported
  // (a newer version), fatal; with `refuse_hopeless`, before anything is counted, invalid: a part
  // of the log is lost, and there is no other voter to repair it.
  [[nodiscard]] Result<OpenedNode> open(bool refuse_hopeless = false);

 private:
  DataDirectory(Disk& disk, std::string path);
  [[nodiscard]] Status be_there(bool make);
  [[nodiscard]] Status lock();
  // Makes the directory durable, what has been made in it, and its place in those above it: an
  // earlier process may have died before it came to that.
  [[nodiscard]] Status settle();
  [[nodiscard]] Status find_stage();
  [[nodiscard]] Status refuse_node() const;
  [[nodiscard]] Status may_create_cluster(const NodeNames& names) const;
  // Fills the new state, and tells the promise of it.
  using Fill = std::function<Status(StateDirectories& states, Promise& promise)>;
  [[nodiscard]] Status create_node(Promise promise, std::span<const raft::Entry> log,
                                   const Fill& fill = {});
  // Removes what an unfinished attempt left of the databases.
  [[nodiscard]] Status clear();
  [[nodiscard]] Status forget_join();
  [[nodiscard]] Result<OpenedNode> open_node(bool refuse_hopeless);
  [[nodiscard]] Status open_state(OpenedNode& node);
  [[nodiscard]] Status load_state(OpenedNode& node, std::unique_ptr<StateDirectories> states);
  [[nodiscard]] Status begin_incarnation(OpenedNode& node);

  [[nodiscard]] std::string at(std::string_view name) const;
  [[nodiscard]] std::unexpected<Error> unusable(const leveldb::Status& status) const;
  [[nodiscard]] Error explain(const Error& error) const;
  template <typename T>
  [[nodiscard]] Result<T> explained(Result<T> result) const {
    if (!result) return std::unexpected(explain(result.error()));
    return result;
  }

  Disk& disk_;
  std::string path_;
  Stage stage_ = Stage::empty;
  leveldb::FileLock* lock_ = nullptr;
  FailFlag flag_;
  FailStopEnv env_;  // of our own files
  FailStopEnv log_env_;
  std::unique_ptr<PromiseFile> promise_;
};

}  // namespace raftkv::storage
