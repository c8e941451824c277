// Frames: how messages travel between members. One layout for raft's messages and for what a node
// forwards to its leader (src/replica/forward.h).
//
// Layout (little-endian):
//    0  u32  size of the frame behind this field
//    4  u8   version (1)
//    5  u8   kind
//    6  u16  zero
//    8  u32  size of the head: this header and the body
//   12  u32  number of entries behind the head
//   16  u64  checksum, XXH3-64 of the head but for this field
//   24  u64  cluster      32 u64 from        40 u64 from's incarnation
//   48  u64  to           56 u64 to's incarnation          64 u64 term
//   72       body of this kind
//   ..       entries, each with its own size and checksum (src/raft/entry.h)
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/result.h"
#include "src/raft/message.h"

namespace raftkv::raft {

inline constexpr std::uint8_t kWireVersion = 1;
inline constexpr std::size_t kFrameHeaderSize = 72;
inline constexpr std::size_t kFrameSizeMax = 64u
                                             << 20;  // more is refused before anything is allocated

// A frame to be sent: the head, then every entry's bytes, shared and not copied.
struct Frame {
  std::string head;
  std::vector<Entry> entries;

  [[nodiscard]] std::size_t size() const;
  // All in one string: for tests, and where a copy does not matter.
  [[nodiscard]] std::string flatten() const&;
  [[nodiscard]] std::string flatten() &&;
};

enum class FrameKind : std::uint8_t {
  pre_vote = 1,
  pre_vote_reply = 2,
  request_vote = 3,
  request_vote_reply = 4,
  append_entries = 5,
  append_entries_reply = 6,
  timeout_now = 7,
  install_snapshot = 8,
  install_snapshot_reply = 9,
  forward = 16,        // replica: a request for the leader
  forward_reply = 17,  // replica: its answer
};

// A checked frame: header read, checksum of the head right, entries intact.
struct ReceivedFrame {
  FrameKind kind = FrameKind::pre_vote;
  Route route;
  Term term;
  SharedBytes body;
  std::vector<Entry> entries;
};

// The size of the whole frame, from its first 4 bytes. Errors: invalid (below a header or above
// kFrameSizeMax).
[[nodiscard]] Result<std::size_t> frame_size(std::string_view first_four_bytes);

// Makes a frame with a body of its own (replica's kinds).
[[nodiscard]] Frame make_frame(FrameKind kind, const Route& route, Term term,
                               std::string_view body);
// Errors: corrupt, unsupported (another version or kind).
[[nodiscard]] Result<ReceivedFrame> parse_frame(SharedBytes frame);

// Entries are shared, not copied.
[[nodiscard]] Frame encode(Envelope envelope);
// The message in a frame of one of raft's kinds; its entries are moved out of `frame`.
[[nodiscard]] Result<Envelope> decode(ReceivedFrame frame);
// What a frame that was just made says. No checksum is looked at: its receiver does. The envelope
// shares what is large with `frame`, and must not outlive it.
[[nodiscard]] Result<Envelope> decode(const Frame& frame);

}  // namespace raftkv::raft
