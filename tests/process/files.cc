#include "tests/process/files.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace raftkv::process {

TempDir::TempDir() {
  path_ = std::filesystem::temp_directory_path() / "raftkv-test-XXXXXX";
  if (::mkdtemp(path_.data()) == nullptr) {
    std::perror("cannot make a temporary directory");
    std::abort();
  }
}

TempDir::~TempDir() {
  std::error_code ignored;
  if (!kept_) std::filesystem::remove_all(path_, ignored);
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return std::move(out).str();
}

std::string last_lines(const std::string& text, int count) {
  std::size_t begin = text.size();
  while (begin > 0) {
    const std::size_t newline = begin >= 2 ? text.rfind('\n', begin - 2) : std::string::npos;
    if (newline == std::string::npos) return text;
    begin = newline + 1;
    if (--count == 0) break;
  }
  return text.substr(begin);
}

}  // namespace raftkv::process
