// What a stopped node's directory still holds, read without changing a byte of it: what `raftkv
// recover` makes a new cluster of, when the old one has lost its quorum for good.
#pragma once

#include <memory>
#include <string>

#include "src/base/result.h"
#include "src/storage/data_directory.h"
#include "src/storage/overlay_disk.h"

namespace raftkv::storage {

class Salvage {
 public:
  // Does what a start would do, on a disk that forgets (the scan before LevelDB opens included),
  // and holds the directory's lock while it lives. `disk` must outlive it. Errors: those of
  // DataDirectory::take and open; corrupt (the state is damaged, and its log does not rebuild it).
  [[nodiscard]] static Result<std::unique_ptr<Salvage>> open(Disk& disk, const std::string& path);

  [[nodiscard]] const OpenedNode& node() const { return *node_; }
  // The last configuration that its log names, committed or not.
  [[nodiscard]] raft::Configuration configuration() const;
  // The highest term that it knows of.
  [[nodiscard]] raft::Term term() const;
  // All that it holds: the state, and the log behind it, committed or not. Good while this lives.
  // Errors: corrupt, fatal.
  [[nodiscard]] Result<Seed> seed() const;

 private:
  explicit Salvage(Disk& disk) : disk_(disk) {}

  OverlayDisk disk_;
  std::unique_ptr<DataDirectory> directory_;
  std::unique_ptr<OpenedNode> node_;  // on directory_
};

}  // namespace raftkv::storage
