#include "src/kv/store.h"

#include "src/base/bytes.h"
#include "src/base/checksum.h"

namespace raftkv::kv {

void stored_key(char space, std::string_view key, std::string& out) {
  out.clear();
  out.push_back(space);
  out.append(key);
}

void stored_value(std::string_view bytes, std::uint64_t index, std::string& out) {
  out.clear();
  out.reserve(bytes.size() + kStampSize);
  out.append(bytes);
  ByteWriter(out).u64(index);
}

Result<StoredValue> parse_stored_value(std::string_view stored) {
  if (stored.size() < kStampSize) {
    return failure(ErrorCode::corrupt, "state: a value is shorter than its index");
  }
  const std::size_t size = stored.size() - kStampSize;
  return StoredValue{stored.substr(0, size), get_u64(stored.data() + size)};
}

Status OrderedStore::scan(std::string_view begin, std::string_view end,
                          const std::function<bool(std::string_view, std::string_view)>& visit) {
  const auto at = view();
  for (at->seek(begin); at->valid(); at->next()) {
    if (!end.empty() && at->key() >= end) break;
    if (!visit(at->key(), at->value())) break;
  }
  return at->status();
}

void ContentsDigest::add(std::string_view key, std::string_view value) {
  value_ = checksum64(value, checksum64(key, value_));
}

Result<std::uint64_t> contents_digest(OrderedStore& store) {
  ContentsDigest digest;
  const auto at = store.view();
  for (; at->valid(); at->next()) digest.add(at->key(), at->value());
  if (const Status whole = at->status(); !whole) return failure(whole);
  return digest.value();
}

}  // namespace raftkv::kv
