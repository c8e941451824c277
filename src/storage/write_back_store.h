// The state's store: its latest changes in memory, and LevelDB under them.
//
// Nothing needs the state on the disk at once: the log redoes what it lost. If each write went into
// LevelDB, a key that changes often would go as often into a WAL, a memtable and a table, to be
// thrown away by a compaction. Here only what a key holds at a sync goes there, in one batch. So
// the death of a process, too, loses what was not synced. What was read from LevelDB stays in
// memory as well, so that a key that is read often waits for no thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "src/base/result.h"
#include "src/kv/store.h"
#include "src/storage/ordered_store.h"
#include "src/storage/read_cache.h"

namespace raftkv::storage {

class WriteBackStore final : public kv::OrderedStore {
 public:
  // Bytes in memory above which a write hands them on itself, unsynced: nobody has synced for long.
  // As much again may be on its way to LevelDB, or be there already and stay for readers.
  static constexpr std::size_t kBytesMax = 16 << 20;
  // Bytes of what was read from LevelDB and is kept.
  static constexpr std::size_t kReadBytesMax = 8 << 20;

  // A larger value takes too long to copy where others wait.
  static constexpr std::size_t kBytesAtOnce = 64 << 10;

  explicit WriteBackStore(std::unique_ptr<LevelDbStore> under, std::size_t bytes_max = kBytesMax)
      : under_(std::move(under)), bytes_max_(bytes_max) {}

  // For a snapshot that is being received: each key comes once. Nothing may be in memory.
  [[nodiscard]] LevelDbStore& under() { return *under_; }

  // --- any thread ---
  [[nodiscard]] Result<std::optional<std::string>> get(std::string_view key) override;
  // If it is of what was written lately (since the sync before the last, at least) or read by
  // get().
  [[nodiscard]] bool get_at_once(std::string_view key, std::optional<std::string>& value) override;
  // Copies what is in memory: its bytes, for as long as the view lives.
  [[nodiscard]] std::unique_ptr<kv::View> view() override;
  // Half of the room is left to larger ones.
  [[nodiscard]] bool writes_at_once() override;
  // Half of the room is taken.
  [[nodiscard]] bool wants_sync() override;
  // What was written before the call is durable after it; writes go on meanwhile.
  [[nodiscard]] Status sync() override;
  // --- one thread ---
  [[nodiscard]] Status write(const kv::Batch& batch) override;

 private:
  using Changes = StoredValues;  // nullopt: erased
  class MergedView;

  // With `mutex_` held. Null: it is not in memory.
  [[nodiscard]] const std::optional<std::string>* find(std::string_view key) const;
  void note(const kv::Batch::Operation& operation);
  [[nodiscard]] Status hand_on(bool sync);

  std::unique_ptr<LevelDbStore> under_;
  const std::size_t bytes_max_;

  std::mutex handing_on_;  // held while LevelDB is written to; before `mutex_`
  std::mutex mutex_;       // of what follows
  Changes latest_;
  Changes leaving_;  // on their way into LevelDB; not changed until they are there
  Changes left_;     // are there since the last sync: for readers only
  // As LevelDB has them, and not written since: a write takes a key out.
  ReadCache read_{kReadBytesMax};
  std::uint64_t batches_ = 0;  // that were written
  std::size_t latest_bytes_ = 0;
  std::string key_;  // these two are kept for their memory
  std::string value_;
};

}  // namespace raftkv::storage
