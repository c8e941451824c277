// Frames for the tests of this folder.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/raft/wire.h"

namespace raftkv::net {

// A whole frame from `member` with this body.
inline raft::Frame frame_from(std::uint64_t member, std::string_view body) {
  const raft::Route route = {.cluster = raft::ClusterId(77),
                             .from = raft::MemberId(member),
                             .from_incarnation = raft::Incarnation(1),
                             .to = raft::MemberId(99),
                             .to_incarnation = {}};
  return raft::make_frame(raft::FrameKind::forward, route, raft::Term(5), body);
}

inline std::string body_of(const SharedBytes& frame) {
  const auto parsed = raft::parse_frame(frame);
  return parsed ? std::string(parsed->body.view()) : "(no frame: " + parsed.error().message + ")";
}

inline raft::Entry entry_of(std::uint64_t index, std::string_view payload) {
  return raft::Entry::seal(raft::EntryDraft::copy_of(raft::EntryKind::command, payload),
                           raft::Term(5), raft::Index(index));
}

// A head and entries of these payloads behind it: several pieces for whoever writes it.
inline raft::Frame frame_with_entries(std::uint64_t member,
                                      const std::vector<std::string>& payloads) {
  raft::Frame frame = frame_from(member, "head");
  for (const auto& payload : payloads)
    frame.entries.push_back(entry_of(frame.entries.size() + 1, payload));
  return frame;
}

}  // namespace raftkv::net
