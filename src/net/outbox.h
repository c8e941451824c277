// Outbox: the frames that wait for one connection, bounded in number and bytes. Gathers what can be
// written with one system call without copying: the pieces of a frame are its head and its entries'
// shared bytes.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>

#include "src/raft/wire.h"

namespace raftkv::net {

class Outbox {
 public:
  Outbox(std::size_t frames_max, std::size_t bytes_max)
      : frames_max_(frames_max), bytes_max_(bytes_max) {}

  // False: full, the frame is dropped. The frames that wait are older, and a receiver can do more
  // with them: what is behind a gap it would refuse. A frame alone is always taken, however large.
  [[nodiscard]] bool push(raft::Frame frame);

  // Drops the oldest frames until at most `frames` are left: while nobody is connected only the
  // newest matter. Nothing of them may have been sent. Returns how many were dropped.
  std::size_t keep_newest(std::size_t frames);

  // The next pieces to write, in order. Valid until the next call of another function.
  [[nodiscard]] std::span<const iovec> gather();
  // The first `bytes` of what gather() gave have been written. Returns how many frames this
  // finished.
  std::size_t sent(std::size_t bytes);

  void clear();
  [[nodiscard]] bool empty() const { return frames_.empty(); }
  [[nodiscard]] std::size_t frames() const { return frames_.size(); }
  // What is left to be written.
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  static constexpr std::size_t kGatherMax = 512;  // pieces; the kernel takes 1024

  const std::size_t frames_max_;
  const std::size_t bytes_max_;
  std::deque<raft::Frame> frames_;
  std::size_t bytes_ = 0;
  // Where the rest of the first frame begins: piece 0 is the head, piece n its entry n - 1.
  std::size_t piece_ = 0;
  std::size_t offset_ = 0;
  std::array<iovec, kGatherMax> gathered_{};
};

}  // namespace raftkv::net
