#include "linearizability/cli/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace raftkv::linearizability {
namespace {

std::unexpected<Error> system_error() {
  const int code = errno;
  return failure(code == ENOENT ? ErrorCode::not_found : ErrorCode::unavailable,
                 std::strerror(code));
}

Result<std::string> read_all(int descriptor) {
  std::string content;
  std::array<char, 1 << 16> buffer;
  while (true) {
    const ssize_t size = ::read(descriptor, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return system_error();
    if (size == 0) return content;
    content.append(buffer.data(), static_cast<std::size_t>(size));
  }
}

}  // namespace

Result<InputFile> InputFile::open(const std::string& path) {
  const int descriptor =
      path == "-" ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return system_error();
  InputFile file;
  struct stat status{};
  if (::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0) {
    file.size_ = static_cast<std::size_t>(status.st_size);
    void* const mapped = ::mmap(nullptr, file.size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (mapped != MAP_FAILED) {
      ::madvise(mapped, file.size_, MADV_SEQUENTIAL);
      file.mapped_ = static_cast<const char*>(mapped);
      ::close(descriptor);
      return file;
    }
  }
  auto content = read_all(descriptor);
  ::close(descriptor);
  if (!content) return failure(content);
  file.content_ = std::move(*content);
  return file;
}

InputFile::InputFile(InputFile&& other) noexcept
    : mapped_(std::exchange(other.mapped_, nullptr)),
      size_(other.size_),
      content_(std::move(other.content_)) {}

InputFile::~InputFile() {
  if (mapped_) ::munmap(const_cast<char*>(mapped_), size_);
}

Status write_file(const std::string& path, std::string_view text) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0) return system_error();
  while (!text.empty()) {
    const ssize_t size = ::write(descriptor, text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) {
      const auto error = system_error();
      ::close(descriptor);
      return error;
    }
    text.remove_prefix(static_cast<std::size_t>(size));
  }
  if (::close(descriptor) != 0) return system_error();
  return {};
}

}  // namespace raftkv::linearizability
