// What a node knows of itself after a start: log, state and promise, held against each other.
#pragma once

#include "src/base/result.h"
#include "src/raft/raft.h"
#include "src/replica/state_store.h"
#include "src/storage/log_store.h"
#include "src/storage/promise_file.h"

namespace raftkv::storage {

// Judges what is on disk, and changes nothing there.
// state_lost is set if the state ends before the log begins: it was damaged, say, and an empty one
// stands in its place. The tail is all of the log then.
// promise_lost is set if the promise file says so, or if the log does not reach `through` with its
// term, or the state has applied more than the log has, or the log is of a later term than the
// promise (whose vote is then unknown: the hard state becomes that term without a vote). Errors:
// corrupt (they contradict each other in a way that no loss explains), fatal.
//
// Where the state has applied more than the log has, the result is a log that ends with the applied
// entry: call log.restart_behind(applied, its term) once the promise file says that it is lost.
[[nodiscard]] Result<raft::Recovered> recover(LevelDbLogStore& log, const Promise& promise,
                                              const replica::StateMeta& state);

// A lost promise is repaired by the others (design, section 4, rule 10). True: there are none, so
// that the node would wait for ever. It is the only voter of its last configuration; or it has
// none, made the cluster and never ran.
[[nodiscard]] bool nobody_else_has_it(const raft::Recovered& recovered, const Promise& promise);

}  // namespace raftkv::storage
