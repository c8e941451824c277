// A snapshot on its way: the stored pairs of a state (src/kv/store.h) in the order of their keys,
// the record among them, cut into chunks.
//
//    chunk := (key:sized value:sized)*       sized: a u32 length (little-endian), and that many
//    bytes
//
// It is never a file: the sender reads chunk after chunk from one view of its state, the receiver
// writes them into an empty store. Both keep a digest over the pairs (kv::ContentsDigest), which
// does not depend on where the chunks end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "src/base/result.h"
#include "src/kv/store.h"
#include "src/replica/state_record.h"

namespace raftkv::replica {

struct StateChunk {
  std::string data;
  bool last = false;
  std::uint64_t contents_digest = 0;  // of the whole snapshot, in the last chunk
};

// The sender's side. Any thread, but one at a time.
class SnapshotReader {
 public:
  // Errors: not_found (a state in which nothing was applied), corrupt, unsupported, fatal.
  [[nodiscard]] static Result<std::unique_ptr<SnapshotReader>> open(std::unique_ptr<kv::View> view);

  [[nodiscard]] const StateMeta& meta() const { return meta_; }
  // Whole pairs up to `bytes_max`, at least one. Not to be called again after the last chunk or an
  // error. Errors: corrupt, fatal.
  [[nodiscard]] Result<StateChunk> next(std::size_t bytes_max);

 private:
  SnapshotReader(std::unique_ptr<kv::View> view, StateMeta meta)
      : view_(std::move(view)), meta_(std::move(meta)) {}

  std::unique_ptr<kv::View> view_;
  StateMeta meta_;
  kv::ContentsDigest digest_;
};

// The receiver's side.
class SnapshotWriter {
 public:
  // `store` is empty, and must outlive this.
  explicit SnapshotWriter(kv::OrderedStore& store) : store_(store) {}

  // Chunks in their order. Errors: corrupt (not pairs in ascending order), those of the store.
  [[nodiscard]] Status add(std::string_view chunk);
  // All chunks were added: compares the digest, makes the store durable and reads its record.
  // Errors: corrupt (another digest, or no whole record), unsupported, those of the store.
  [[nodiscard]] Result<StateMeta> complete(std::uint64_t contents_digest);
  [[nodiscard]] bool completed() const { return completed_; }

 private:
  kv::OrderedStore& store_;
  kv::ContentsDigest digest_;
  std::string last_key_;
  kv::Batch batch_;
  bool completed_ = false;
};

}  // namespace raftkv::replica
