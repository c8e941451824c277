// Whatever comes to the Raft port: cut into frames at a fuzzed pace, parsed, decoded. A frame that
// is accepted says the same when it is encoded again.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "src/base/check.h"
#include "src/base/checksum.h"
#include "src/net/frame_reader.h"
#include "src/raft/wire.h"

namespace {

using namespace raftkv;

bool of_raft(raft::FrameKind kind) {
  return kind != raft::FrameKind::forward && kind != raft::FrameKind::forward_reply;
}

Status take(const SharedBytes& frame) {
  auto parsed = raft::parse_frame(frame);
  if (!parsed) return failure(parsed);
  if (!of_raft(parsed->kind)) return {};
  auto envelope = raft::decode(std::move(*parsed));
  if (!envelope) return failure(envelope);
  const std::string again = raft::encode(*envelope).flatten();
  CHECK(again == frame.view(), "a decoded frame encodes to other bytes");
  return {};
}

// The fuzzer does not find checksums by itself: put the right one into a frame's head where there
// is room.
void repair(std::string& frame) {
  constexpr std::size_t kHeadSizeAt = 8;
  constexpr std::size_t kChecksumAt = 16;
  constexpr std::size_t kRouteAt = 24;
  if (frame.size() < raft::kFrameHeaderSize) return;
  frame[4] = static_cast<char>(raft::kWireVersion);
  frame[6] = frame[7] = '\0';
  put_u32(frame.data(), static_cast<std::uint32_t>(frame.size() - 4));
  const std::size_t head = std::min<std::size_t>(get_u32(&frame[kHeadSizeAt]), frame.size());
  if (head < raft::kFrameHeaderSize) return;
  const std::string_view covered = std::string_view(frame).substr(0, head);
  put_u64(&frame[kChecksumAt],
          checksum64(covered.substr(kRouteAt), checksum64(covered.substr(0, kChecksumAt))));
}

void feed(std::string_view bytes, std::size_t pace) {
  net::FrameReader reader;
  net::FrameReader::Sink sink = take;
  while (!bytes.empty()) {
    std::size_t total = 0;
    for (const auto part : reader.space()) {
      const std::size_t size = std::min({part.size(), bytes.size(), pace - total});
      if (size == 0) continue;
      std::memcpy(part.data(), bytes.data(), size);
      bytes.remove_prefix(size);
      total += size;
    }
    if (!reader.received(total, sink)) return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t pace = 1u + data[0];
  std::string bytes(reinterpret_cast<const char*>(data + 2), size - 2);
  if (data[1] & 1) repair(bytes);
  feed(bytes, pace);
  return 0;
}
