// One entry of the log. It is encoded once, by the leader: the same bytes go into LevelDB, over
// every connection, and to the state machine.
//
// Layout (little-endian):
//    0  u64  checksum, XXH3-64 of all bytes behind it
//    8  u64  term
//   16  u64  index
//   24  u32  payload size
//   28  u8   version (1)
//   29  u8   kind
//   30  u16  zero
//   32       payload
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "src/base/bytes.h"
#include "src/base/result.h"
#include "src/raft/types.h"

namespace raftkv::raft {

enum class EntryKind : std::uint8_t {
  noop = 1,           // a new leader's first entry (§8)
  command = 2,        // payload: for the state machine; opaque here
  configuration = 3,  // payload: an encoded Configuration
};

inline constexpr std::size_t kEntryHeaderSize = 32;
inline constexpr std::uint8_t kEntryVersion = 1;

// A payload that has no place in a log yet. Its buffer leaves room in front for the entry's header,
// so that sealing it copies nothing.
class EntryDraft {
 public:
  // Takes over `buffer`, whose first kEntryHeaderSize bytes are room for the header.
  EntryDraft(EntryKind kind, std::string buffer);
  // Copies the payload behind a fresh header.
  [[nodiscard]] static EntryDraft copy_of(EntryKind kind, std::string_view payload);

  [[nodiscard]] EntryKind kind() const { return kind_; }
  [[nodiscard]] std::size_t size() const { return buffer_.size(); }  // header included

 private:
  friend class Entry;
  EntryKind kind_;
  std::string buffer_;
};

// Immutable and cheap to copy: copies share the bytes.
class Entry {
 public:
  Entry() = default;

  // Writes the header and the checksum into the draft.
  [[nodiscard]] static Entry seal(EntryDraft draft, Term term, Index index);
  // Checks structure and checksum of exactly one encoded entry. Errors: corrupt, unsupported (a
  // newer version).
  [[nodiscard]] static Result<Entry> decode(SharedBytes bytes);
  // The size of the encoded entry at the front of `bytes`; corrupt if it cannot be whole.
  [[nodiscard]] static Result<std::size_t> size_at_front(std::string_view bytes);

  [[nodiscard]] Term term() const { return term_; }
  [[nodiscard]] Index index() const { return index_; }
  [[nodiscard]] EntryKind kind() const { return kind_; }
  [[nodiscard]] std::uint64_t checksum() const { return get_u64(bytes_.view().data()); }
  [[nodiscard]] std::string_view payload() const { return bytes_.view().substr(kEntryHeaderSize); }
  // The encoded entry, header included.
  [[nodiscard]] const SharedBytes& bytes() const { return bytes_; }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }

  // True if the bytes still have the checksum that they were sealed with. Asked once more before
  // apply.
  [[nodiscard]] bool intact() const;

 private:
  Term term_;
  Index index_;
  EntryKind kind_ = EntryKind::noop;
  SharedBytes bytes_;
};

}  // namespace raftkv::raft
