#include "src/storage/log_recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "src/storage/recovery.h"
#include "src/storage/wal_scan.h"

namespace raftkv::storage {
namespace {

constexpr std::size_t kReadBytes = 1 << 20;

Status remember_loss(PromiseFile& promise, const Through& through) {
  Promise next = promise.get();
  next.lost = true;
  next.through = through;
  return promise.save(next);
}

// Says what was promised and is not there, durably, and makes the files what can be used of them.
Result<std::string> make_whole(FailStopEnv& env, const std::string& path, PromiseFile& promise) {
  const auto scan = scan_database(env, "log", path);
  if (!scan) return failure(scan);
  Through through = promise.get().through;
  const auto loss = lost_since(*scan, through.sequence);
  if (loss) {
    // Sequences go on from here: the old one would look lost again at the next start.
    through.sequence = std::min(through.sequence, scan->last_sequence);
    if (Status saved = remember_loss(promise, through); !saved) return failure(saved);
  }
  if (Status cut = cut_to_scan(env, path, *scan); !cut) return failure(cut);
  return loss.value_or("");
}

// Can everything be read that a start reads of the log? Error corrupt: it is damaged.
Status readable(LevelDbLogStore& log, raft::Index applied) {
  if (const auto runs = log.term_runs(); !runs) return failure(runs);
  for (raft::Index from = std::max(applied.next(), log.first()); from <= log.last();) {
    const auto entries = log.read(from, log.last(), kReadBytes);
    if (!entries) return failure(entries);
    from = entries->back().index().next();
  }
  return {};
}

Result<RecoveredLog> open_log(FailStopEnv& env, const std::string& path, PromiseFile& promise,
                              const replica::StateMeta& state) {
  auto store = LevelDbLogStore::open(env, path, promise);
  if (!store) return failure(store);
  RecoveredLog log;
  log.store = std::move(*store);
  // Finishes what a crash cut short while a snapshot was installed.
  if (const LogPosition& behind = promise.get().begin_behind; behind.index) {
    if (Status begun = log.store->begin_behind(behind); !begun) return failure(begun);
  }
  auto recovered = recover(*log.store, promise.get(), state);
  if (!recovered) return failure(recovered);
  log.recovered = std::move(*recovered);
  return log;
}

Result<RecoveredLog> open_as_it_is(FailStopEnv& env, const std::string& path, PromiseFile& promise,
                                   const replica::StateMeta& state) {
  auto loss = make_whole(env, path, promise);
  if (!loss) return failure(loss);
  auto log = open_log(env, path, promise, state);
  if (log) log->loss = std::move(*loss);
  return log;
}

// Is it the log that cannot be used, and not what log and state say together?
bool is_damaged(FailStopEnv& env, const std::string& path, PromiseFile& promise,
                raft::Index applied) {
  if (!scan_database(env, "log", path)) return true;
  const auto store = LevelDbLogStore::open(env, path, promise);
  return !store || !readable(**store, applied);
}

bool is_itself_or_parent(std::string_view name) {
  return name == "." || name == "..";
}

// Nothing is thrown away: another tool, or a person, may still want it. What an earlier damage left
// there goes when it has the same name. After a crash in it, it is done again for what is left.
Status move_away(FailStopEnv& env, const std::string& path) {
  if (!env.FileExists(path)) return {};
  const std::string aside = path + ".damaged";
  if (!env.FileExists(aside)) {
    if (const auto made = env.CreateDir(aside); !made.ok()) {
      return failure(ErrorCode::fatal, "cannot make " + made.ToString());
    }
  }
  std::vector<std::string> names;
  auto status = env.GetChildren(path, &names);
  for (const std::string& name : names) {
    if (!status.ok() || is_itself_or_parent(name)) continue;
    const std::string from = fmt::format("{}/{}", path, name);
    status = name == "LOCK" ? env.RemoveFile(from)
                            : env.RenameFile(from, fmt::format("{}/{}", aside, name));
  }
  if (status.ok()) status = env.RemoveDir(path);
  if (!status.ok()) return failure(ErrorCode::fatal, "cannot move " + status.ToString());
  return {};
}

Result<RecoveredLog> begin_anew(FailStopEnv& env, const std::string& path, PromiseFile& promise,
                                const replica::StateMeta& state, std::string loss) {
  const Through through = {.index = state.applied, .term = state.applied_term, .sequence = 0};
  if (Status saved = remember_loss(promise, through); !saved) return failure(saved);
  if (Status moved = move_away(env, path); !moved) return failure(moved);
  if (Status made = LevelDbLogStore::create(env, path, {}); !made) return failure(made);
  auto log = open_log(env, path, promise, state);
  if (log) log->loss = std::move(loss);
  return log;
}

}  // namespace

Result<RecoveredLog> recover_log(FailStopEnv& env, const std::string& path, PromiseFile& promise,
                                 const replica::StateMeta& state) {
  auto log = open_as_it_is(env, path, promise, state);
  if (log || log.error().code != ErrorCode::corrupt) return log;
  if (!is_damaged(env, path, promise, state.applied)) return log;
  return begin_anew(env, path, promise, state, log.error().message);
}

}  // namespace raftkv::storage
