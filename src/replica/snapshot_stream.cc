#include "src/replica/snapshot_stream.h"

#include <utility>

#include "src/base/bytes.h"

namespace raftkv::replica {
namespace {

constexpr std::size_t kPairOverhead = 8;  // two lengths

std::unexpected<Error> corrupt(std::string what) {
  return failure(ErrorCode::corrupt, "snapshot: " + std::move(what));
}

Status put_stored(std::string_view key, std::string_view value, kv::Batch& batch) {
  if (key.empty()) return corrupt("a key without a space");
  const auto parts = kv::parse_stored_value(value);
  if (!parts) return failure(parts);
  batch.put(key.front(), key.substr(1), parts->bytes, parts->index);
  return {};
}

}  // namespace

Result<std::unique_ptr<SnapshotReader>> SnapshotReader::open(std::unique_ptr<kv::View> view) {
  view->seek(kRecordKey);
  if (const Status whole = view->status(); !whole) return failure(whole);
  if (!view->valid() || view->key() != kRecordKey) {
    return failure(ErrorCode::not_found, "state: nothing has been applied to it");
  }
  auto meta = decode_record(view->value());
  if (!meta) return failure(meta);
  view->seek("");
  return std::unique_ptr<SnapshotReader>(new SnapshotReader(std::move(view), std::move(*meta)));
}

Result<StateChunk> SnapshotReader::next(std::size_t bytes_max) {
  StateChunk chunk;
  ByteWriter writer(chunk.data);
  for (; view_->valid(); view_->next()) {
    const std::size_t size = view_->key().size() + view_->value().size() + kPairOverhead;
    if (!chunk.data.empty() && chunk.data.size() + size > bytes_max) return chunk;
    writer.sized(view_->key());
    writer.sized(view_->value());
    digest_.add(view_->key(), view_->value());
  }
  // The end, or an error that looks like it.
  if (const Status whole = view_->status(); !whole) return failure(whole);
  chunk.last = true;
  chunk.contents_digest = digest_.value();
  return chunk;
}

Status SnapshotWriter::add(std::string_view chunk) {
  batch_.clear();
  ByteReader reader(chunk);
  std::string_view last = last_key_;
  while (reader.left() > 0) {
    const std::string_view key = reader.sized();
    const std::string_view value = reader.sized();
    if (!reader.ok()) return corrupt("a chunk is cut short");
    if (key <= last) return corrupt("its keys do not ascend");
    if (const Status put = put_stored(key, value, batch_); !put) return put;
    digest_.add(key, value);
    last = key;
  }
  last_key_ = std::string(last);
  return store_.write(batch_);
}

Result<StateMeta> SnapshotWriter::complete(std::uint64_t contents_digest) {
  if (digest_.value() != contents_digest) {
    return corrupt("its contents are not those that were sent");
  }
  const auto stored = store_.get(kRecordKey);
  if (!stored) return failure(stored);
  if (!*stored) return corrupt("it has no record");
  auto meta = decode_record(**stored);
  if (!meta) return meta;
  if (const Status synced = store_.sync(); !synced) return failure(synced);
  completed_ = true;
  return meta;
}

}  // namespace raftkv::replica
