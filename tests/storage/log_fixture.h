// A promise file and a log on a TestDisk, in the directory /d.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/storage/log_store.h"
#include "src/storage/recovery.h"
#include "tests/storage/test_disk.h"

namespace raftkv::storage {

[[nodiscard]] inline raft::Entry entry_of(std::uint64_t term, std::uint64_t index,
                                          std::string_view payload = "payload") {
  return raft::Entry::seal(raft::EntryDraft::copy_of(raft::EntryKind::command, payload),
                           raft::Term(term), raft::Index(index));
}

// What a test compares of entries.
using Log = std::vector<std::pair<std::uint64_t, std::uint64_t>>;  // index, term

[[nodiscard]] inline Log log_of(const std::vector<raft::Entry>& entries) {
  Log log;
  for (const raft::Entry& entry : entries) {
    log.emplace_back(entry.index().value, entry.term().value);
  }
  return log;
}

// A write of entries with these terms, behind `after`.
[[nodiscard]] inline raft::LogWrite write_of(std::uint64_t after,
                                             const std::vector<std::uint64_t>& terms) {
  raft::LogWrite write;
  for (const std::uint64_t term : terms) write.entries.push_back(entry_of(term, ++after));
  return write;
}
// The same, in place of what was there.
[[nodiscard]] inline raft::LogWrite overwrite_of(std::uint64_t after,
                                                 const std::vector<std::uint64_t>& terms) {
  raft::LogWrite write = write_of(after, terms);
  write.truncate_from = raft::Index(after + 1);
  return write;
}
[[nodiscard]] inline raft::LogWrite vote_of(std::uint64_t term, std::uint64_t member) {
  raft::LogWrite write;
  write.hard_state =
      raft::HardState{.current_term = raft::Term(term), .voted_for = raft::MemberId(member)};
  return write;
}

// One start of a node's log on a disk.
class LogRun {
 public:
  // Errors as those of the parts.
  [[nodiscard]] static Result<std::unique_ptr<LogRun>> open(TestDisk& disk) {
    std::unique_ptr<LogRun> run(new LogRun(disk));
    auto promise = PromiseFile::open(run->promise_env_, "/d");
    if (!promise) return failure(promise);
    run->promise_ = std::make_unique<PromiseFile>(std::move(*promise));
    auto log = LevelDbLogStore::open(run->env_, "/d/log", *run->promise_);
    if (!log) return failure(log);
    run->log_ = std::move(*log);
    // As DataDirectory::open does.
    if (const LogPosition& behind = run->promise().begin_behind; behind.index) {
      if (Status begun = run->log_->begin_behind(behind); !begun) return failure(begun);
    }
    return run;
  }
  ~LogRun() { disk_.run_background_work(); }
  LogRun(const LogRun&) = delete;
  LogRun& operator=(const LogRun&) = delete;

  [[nodiscard]] Status append(const raft::LogWrite& write) { return log_->append({&write, 1}); }
  [[nodiscard]] Log all() {
    if (log_->last() < log_->first()) return {};
    const auto entries = log_->read(log_->first(), log_->last(), ~std::size_t{0});
    return entries ? log_of(*entries) : Log{{0, 0}};
  }
  [[nodiscard]] Result<raft::Recovered> recover(const replica::StateMeta& state = {}) {
    return storage::recover(*log_, promise_->get(), state);
  }
  [[nodiscard]] LevelDbLogStore& log() { return *log_; }
  [[nodiscard]] const Promise& promise() const { return promise_->get(); }
  [[nodiscard]] FailStopEnv& env() { return env_; }

 private:
  explicit LogRun(TestDisk& disk) : disk_(disk), promise_env_(disk, flag_), env_(disk, flag_) {}

  TestDisk& disk_;
  FailFlag flag_;
  FailStopEnv promise_env_;
  FailStopEnv env_;
  std::unique_ptr<PromiseFile> promise_;
  std::unique_ptr<LevelDbLogStore> log_;
};

// Makes /d with an empty log and a promise of term 1.
inline void make_log(TestDisk& disk) {
  FailFlag flag;
  FailStopEnv env(disk, flag);
  CHECK(env.CreateDir("/d").ok());
  CHECK(LevelDbLogStore::create(env, "/d/log", {}).has_value());
  disk.run_background_work();
  Promise promise;
  promise.hard_state.current_term = raft::Term(1);
  promise.state_directory = "state-1";
  CHECK(PromiseFile::create(env, "/d", promise).has_value());
}

// Opens an image of a disk for a moment.
[[nodiscard]] inline std::unique_ptr<LogRun> start_on(TestDisk& image) {
  auto run = LogRun::open(image);
  CHECK(run.has_value(), "the image does not start");
  return std::move(*run);
}

}  // namespace raftkv::storage
