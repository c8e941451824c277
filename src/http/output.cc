#include "src/http/output.h"

#include <algorithm>

#include "src/base/check.h"

namespace raftkv::http {

void Output::append(std::string_view bytes) {
  if (bytes.empty()) return;
  if (segments_.empty() || segments_.back().size() >= kSegmentSize) segments_.emplace_back();
  segments_.back().append(bytes);
  size_ += bytes.size();
}

void Output::append_body(std::string&& body) {
  if (body.size() < kSegmentSize) return append(body);
  size_ += body.size();
  segments_.push_back(std::move(body));
}

std::size_t Output::front(std::array<std::string_view, kGatherMax>& parts) const {
  const std::size_t count = std::min(segments_.size(), kGatherMax);
  for (std::size_t i = 0; i < count; ++i) parts[i] = segments_[i];
  if (count > 0) parts[0].remove_prefix(sent_);
  return count;
}

void Output::consume(std::size_t size) {
  CHECK(size <= size_);
  size_ -= size;
  sent_ += size;
  std::size_t done = 0;
  while (done < segments_.size() && sent_ >= segments_[done].size()) {
    sent_ -= segments_[done].size();
    ++done;
  }
  // In steady state one small segment comes and goes: keep its memory.
  if (done == 1 && segments_.size() == 1 && segments_[0].capacity() <= kSegmentSize) {
    segments_[0].clear();
  } else {
    segments_.erase(segments_.begin(), segments_.begin() + static_cast<std::ptrdiff_t>(done));
  }
}

void Output::clear() {
  segments_.clear();
  sent_ = size_ = 0;
}

}  // namespace raftkv::http
