#include "src/replica/backup.h"

#include <algorithm>
#include <utility>

#include "src/base/bytes.h"
#include "src/base/check.h"
#include "src/base/checksum.h"

namespace raftkv::replica {
namespace {

constexpr std::size_t kChecksumSize = 8;
constexpr std::size_t kBlockHeadSize = 16;
constexpr std::string_view kZeros("\0\0\0", 3);

enum class Kind : std::uint8_t { header = 1, pairs = 2, end = 3 };

std::unexpected<Error> corrupt(std::string what) {
  return failure(ErrorCode::corrupt, "backup: " + std::move(what));
}

// Gives its checksum.
std::uint64_t append_block(std::string& out, Kind kind, std::string_view data,
                           std::uint64_t checksum_before) {
  CHECK(data.size() <= kBackupBlockSizeMax);
  const std::size_t at = out.size();
  ByteWriter writer(out);
  writer.u64(0);
  writer.u32(static_cast<std::uint32_t>(data.size()));
  writer.u8(static_cast<std::uint8_t>(kind));
  writer.raw(kZeros);
  writer.raw(data);
  const std::uint64_t checksum =
      checksum64(std::string_view(out).substr(at + kChecksumSize), checksum_before);
  put_u64(out.data() + at, checksum);
  return checksum;
}

std::string encode(const BackupHeader& header) {
  std::string out;
  ByteWriter writer(out);
  writer.u8(kBackupVersion);
  writer.raw(kZeros);
  writer.u64(header.cluster.value);
  writer.u64(header.applied.value);
  writer.u64(header.applied_term.value);
  writer.u64(header.configuration_index.value);
  header.configuration.encode(out);
  return out;
}

std::string encode(const BackupTotals& totals) {
  std::string out;
  ByteWriter writer(out);
  writer.u64(totals.pairs);
  writer.u64(totals.bytes);
  writer.u64(totals.contents_digest);
  return out;
}

bool is_of(const BackupHeader& header, const StateMeta& meta) {
  return meta.applied == header.applied && meta.applied_term == header.applied_term &&
         meta.configuration_index == header.configuration_index &&
         meta.configuration == header.configuration;
}

}  // namespace

BackupEncoder::BackupEncoder(raft::ClusterId cluster, std::unique_ptr<SnapshotReader> state)
    : cluster_(cluster), state_(std::move(state)) {}

Result<std::string> BackupEncoder::next(std::size_t bytes_max) {
  std::string out;
  if (ended_) return out;
  if (!std::exchange(begun_, true)) {
    const StateMeta& meta = state_->meta();
    out = kBackupMagic;
    checksum_ = append_block(out, Kind::header,
                             encode(BackupHeader{.cluster = cluster_,
                                                 .applied = meta.applied,
                                                 .applied_term = meta.applied_term,
                                                 .configuration_index = meta.configuration_index,
                                                 .configuration = meta.configuration}),
                             checksum_);
  }
  const auto chunk = state_->next(bytes_max);
  if (!chunk) return failure(chunk);
  count(chunk->data);
  if (!chunk->data.empty()) checksum_ = append_block(out, Kind::pairs, chunk->data, checksum_);
  if (chunk->last) {
    totals_.contents_digest = chunk->contents_digest;
    checksum_ = append_block(out, Kind::end, encode(totals_), checksum_);
    ended_ = true;
  }
  return out;
}

void BackupEncoder::count(std::string_view pairs) {
  for (ByteReader reader(pairs); reader.left() > 0; ++totals_.pairs) {
    totals_.bytes += reader.sized().size();
    totals_.bytes += reader.sized().size();
  }
}

// --- decoding ---

// Fills the buffer up to `size`. False: there were not enough bytes.
bool BackupDecoder::gather(std::string_view& bytes, std::size_t size) {
  const std::size_t missing = size - std::min(size, buffer_.size());
  const std::size_t taken = std::min(missing, bytes.size());
  buffer_.append(bytes.substr(0, taken));
  bytes.remove_prefix(taken);
  return taken == missing;
}

Result<std::optional<StateChunk>> BackupDecoder::take(std::string_view& bytes) {
  if (!has_magic_) {
    const bool all = gather(bytes, kBackupMagic.size());
    if (!kBackupMagic.starts_with(buffer_)) {
      return failure(ErrorCode::invalid, "this is no backup of raftkv, or of a version before it");
    }
    if (!all) return std::nullopt;
    has_magic_ = true;
    buffer_.clear();
  }
  while (gather(bytes, kBlockHeadSize)) {
    if (ended_) return corrupt("something follows its end");
    const std::size_t size = get_u32(buffer_.data() + kChecksumSize);
    if (size > kBackupBlockSizeMax) return corrupt("a block is larger than any can be");
    if (!gather(bytes, kBlockHeadSize + size)) return std::nullopt;
    auto chunk = take_block();
    buffer_.clear();
    if (!chunk || *chunk) return chunk;
  }
  if (ended_ && !buffer_.empty()) return corrupt("something follows its end");
  return std::nullopt;
}

Result<std::optional<StateChunk>> BackupDecoder::take_block() {
  const std::uint64_t checksum = get_u64(buffer_.data());
  if (checksum != checksum64(std::string_view(buffer_).substr(kChecksumSize), checksum_)) {
    return corrupt("a block has a bad checksum");
  }
  checksum_ = checksum;
  if (std::string_view(buffer_).substr(kBlockHeadSize - kZeros.size(), kZeros.size()) != kZeros) {
    return corrupt("a block's head does not hold");
  }
  const auto kind = static_cast<Kind>(buffer_[kChecksumSize + 4]);
  const std::string_view data = std::string_view(buffer_).substr(kBlockHeadSize);
  if ((kind == Kind::header) == header_.has_value()) {
    return corrupt("its header is not where it belongs");
  }
  switch (kind) {
    case Kind::header:
      if (const Status taken = take_header(data); !taken) return failure(taken);
      return std::nullopt;
    case Kind::pairs:
      if (const Status taken = take_pairs(data); !taken) return failure(taken);
      return StateChunk{.data = std::string(data), .last = false, .contents_digest = 0};
    case Kind::end:
      totals_.contents_digest = digest_.value();
      if (const Status taken = take_end(data); !taken) return failure(taken);
      ended_ = true;
      return StateChunk{.data = {}, .last = true, .contents_digest = totals_.contents_digest};
  }
  return corrupt("a block is of no known kind");
}

Status BackupDecoder::take_header(std::string_view data) {
  ByteReader reader(data);
  const std::uint8_t version = reader.u8();
  if (version != kBackupVersion) {
    return failure(ErrorCode::unsupported, "backup: written by a newer version of raftkv");
  }
  const bool zeros = reader.raw(kZeros.size()) == kZeros;
  BackupHeader header;
  header.cluster = raft::ClusterId(reader.u64());
  header.applied = raft::Index(reader.u64());
  header.applied_term = raft::Term(reader.u64());
  header.configuration_index = raft::Index(reader.u64());
  auto configuration = raft::Configuration::decode(reader.raw(reader.left()));
  if (!configuration) return failure(configuration);
  header.configuration = std::move(*configuration);
  if (!reader.done() || !zeros || !header.cluster || !header.applied || !header.applied_term) {
    return corrupt("its header does not hold");
  }
  header_ = std::move(header);
  return {};
}

Status BackupDecoder::take_pairs(std::string_view data) {
  ByteReader reader(data);
  std::string_view last = last_key_;
  std::string_view value;
  while (reader.left() > 0) {
    const std::string_view key = reader.sized();
    value = reader.sized();
    if (!reader.ok()) return corrupt("a pair is cut short");
    if (key.empty() || key <= last) return corrupt("its keys do not ascend");
    if (value.size() < kv::kStampSize) return corrupt("a value has no index behind it");
    digest_.add(key, value);
    ++totals_.pairs;
    totals_.bytes += key.size() + value.size();
    last = key;
  }
  last_key_ = std::string(last);
  record_ = last_key_ == kRecordKey ? std::string(value) : std::string();
  return {};
}

Status BackupDecoder::take_end(std::string_view data) const {
  if (data != encode(totals_)) return corrupt("its contents are not those that its end names");
  if (last_key_ != kRecordKey) return corrupt("the state's record is missing");
  const auto meta = decode_record(record_);
  if (!meta) return failure(meta);
  if (!is_of(*header_, *meta)) return corrupt("its header speaks of another state");
  return {};
}

Status BackupDecoder::finish() const {
  if (ended_) return {};
  return corrupt("it is cut short: its end is missing");
}

}  // namespace raftkv::replica
