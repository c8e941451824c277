// Output: bytes that wait for a socket, in order. Small responses share a segment, so that one send
// takes many; a large body is a segment of its own and is never copied.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace raftkv::http {

class Output {
 public:
  static constexpr std::size_t kSegmentSize = 16384;  // a body from this size on is not copied
  static constexpr std::size_t kGatherMax = 16;

  void append(std::string_view bytes);
  void append_body(std::string&& body);
  // The first segments, for one gathering send; how many there are.
  std::size_t front(std::array<std::string_view, kGatherMax>& parts) const;
  // So many bytes of the front have been sent.
  void consume(std::size_t size);
  void clear();

  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  std::vector<std::string> segments_;  // the last one takes what is appended
  std::size_t sent_ = 0;               // bytes of the first segment
  std::size_t size_ = 0;
};

}  // namespace raftkv::http
