#include "src/net/outbox.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "src/base/check.h"

namespace raftkv::net {
namespace {

std::size_t pieces(const raft::Frame& frame) {
  return 1 + frame.entries.size();
}

std::string_view piece(const raft::Frame& frame, std::size_t number) {
  return number == 0 ? std::string_view(frame.head) : frame.entries[number - 1].bytes().view();
}

iovec as_iovec(std::string_view bytes) {
  return {.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
}

}  // namespace

bool Outbox::push(raft::Frame frame) {
  const std::size_t size = frame.size();
  if (!frames_.empty() && (frames_.size() >= frames_max_ || bytes_ + size > bytes_max_))
    return false;
  bytes_ += size;
  frames_.push_back(std::move(frame));
  return true;
}

std::size_t Outbox::keep_newest(std::size_t frames) {
  CHECK(piece_ == 0 && offset_ == 0);
  std::size_t dropped = 0;
  for (; frames_.size() > frames; ++dropped) {
    bytes_ -= frames_.front().size();
    frames_.pop_front();
  }
  return dropped;
}

std::span<const iovec> Outbox::gather() {
  std::size_t count = 0;
  std::size_t from_piece = piece_;
  std::size_t from_offset = offset_;
  for (const raft::Frame& frame : frames_) {
    for (; from_piece < pieces(frame); ++from_piece) {
      if (count == gathered_.size()) return gathered_;
      gathered_[count++] = as_iovec(piece(frame, from_piece).substr(from_offset));
      from_offset = 0;
    }
    from_piece = 0;
  }
  return std::span(gathered_).first(count);
}

std::size_t Outbox::sent(std::size_t bytes) {
  CHECK(bytes <= bytes_);
  bytes_ -= bytes;
  std::size_t finished = 0;
  while (!frames_.empty()) {
    const std::size_t left = piece(frames_.front(), piece_).size() - offset_;
    const std::size_t taken = std::min(bytes, left);
    offset_ += taken;
    bytes -= taken;
    if (taken < left) break;
    offset_ = 0;
    if (++piece_ == pieces(frames_.front())) {
      piece_ = 0;
      frames_.pop_front();
      ++finished;
    }
    if (bytes == 0) break;
  }
  CHECK(bytes == 0);
  return finished;
}

void Outbox::clear() {
  frames_.clear();
  bytes_ = piece_ = offset_ = 0;
}

}  // namespace raftkv::net
