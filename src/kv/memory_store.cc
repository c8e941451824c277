#include "src/base/bytes.h"
#include "src/kv/store.h"

namespace raftkv::kv {

void stored_key(char space, std::string_view key, std::string& out) {
  out.clear();
  out.push_back(space);
  out.append(key);
}

void stored_value(std::string_view bytes, std::uint64_t index, std::string& out) {
  out.clear();
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

Result<std::optional<std::string>> MemoryStore::get(std::string_view key) {
  const auto found = contents_.find(key);
  if (found == contents_.end()) return std::nullopt;
  return found->second;
}

Status MemoryStore::write(const Batch& batch) {
  std::string key;
  for (const auto& operation : batch.operations()) {
    stored_key(operation.space, operation.key, key);
    if (operation.bytes) {
      stored_value(*operation.bytes, operation.index, contents_[key]);
    } else {
      contents_.erase(key);
    }
  }
  return {};
}

Status MemoryStore::scan(std::string_view begin, std::string_view end,
                         const std::function<bool(std::string_view, std::string_view)>& visit) {
  for (auto at = contents_.lower_bound(begin); at != contents_.end(); ++at) {
    if (!end.empty() && at->first >= end) break;
    if (!visit(at->first, at->second)) break;
  }
  return {};
}

}  // namespace raftkv::kv
