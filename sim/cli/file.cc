#include "sim/cli/file.h"

#include <fmt/format.h>

#include <array>

namespace raftkv::sim::cli {

bool write_file(const std::string& path, const std::string& text) {
  const bool to_stdout = path == "-";
  const File opened(to_stdout ? nullptr : std::fopen(path.c_str(), "wb"));
  std::FILE* const file = to_stdout ? stdout : opened.get();
  const bool written =
      file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (!written) fmt::print(stderr, "raftkv-sim: cannot write {}\n", path);
  return written;
}

std::optional<std::string> read_file(const std::string& path) {
  const File file(std::fopen(path.c_str(), "rb"));
  if (!file) {
    fmt::print(stderr, "raftkv-sim: cannot read {}\n", path);
    return std::nullopt;
  }
  std::string text;
  std::array<char, 65536> buffer;
  std::size_t size = 0;
  while ((size = std::fread(buffer.data(), 1, buffer.size(), file.get())) > 0)
    text.append(buffer.data(), size);
  return text;
}

std::optional<Options> read_schedule(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return std::nullopt;
  const auto options = parse_options(*text);
  if (!options) {
    fmt::print(stderr, "raftkv-sim: {}: {}\n", path, options.error().message);
    return std::nullopt;
  }
  return *options;
}

}  // namespace raftkv::sim::cli
