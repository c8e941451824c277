#include "src/raft/entry.h"

#include <utility>

#include "src/base/check.h"
#include "src/base/checksum.h"

namespace raftkv::raft {
namespace {

constexpr std::size_t kChecksumSize = 8;
constexpr std::size_t kTermAt = 8;
constexpr std::size_t kIndexAt = 16;
constexpr std::size_t kPayloadSizeAt = 24;
constexpr std::size_t kVersionAt = 28;
constexpr std::size_t kKindAt = 29;
constexpr std::size_t kZeroAt = 30;

bool known(std::uint8_t kind) {
  return kind >= static_cast<std::uint8_t>(EntryKind::noop) &&
         kind <= static_cast<std::uint8_t>(EntryKind::configuration);
}

std::uint64_t checksum_of(std::string_view bytes) {
  return checksum64(bytes.substr(kChecksumSize));
}

}  // namespace

EntryDraft::EntryDraft(EntryKind kind, std::string buffer)
    : kind_(kind), buffer_(std::move(buffer)) {
  CHECK(buffer_.size() >= kEntryHeaderSize);
}

EntryDraft EntryDraft::copy_of(EntryKind kind, std::string_view payload) {
  std::string buffer;
  buffer.reserve(kEntryHeaderSize + payload.size());
  buffer.append(kEntryHeaderSize, '\0');
  buffer.append(payload);
  return {kind, std::move(buffer)};
}

Entry Entry::seal(EntryDraft draft, Term term, Index index) {
  CHECK(term);
  CHECK(index);
  std::string& out = draft.buffer_;
  CHECK(out.size() - kEntryHeaderSize <= 0xffffffffu);
  put_u64(&out[kTermAt], term.value);
  put_u64(&out[kIndexAt], index.value);
  put_u32(&out[kPayloadSizeAt], static_cast<std::uint32_t>(out.size() - kEntryHeaderSize));
  out[kVersionAt] = static_cast<char>(kEntryVersion);
  out[kKindAt] = static_cast<char>(draft.kind_);
  out[kZeroAt] = out[kZeroAt + 1] = '\0';
  put_u64(out.data(), checksum_of(out));

  Entry entry;
  entry.term_ = term;
  entry.index_ = index;
  entry.kind_ = draft.kind_;
  entry.bytes_ = SharedBytes::from(std::move(out));
  return entry;
}

Result<std::size_t> Entry::size_at_front(std::string_view bytes) {
  if (bytes.size() < kEntryHeaderSize)
    return failure(ErrorCode::corrupt, "entry: shorter than its header");
  const std::size_t size = kEntryHeaderSize + get_u32(&bytes[kPayloadSizeAt]);
  if (size > bytes.size())
    return failure(ErrorCode::corrupt, "entry: shorter than its payload size says");
  return size;
}

Result<Entry> Entry::decode(SharedBytes bytes) {
  const std::string_view in = bytes.view();
  const auto size = size_at_front(in);
  if (!size) return failure(size);
  if (*size != in.size()) return failure(ErrorCode::corrupt, "entry: bytes left over behind it");
  if (get_u64(in.data()) != checksum_of(in))
    return failure(ErrorCode::corrupt, "entry: bad checksum");
  // From here on the bytes are as somebody wrote them; what does not fit was written by a newer
  // version.
  const auto version = static_cast<std::uint8_t>(in[kVersionAt]);
  const auto kind = static_cast<std::uint8_t>(in[kKindAt]);
  if (version != kEntryVersion || !known(kind) || in[kZeroAt] != 0 || in[kZeroAt + 1] != 0) {
    return failure(ErrorCode::unsupported,
                   "entry: of a version or kind that this build does not know");
  }
  Entry entry;
  entry.term_ = Term(get_u64(&in[kTermAt]));
  entry.index_ = Index(get_u64(&in[kIndexAt]));
  entry.kind_ = static_cast<EntryKind>(kind);
  if (!entry.term_ || !entry.index_)
    return failure(ErrorCode::corrupt, "entry: without term or index");
  entry.bytes_ = std::move(bytes);
  return entry;
}

bool Entry::intact() const {
  return get_u64(bytes_.view().data()) == checksum_of(bytes_.view());
}

}  // namespace raftkv::raft
