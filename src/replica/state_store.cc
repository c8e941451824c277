#include "src/replica/state_store.h"

#include <utility>
#include <variant>

#include "src/base/check.h"
#include "src/base/checksum.h"
#include "src/kv/command.h"

namespace raftkv::replica {
namespace {

constexpr std::size_t kBytesAtOnce = 4096;

}  // namespace

StateStore::StateStore(kv::ReplaceableStore& store) : store_(store), machine_(store) {}

Result<StateMeta> StateStore::load() {
  const auto stored = store_.get(kRecordKey);
  if (!stored) return failure(stored);
  meta_ = {};
  if (!*stored) return meta_;
  auto meta = decode_record(**stored);
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
  encode_record(result.meta, record_);
  batch_.put(kv::kMetaSpace, "", record_, result.meta.applied.value);
  if (const Status written = store_.write(batch_); !written) return failure(written);
  meta_ = result.meta;
  return result;
}

bool StateStore::applies_at_once(std::span<const raft::Entry> entries) {
  std::size_t bytes = 0;
  for (const raft::Entry& entry : entries) {
    bytes += entry.size();
    if (bytes > kBytesAtOnce) return false;
    if (entry.kind() != raft::EntryKind::command) continue;
    const auto command = kv::decode(entry.payload());
    if (!command || !std::holds_alternative<kv::SetView>(*command)) return false;
  }
  return store_.writes_at_once();
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

std::optional<Result<std::optional<kv::Value>>> StateStore::get_at_once(std::string_view key) {
  return kv::StateMachine::get_at_once(store_, key);
}

Status StateStore::sync() {
  return store_.sync();
}

Result<std::unique_ptr<SnapshotReader>> StateStore::open_snapshot() {
  return SnapshotReader::open(store_.view());
}

Status StateStore::receive(std::string_view data, bool first) {
  if (first) {
    incoming_.reset();
    const auto store = store_.begin_incoming();
    if (!store) return failure(store);
    incoming_ = std::make_unique<SnapshotWriter>(**store);
  }
  if (incoming_ == nullptr)
    return failure(ErrorCode::invalid, "snapshot: its beginning is missing");
  return incoming_->add(data);
}

Result<StateMeta> StateStore::complete(std::uint64_t contents_digest) {
  if (incoming_ == nullptr) return failure(ErrorCode::invalid, "snapshot: nothing was received");
  return incoming_->complete(contents_digest);
}

Status StateStore::discard() {
  incoming_.reset();
  return store_.discard_incoming();
}

Result<StateMeta> StateStore::adopt() {
  CHECK(incoming_ != nullptr && incoming_->completed(), "only a whole snapshot is installed");
  incoming_.reset();
  if (const Status adopted = store_.adopt_incoming(); !adopted) return failure(adopted);
  return load();
}

}  // namespace raftkv::replica
