// A backup: the state as of one applied index, as a file. It is what a snapshot is (see
// src/replica/snapshot_stream.h), with a beginning that says whose state it is and an end that says
// that all of it is there. A file without its end is no backup.
//
//   file    := "raftkv-backup-1\n" block(header) block(pairs)* block(end)
//   block   := checksum:u64 size:u32 kind:u8 zero:u8{3} data
//   header  := version:u8(1) zero:u8{3} cluster:u64 applied:u64 applied_term:u64
//              configuration_index:u64 configuration
//   pairs   := (key:sized value:sized)+     as a chunk of a snapshot; the record is the last of all
//   end     := pairs:u64 bytes:u64 contents_digest:u64
//
// All numbers are little-endian. A block's kind is 1 for the header, 2 for pairs, 3 for the end;
// `size` is that of its data. Its checksum is XXH3-64 of all bytes of the block behind it, seeded
// with the checksum of the block before (0 for the first): so no block can be lost, doubled or
// taken from another backup. `bytes` are those of all keys and values, `contents_digest` is
// kv::ContentsDigest over all pairs. The configuration is for people: whose state this was.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "src/base/result.h"
#include "src/raft/configuration.h"
#include "src/raft/types.h"
#include "src/replica/snapshot_stream.h"

namespace raftkv::replica {

inline constexpr std::string_view kBackupMagic = "raftkv-backup-1\n";
inline constexpr std::uint8_t kBackupVersion = 1;
inline constexpr std::size_t kBackupBlockSizeMax = 64u << 20;  // a larger one is no block

struct BackupHeader {
  raft::ClusterId cluster;
  raft::Index applied;      // the state holds what the entries through this one have done
  raft::Term applied_term;  // of that entry
  raft::Index configuration_index;
  raft::Configuration configuration;  // in force there

  bool operator==(const BackupHeader&) const = default;
};

// Whole once the end has been read.
struct BackupTotals {
  std::uint64_t pairs = 0;
  std::uint64_t bytes = 0;  // of keys and values
  std::uint64_t contents_digest = 0;

  bool operator==(const BackupTotals&) const = default;
};

// Makes the bytes of a backup, piece by piece. Any thread, but one at a time.
class BackupEncoder {
 public:
  BackupEncoder(raft::ClusterId cluster, std::unique_ptr<SnapshotReader> state);

  [[nodiscard]] const StateMeta& meta() const { return state_->meta(); }
  // The next piece, of about `bytes_max` or of one pair that is larger; empty behind the last. Not
  // to be called again after an error. Errors: corrupt, fatal.
  [[nodiscard]] Result<std::string> next(std::size_t bytes_max);
  // Of what was given out so far.
  [[nodiscard]] const BackupTotals& totals() const { return totals_; }

 private:
  void count(std::string_view pairs);

  raft::ClusterId cluster_;
  std::unique_ptr<SnapshotReader> state_;
  BackupTotals totals_;
  std::uint64_t checksum_ = 0;  // of the block before
  bool begun_ = false;
  bool ended_ = false;
};

// Takes the bytes of a backup apart, in whatever pieces they come, and believes nothing that does
// not hold: checksums, the order of the keys, counts, digest, and that the state's record is that
// of which the header speaks.
class BackupDecoder {
 public:
  // Takes bytes from the front of `bytes` until a chunk of the state is whole, and gives it;
  // nullopt: all were taken, and more are needed. The last chunk is empty and has the digest: then
  // all that was given before it is verified, and the backup is whole. Not to be called again after
  // an error. Errors: invalid (no backup at all), corrupt, unsupported (a newer version).
  [[nodiscard]] Result<std::optional<StateChunk>> take(std::string_view& bytes);
  // No bytes come any more. Error: corrupt (the end is missing).
  [[nodiscard]] Status finish() const;

  [[nodiscard]] bool whole() const { return ended_; }
  // Nullopt until it has been read.
  [[nodiscard]] const std::optional<BackupHeader>& header() const { return header_; }
  [[nodiscard]] const BackupTotals& totals() const { return totals_; }  // so far

 private:
  [[nodiscard]] bool gather(std::string_view& bytes, std::size_t size);
  [[nodiscard]] Result<std::optional<StateChunk>> take_block();
  [[nodiscard]] Status take_header(std::string_view data);
  [[nodiscard]] Status take_pairs(std::string_view data);
  [[nodiscard]] Status take_end(std::string_view data) const;

  std::string buffer_;  // the magic or a block, not yet whole
  bool has_magic_ = false;
  std::uint64_t checksum_ = 0;
  std::optional<BackupHeader> header_;
  BackupTotals totals_;
  kv::ContentsDigest digest_;
  std::string last_key_;
  std::string record_;  // the value of the last pair
  bool ended_ = false;
};

}  // namespace raftkv::replica
