#include "src/replica/state_record.h"

#include <utility>

#include "src/base/bytes.h"
#include "src/base/checksum.h"
#include "src/kv/store.h"

namespace raftkv::replica {
namespace {

constexpr std::size_t kChecksumSize = 8;

std::unexpected<Error> corrupt(std::string what) {
  return failure(ErrorCode::corrupt, "state: " + std::move(what));
}

std::uint64_t checksum_of(std::string_view record, raft::Index applied) {
  return checksum64(record.substr(kChecksumSize), applied.value);
}

}  // namespace

AppliedConfiguration::AppliedConfiguration(raft::Configuration configuration) {
  auto shared = std::make_shared<Shared>();
  configuration.encode(shared->encoded);
  shared->configuration = std::move(configuration);
  shared_ = std::move(shared);
}

void encode_record(const StateMeta& meta, std::string& out) {
  out.clear();
  ByteWriter writer(out);
  writer.u64(0);
  writer.u8(kStateVersion);
  writer.raw(std::string_view("\0\0\0", 3));
  writer.u64(meta.applied_term.value);
  writer.u64(meta.configuration_index.value);
  writer.u64(meta.prefix_hash);
  writer.u64(meta.digest);
  writer.raw(meta.configuration.encoded());
  put_u64(out.data(), checksum_of(out, meta.applied));
}

Result<StateMeta> decode_record(std::string_view stored) {
  const auto parts = kv::parse_stored_value(stored);
  if (!parts) return failure(parts);
  const std::string_view record = parts->bytes;
  const raft::Index applied(parts->index);
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

}  // namespace raftkv::replica
