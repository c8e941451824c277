// Reads: from the moment the core (or the level) allows them until their values have been fetched:
// at once where nothing has to be waited for, else in batches, by the read worker.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "src/base/result.h"
#include "src/base/ring.h"
#include "src/kv/state_machine.h"
#include "src/replica/ports.h"
#include "src/replica/request_table.h"
#include "src/replica/state_store.h"

namespace raftkv::replica {

class Reads {
 public:
  struct Item {
    Handle handle;
    std::string key;
    Result<std::optional<kv::Value>> value;
  };
  // Gets what the worker has fetched, on the loop. The items may be moved from.
  using OnDone = std::move_only_function<void(std::vector<Item>&)>;

  // `store` and `worker` must outlive this, and this the worker's jobs.
  Reads(StateStore& store, Worker& worker, std::size_t batch_max, OnDone on_done)
      : store_(store), worker_(worker), batch_max_(batch_max), on_done_(std::move(on_done)) {}

  // May be served from what has been applied by now.
  void allow(Handle handle, std::string key);
  // May be served once everything through `read_index` is applied. Grants come with rising read
  // indexes.
  void grant(Handle handle, std::string key, Index read_index, Index applied);
  void applied(Index index);
  // Fetches what is there at once, and starts the worker's next batch if none is under way.
  void start();
  // What start() has fetched. To be cleared before the next one.
  [[nodiscard]] std::vector<Item>& fetched() { return fetched_; }

  [[nodiscard]] bool idle() const { return !busy_; }

 private:
  struct Granted {
    Handle handle;
    std::string key;
    Index read_index;
  };
  struct Allowed {
    Handle handle;
    std::string key;
  };

  StateStore& store_;
  Worker& worker_;
  std::size_t batch_max_;
  OnDone on_done_;
  Ring<Granted> granted_;
  Ring<Allowed> allowed_;
  std::vector<Item> fetched_;
  Ring<Allowed> cold_;  // for the worker
  bool busy_ = false;
  std::vector<Item> batch_;  // the job's while busy_
};

}  // namespace raftkv::replica
