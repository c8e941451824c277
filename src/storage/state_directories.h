// The state of a node on its disk: LevelDB in state-N, of which the promise file names the one in
// use. A snapshot is received into the next one, state-N+1, which takes its place.
//
// While both are there the promise file decides which one counts; what it does not name is a
// leftover, and a start removes it. So a crash at any time leaves the old state or the new one.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "src/base/result.h"
#include "src/kv/store.h"
#include "src/storage/fail_stop_env.h"
#include "src/storage/write_back_store.h"

namespace raftkv::storage {

inline constexpr std::string_view kFirstStateDirectory = "state-1";

// "state-4" of "state-3". Errors: corrupt (no such name).
[[nodiscard]] Result<std::string> next_state_directory(std::string_view name);

class StateDirectories final : public kv::ReplaceableStore {
 public:
  // Opens the state `name` in the data directory `path`. `disk` and `flag` must outlive it and its
  // views. Errors: corrupt (damaged or missing), fatal.
  [[nodiscard]] static Result<std::unique_ptr<StateDirectories>> open(Disk& disk, FailFlag& flag,
                                                                      const std::string& path,
                                                                      const std::string& name);
  // The same with an empty one that it makes; what has this name goes.
  [[nodiscard]] static Result<std::unique_ptr<StateDirectories>> create(Disk& disk, FailFlag& flag,
                                                                        const std::string& path,
                                                                        const std::string& name);
  ~StateDirectories() override;

  [[nodiscard]] const std::string& name() const;  // of the one in use

  // Removes every state directory but the one in use. What cannot be removed stays, and is in
  // nobody's way.
  void remove_others();

  // --- any thread ---
  [[nodiscard]] Result<std::optional<std::string>> get(std::string_view key) override;
  [[nodiscard]] bool get_at_once(std::string_view key, std::optional<std::string>& value) override;
  [[nodiscard]] std::unique_ptr<kv::View> view() override;
  [[nodiscard]] bool writes_at_once() override;
  [[nodiscard]] bool wants_sync() override;
  [[nodiscard]] Status sync() override;

  // --- one thread ---
  [[nodiscard]] Status write(const kv::Batch& batch) override;
  [[nodiscard]] Result<kv::OrderedStore*> begin_incoming() override;
  [[nodiscard]] Status discard_incoming() override;
  // The directory that it was is removed when the last view of it closes.
  [[nodiscard]] Status adopt_incoming() override;

 private:
  class Directory;
  class DirectoryView;

  StateDirectories(Disk& disk, FailFlag& flag, std::string path);
  [[nodiscard]] std::shared_ptr<Directory> current() const;

  Disk& disk_;
  FailFlag& flag_;
  std::string path_;
  mutable std::mutex mutex_;  // of the pointer
  std::shared_ptr<Directory> current_;
  std::shared_ptr<Directory> incoming_;
};

}  // namespace raftkv::storage
