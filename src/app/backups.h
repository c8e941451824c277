// Backups: what GET /backup sends (docs/api.md). Each is one view of the state, read piece by piece
// by a thread of its own, so that neither the loop nor clients' reads ever wait for it. A view pins
// the files that it shows: so there are few at once, and none lasts for ever.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "src/app/metrics.h"
#include "src/app/thread_worker.h"
#include "src/base/result.h"
#include "src/base/time.h"
#include "src/http/server.h"
#include "src/replica/backup.h"
#include "src/replica/ports.h"
#include "src/replica/state_store.h"

namespace raftkv::app {

struct BackupLimits {
  std::size_t open_max = 2;                   // at once
  std::size_t piece_bytes = 256u << 10;       // in memory for each; or one pair that is larger
  Duration time_max = std::chrono::hours(1);  // from its beginning to its last piece
};

class Backups {
 public:
  struct Opened {
    replica::Index applied;  // what it holds
    std::unique_ptr<http::BodySource> body;
  };
  using OnOpened = std::move_only_function<void(Result<Opened>)>;

  // `states` and the references must outlive this, and this the bodies that it gives.
  Backups(Loop& loop, replica::Clock& clock, replica::StateStore& states, raft::ClusterId cluster,
          Metrics& metrics, BackupLimits limits = {});
  // Waits for what is being read. The loop does not run any more.
  ~Backups();
  Backups(const Backups&) = delete;
  Backups& operator=(const Backups&) = delete;

  // Opens a view of the state as it is now, and tells `done` on the loop. Errors: exhausted (as
  // many as may be are open; told at once), not_found (nothing was applied yet), corrupt, fatal.
  void open(OnOpened done);

 private:
  using Id = std::uint64_t;
  using OnPiece = std::move_only_function<void(Result<std::string>)>;
  class Body;
  struct Reading;

  void opened(Id id, const Status& status, OnOpened& done);
  void read(Id id, OnPiece done);
  void was_read(Id id, const Status& status, OnPiece& done);
  void close(Id id);

  replica::Clock& clock_;
  replica::StateStore& states_;
  const raft::ClusterId cluster_;
  Metrics& metrics_;
  const BackupLimits limits_;
  Id last_id_ = 0;
  std::map<Id, std::shared_ptr<Reading>> open_;  // a job under way shares it
  ThreadWorker worker_;                          // last: its jobs end before the rest goes
};

}  // namespace raftkv::app
