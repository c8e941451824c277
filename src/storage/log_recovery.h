// The log at a start: what its files hold is found out before LevelDB sees them, and what comes of
// damage is decided here.
//
//   a crash cut the last write short          it is cut off; nothing was promised
//   something that was promised is missing    the promise is lost; the log ends before the gap
//   the database cannot be used as it is      the promise is lost; the log begins anew behind what
//                                             the state has applied, what was there goes to
//                                             PATH.damaged
#pragma once

#include <memory>
#include <string>

#include "src/base/result.h"
#include "src/raft/raft.h"
#include "src/replica/state_store.h"
#include "src/storage/log_store.h"
#include "src/storage/promise_file.h"

namespace raftkv::storage {

struct RecoveredLog {
  std::unique_ptr<LevelDbLogStore> store;
  raft::Recovered recovered;  // as recover() gives it (src/storage/recovery.h)
  // What this start found missing, a phrase; empty: nothing. recovered.promise_lost is set then.
  std::string loss;
};

// `env` is the log's own; `promise` must outlive what comes back. That the promise is lost is
// durable before anything is changed that shows it. Errors: corrupt (log and state contradict each
// other in a way that no loss explains), unsupported, fatal.
[[nodiscard]] Result<RecoveredLog> recover_log(FailStopEnv& env, const std::string& path,
                                               PromiseFile& promise,
                                               const replica::StateMeta& state);

}  // namespace raftkv::storage
