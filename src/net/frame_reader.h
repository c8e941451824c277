// FrameReader: cuts the bytes of one connection into frames (src/raft/wire.h). It knows no socket:
// the caller reads into space() and says how much came.
//
// Every frame gets a buffer of exactly its size, which its entries then share for as long as they
// live: an entry that stays in memory never pins bytes of other frames. Small frames are copied out
// of one buffer that many of them reach with one read; the rest of a large frame is read straight
// to its place.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>

#include "src/base/bytes.h"
#include "src/base/result.h"

namespace raftkv::net {

class FrameReader {
 public:
  // Takes one frame; an error ends the connection.
  using Sink = std::move_only_function<Status(SharedBytes)>;

  FrameReader();

  // Where the next bytes of the stream belong: first into [0], then into [1] (which may be empty).
  // Valid until the next call of received().
  [[nodiscard]] std::array<std::span<char>, 2> space();

  // `size` bytes were put there. Hands every frame that is whole to `sink`, in order. Errors: what
  // the sink said; invalid (a size that no frame has); unsupported (another version). After an
  // error the reader is of no use.
  [[nodiscard]] Status received(std::size_t size, Sink& sink);

  // The beginning of a frame waits for its rest.
  [[nodiscard]] bool inside_frame() const { return have_ > 0 || large_ != nullptr; }

 private:
  [[nodiscard]] Status cut(Sink& sink);
  [[nodiscard]] Result<std::size_t> whole_size(std::string_view front) const;
  void begin_large(std::string_view front, std::size_t size);

  std::unique_ptr<char[]> buffer_;  // of kBufferSize
  std::size_t have_ = 0;            // bytes in it: the beginning of a frame

  // A large frame that is being read to its own place. Invariant: then have_ is 0.
  std::shared_ptr<char[]> large_;
  std::size_t large_size_ = 0;
  std::size_t large_have_ = 0;
};

}  // namespace raftkv::net
