// The state's record: how far it is, and what is in force there.
//
// Beside the user's keys the store holds this one record: the empty key in kv::kMetaSpace. Its
// stamp is the applied index; layout of its bytes (little-endian):
//    0  u64  checksum, XXH3-64 of all bytes behind it, seeded with the applied index
//    8  u8   version (1), then 3 zero bytes
//   12  u64  applied term        20  u64  index of the configuration's entry
//   28  u64  prefix hash         36  u64  digest
//   44       configuration, encoded (src/raft/configuration.h)
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "src/base/result.h"
#include "src/kv/store.h"
#include "src/raft/configuration.h"
#include "src/raft/types.h"

namespace raftkv::replica {

inline constexpr std::uint8_t kStateVersion = 1;
inline constexpr std::string_view kRecordKey(&kv::kMetaSpace, 1);  // the stored key

// A configuration and its encoding. Copies share both: every batch that is applied says which
// configuration is in force, and hardly one changes it.
class AppliedConfiguration {
 public:
  AppliedConfiguration() : AppliedConfiguration(raft::Configuration()) {}
  // NOLINTNEXTLINE(google-explicit-constructor)
  AppliedConfiguration(raft::Configuration configuration);
  // To move is to copy: there is always a configuration.
  AppliedConfiguration(const AppliedConfiguration&) = default;
  AppliedConfiguration& operator=(const AppliedConfiguration&) = default;
  ~AppliedConfiguration() = default;

  [[nodiscard]] const raft::Configuration& get() const { return shared_->configuration; }
  [[nodiscard]] const std::string& encoded() const { return shared_->encoded; }
  // NOLINTNEXTLINE(google-explicit-constructor)
  operator const raft::Configuration&() const { return get(); }

  bool operator==(const AppliedConfiguration& other) const {
    return shared_ == other.shared_ || get() == other.get();
  }
  bool operator==(const raft::Configuration& other) const { return get() == other; }

 private:
  struct Shared {
    raft::Configuration configuration;
    std::string encoded;
  };
  std::shared_ptr<const Shared> shared_;
};

struct StateMeta {
  raft::Index applied;
  raft::Term applied_term;
  raft::Index configuration_index;
  AppliedConfiguration configuration;  // in force at `applied`
  std::uint64_t prefix_hash = 0;  // chain64 over the checksums of all entries through `applied`
  std::uint64_t digest = 0;  // chain64 over twice the index, plus 1 if it deleted, of all commands

  bool operator==(const StateMeta&) const = default;
};

// The record's bytes, without the stamp, written over what `out` holds.
void encode_record(const StateMeta& meta, std::string& out);
// From the stored value. Errors: corrupt, unsupported (a newer version).
[[nodiscard]] Result<StateMeta> decode_record(std::string_view stored);

}  // namespace raftkv::replica
