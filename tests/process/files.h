// Files and directories of the process tests.
#pragma once

#include <filesystem>
#include <string>

namespace raftkv::process {

// A new, empty directory below $TMPDIR (or /tmp); gone with this object.
class TempDir {
 public:
  TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir();

  [[nodiscard]] const std::string& path() const { return path_; }
  // The directory stays on disk.
  void keep() { kept_ = true; }

 private:
  std::string path_;
  bool kept_ = false;
};

// A file's whole content; empty if it cannot be read.
[[nodiscard]] std::string read_file(const std::string& path);

// The last `count` lines.
[[nodiscard]] std::string last_lines(const std::string& text, int count);

}  // namespace raftkv::process
