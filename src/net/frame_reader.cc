#include "src/net/frame_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "src/base/check.h"
#include "src/raft/wire.h"

namespace raftkv::net {
namespace {

constexpr std::size_t kBufferSize = 64u << 10;
// A frame at least this large that has not come whole is read to its own place.
constexpr std::size_t kLargeFrame = 16u << 10;
constexpr std::size_t kSizeField = 4;  // src/raft/wire.h: then one byte of version

SharedBytes copy_of(std::string_view bytes) {
  auto copy = std::make_shared_for_overwrite<char[]>(bytes.size());
  std::memcpy(copy.get(), bytes.data(), bytes.size());
  const std::string_view view(copy.get(), bytes.size());
  return {std::move(copy), view};
}

}  // namespace

FrameReader::FrameReader() : buffer_(std::make_unique_for_overwrite<char[]>(kBufferSize)) {}

std::array<std::span<char>, 2> FrameReader::space() {
  const std::span<char> buffer(buffer_.get() + have_, kBufferSize - have_);
  if (large_ == nullptr) return {buffer, {}};
  return {std::span<char>(large_.get() + large_have_, large_size_ - large_have_), buffer};
}

Status FrameReader::received(std::size_t size, Sink& sink) {
  if (large_ != nullptr) {
    const std::size_t taken = std::min(size, large_size_ - large_have_);
    large_have_ += taken;
    size -= taken;
    if (large_have_ < large_size_) return {};
    const std::string_view view(large_.get(), large_size_);
    if (auto taken_by = sink(SharedBytes(std::exchange(large_, nullptr), view)); !taken_by)
      return taken_by;
  }
  have_ += size;
  CHECK(have_ <= kBufferSize);
  return cut(sink);
}

Status FrameReader::cut(Sink& sink) {
  std::string_view rest(buffer_.get(), have_);
  while (rest.size() > kSizeField) {
    const auto size = whole_size(rest);
    if (!size) return failure(size);
    if (rest.size() < *size) {
      if (*size >= kLargeFrame) {
        begin_large(rest, *size);
        rest.remove_prefix(rest.size());
      }
      break;
    }
    if (auto taken = sink(copy_of(rest.substr(0, *size))); !taken) return taken;
    rest.remove_prefix(*size);
  }
  std::memmove(buffer_.get(), rest.data(), rest.size());
  have_ = rest.size();
  return {};
}

// The version is looked at before anything is allocated: most garbage ends here.
Result<std::size_t> FrameReader::whole_size(std::string_view front) const {
  const auto size = raft::frame_size(front.substr(0, kSizeField));
  if (!size) return size;
  const auto version = static_cast<std::uint8_t>(front[kSizeField]);
  if (version != raft::kWireVersion) {
    return failure(ErrorCode::unsupported, fmt::format("frame: of version {}, this build knows {}",
                                                       version, raft::kWireVersion));
  }
  return size;
}

void FrameReader::begin_large(std::string_view front, std::size_t size) {
  large_ = std::make_shared_for_overwrite<char[]>(size);
  large_size_ = size;
  large_have_ = front.size();
  std::memcpy(large_.get(), front.data(), front.size());
}

}  // namespace raftkv::net
