// Files of the command line; what is wrong with them is said on standard error.
#pragma once

#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "sim/options.h"

namespace raftkv::sim::cli {

struct FileCloser {
  void operator()(std::FILE* file) const { (void)std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, FileCloser>;

// "-" is standard output. False: it cannot be written, and standard error says so.
[[nodiscard]] bool write_file(const std::string& path, const std::string& text);
// nullopt: it cannot be read.
[[nodiscard]] std::optional<std::string> read_file(const std::string& path);
// nullopt: it cannot be read, or is no schedule.
[[nodiscard]] std::optional<Options> read_schedule(const std::string& path);

}  // namespace raftkv::sim::cli
