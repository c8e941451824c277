// Whole files, in and out.
#pragma once

#include <string>
#include <string_view>

#include "src/base/result.h"

namespace raftkv::linearizability {

// A file's bytes, mapped: the kernel may drop pages that were read. Pipes and such are read into
// memory.
class InputFile {
 public:
  // "-" is the standard input. ErrorCode::not_found or unavailable with the system's words.
  [[nodiscard]] static Result<InputFile> open(const std::string& path);
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&&) = delete;
  ~InputFile();

  [[nodiscard]] std::string_view text() const {
    return mapped_ ? std::string_view(mapped_, size_) : content_;
  }

 private:
  InputFile() = default;
  const char* mapped_ = nullptr;
  std::size_t size_ = 0;
  std::string content_;
};

// Replaces the file at `path`.
[[nodiscard]] Status write_file(const std::string& path, std::string_view text);

}  // namespace raftkv::linearizability
