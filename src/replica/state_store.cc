#include "src/replica/state_store.h"

#include <utility>

#include "src/base/bytes.h"
#include "src/base/check.h"
#include "src/base/checksum.h"

namespace raftkv::replica {
namespace {

constexpr std::size_t kChecksumSize = 8;

std::uint64_t checksum_of(std::string_view record, raft::Index applied) {
  return checksum64(record.substr(kChecksumSize), applied.value);
}

void encode(const StateMeta& meta, std::string& out) {
  out.clear();
  ByteWriter writer(out);
  writer.u64(0);
  writer.u8(kStateVersion);
  writer.raw(std::string_view("\0\0\0", 3));
  writer.u64(meta.applied_term.value);
  writer.u64(meta.configuration_index.value);
  writer.u64(meta.prefix_hash);
  writer.u64(meta.digest);
  meta.configuration.encode(out);
  put_u64(out.data(), checksum_of(out, meta.applied));
}

std::unexpected<Error> corrupt(std::string what) {
  return failure(ErrorCode::corrupt, "state: " + std::move(what));
}

Result<StateMeta> decode(std::string_view record, raft::Index applied) {
  ByteReader reader(record);
  const std::uint64_t checksum = reader.u64();
  if (!reader.ok() || checksum != checksum_of(record, applied)) {
    return corrupt("its record has a bad checksum");
  }
  if (reader.u8() != kStateVersion || reader.raw(3) != std::string_view("\0\0\0", 3)) {
    return failure(ErrorCode::unsupported, "state: its record is of a newer version");
  }
  StateMeta meta;
  meta.applied = applied;
  meta.applied_term = raft::Term(reader.u64());
  meta.configuration_index = raft::Index(reader.u64());
  meta.prefix_hash = reader.u64();
  meta.digest = reader.u64();
  if (!reader.ok()) return corrupt("its record is too short");
  auto configuration = raft::Configuration::decode(reader.raw(reader.left()));
  if (!configuration) return failure(configuration);
  meta.configuration = std::move(*configuration);
  if (!meta.applied || !meta.applied_term || meta.configuration_index > meta.applied) {
    return corrupt("its record contradicts itself");
  }
  return meta;
}

}  // namespace

StateStore::StateStore(kv::OrderedStore& store) : store_(store), machine_(store) {}

Result<StateMeta> StateStore::load() {
  const auto stored = store_.get(std::string_view(&kv::kMetaSpace, 1));
  if (!stored) return failure(stored);
  meta_ = {};
  if (!*stored) return meta_;
  const auto parts = kv::parse_stored_value(**stored);
  if (!parts) return failure(parts);
  auto meta = decode(parts->bytes, raft::Index(parts->index));
  if (!meta) return meta;
  meta_ = std::move(*meta);
  return meta_;
}

Result<ApplyResult> StateStore::apply(std::span<const raft::Entry> entries) {
  ApplyResult result{.outcomes = {}, .meta = meta_};
  if (entries.empty()) return result;
  result.outcomes.reserve(entries.size());
  batch_.clear();
  machine_.begin(batch_);
  for (const raft::Entry& entry : entries) {
    const auto outcome = apply_one(entry, result.meta);
    if (!outcome) return failure(outcome);
    result.outcomes.push_back(*outcome);
  }
  encode(result.meta, record_);
  batch_.put(kv::kMetaSpace, "", record_, result.meta.applied.value);
  if (const Status written = store_.write(batch_); !written) return failure(written);
  meta_ = result.meta;
  return result;
}

Result<kv::Outcome> StateStore::apply_one(const raft::Entry& entry, StateMeta& meta) {
  CHECK(entry.index() == meta.applied.next(), "entries are applied in order, each once");
  CHECK(entry.term() >= meta.applied_term);
  if (!entry.intact()) {
    return failure(ErrorCode::corrupt, "entry " + std::to_string(entry.index().value) +
                                           " has changed in memory: its checksum is bad");
  }
  meta.applied = entry.index();
  meta.applied_term = entry.term();
  meta.prefix_hash = chain64(meta.prefix_hash, entry.checksum());
  switch (entry.kind()) {
    case raft::EntryKind::noop:
      return kv::Outcome{};
    case raft::EntryKind::configuration: {
      auto configuration = raft::Configuration::decode(entry.payload());
      if (!configuration) return failure(configuration);
      meta.configuration = std::move(*configuration);
      meta.configuration_index = entry.index();
      return kv::Outcome{};
    }
    case raft::EntryKind::command: {
      const auto outcome = machine_.execute(entry.index().value, entry.payload());
      if (!outcome) return outcome;
      meta.digest = chain64(meta.digest, 2 * entry.index().value + (outcome->deleted ? 1 : 0));
      return outcome;
    }
  }
  CHECK(false, "an entry of a kind that decode() lets through has a meaning here");
}

Result<std::optional<kv::Value>> StateStore::get(std::string_view key) {
  return kv::StateMachine::get(store_, key);
}

Status StateStore::sync() {
  return store_.sync();
}

}  // namespace raftkv::replica
