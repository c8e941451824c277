// The abstract ordered store under the state machine: LevelDB in production (src/storage), a map in
// tests and in most simulated runs (MemoryStore). Keys order as unsigned bytes.
//
// A stored key is one byte that says whose it is (a *space*: kUserSpace, kMetaSpace), then the key.
// A stored value is the bytes, then the log index of their last change (u64, little-endian): behind
// the bytes, so that a reader cuts it off without moving them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/result.h"

namespace raftkv::kv {

inline constexpr char kUserSpace = 'k';  // what clients write
inline constexpr char kMetaSpace = 'm';  // of src/replica/state_store.h
inline constexpr std::size_t kStampSize = 8;

// Writes to be done together, in order. It borrows keys and bytes: they must live until the batch
// is written or cleared. Reusable: clear() keeps memory.
class Batch {
 public:
  struct Operation {
    char space;
    std::string_view key;
    std::optional<std::string_view> bytes;  // nullopt: erase
    std::uint64_t index;                    // of the log entry that changes it
  };
  void put(char space, std::string_view key, std::string_view bytes, std::uint64_t index) {
    operations_.push_back({space, key, bytes, index});
  }
  void erase(char space, std::string_view key) { operations_.push_back({space, key, {}, 0}); }
  void clear() { operations_.clear(); }
  [[nodiscard]] const std::vector<Operation>& operations() const { return operations_; }
  [[nodiscard]] bool empty() const { return operations_.empty(); }

 private:
  std::vector<Operation> operations_;
};

// The stored key and value of an operation, written over what `out` holds.
void stored_key(char space, std::string_view key, std::string& out);
void stored_value(std::string_view bytes, std::uint64_t index, std::string& out);
// A stored value's parts. Errors: corrupt (shorter than the index).
struct StoredValue {
  std::string_view bytes;
  std::uint64_t index = 0;
};
[[nodiscard]] Result<StoredValue> parse_stored_value(std::string_view stored);

// The stored pairs of a store as they were when the view was opened, in order of their keys,
// whatever is written since. It pins what it shows: keep it for a bounded time. Any thread, but one
// at a time; the store must outlive it.
class View {
 public:
  virtual ~View() = default;

  // Stands on a pair? False behind the last, and after an error: status() tells.
  [[nodiscard]] virtual bool valid() const = 0;
  // Good until the view moves.
  [[nodiscard]] virtual std::string_view key() const = 0;
  [[nodiscard]] virtual std::string_view value() const = 0;
  virtual void next() = 0;
  // To the first pair whose key is not below this.
  virtual void seek(std::string_view key) = 0;
  // What it has met. Errors: corrupt, fatal. What it has shown counts only if this is ok.
  [[nodiscard]] virtual Status status() const = 0;
};

// One thread writes; others may read and sync at the same time.
class OrderedStore {
 public:
  virtual ~OrderedStore() = default;

  // The value of a stored key; nullopt: not there. Errors: corrupt, fatal.
  [[nodiscard]] virtual Result<std::optional<std::string>> get(std::string_view key) = 0;
  // The same where it has to wait for nothing, neither a disk nor a writer. False: it would have
  // to. Any thread.
  [[nodiscard]] virtual bool get_at_once(std::string_view /*key*/,
                                         std::optional<std::string>& /*value*/) {
    return false;
  }
  // All of it or nothing, in order. Of what was not synced a crash leaves the first few, or all, or
  // none.
  [[nodiscard]] virtual Status write(const Batch& batch) = 0;
  // A small write would not wait for a disk now. Any thread.
  [[nodiscard]] virtual bool writes_at_once() { return false; }
  // So much waits for a sync that one should come soon. Any thread.
  [[nodiscard]] virtual bool wants_sync() { return false; }
  // Makes everything written before the call durable.
  [[nodiscard]] virtual Status sync() = 0;
  // Stands on the first pair. Any thread.
  [[nodiscard]] virtual std::unique_ptr<View> view() = 0;

  // Calls `visit` for each stored pair with begin <= key < end (empty end: to the last) over one
  // view, until it returns false. The views are valid during the call.
  [[nodiscard]] Status scan(std::string_view begin, std::string_view end,
                            const std::function<bool(std::string_view, std::string_view)>& visit);
};

// A store whose whole contents another store's can take the place of: how a snapshot is received
// (src/replica/state_store.h). Until it is adopted the incoming store is apart: nobody reads it,
// and a crash leaves nothing of it.
class ReplaceableStore : public OrderedStore {
 public:
  // All three: the thread that writes. Errors: fatal.

  // An empty store; what an earlier one has received is gone. It lives until it is discarded or
  // adopted.
  [[nodiscard]] virtual Result<OrderedStore*> begin_incoming() = 0;
  // No error if there is none.
  [[nodiscard]] virtual Status discard_incoming() = 0;
  // From now on this is the incoming store, which must have been synced, and what this was is gone;
  // views of it stay good. That it is so after a crash, too, is another's promise
  // (LogStore::append).
  [[nodiscard]] virtual Status adopt_incoming() = 0;
};

// In memory. For one thread: nobody may read while another writes. A view is a copy.
class MemoryStore final : public ReplaceableStore {
 public:
  using Contents = std::map<std::string, std::string, std::less<>>;

  [[nodiscard]] Result<std::optional<std::string>> get(std::string_view key) override;
  [[nodiscard]] Status write(const Batch& batch) override;
  [[nodiscard]] Status sync() override { return {}; }
  [[nodiscard]] std::unique_ptr<View> view() override;
  [[nodiscard]] Result<OrderedStore*> begin_incoming() override;
  [[nodiscard]] Status discard_incoming() override;
  [[nodiscard]] Status adopt_incoming() override;
  [[nodiscard]] const Contents& contents() const { return contents_; }

 private:
  Contents contents_;
  std::unique_ptr<MemoryStore> incoming_;
};

// A view of these pairs.
[[nodiscard]] std::unique_ptr<View> view_of(MemoryStore::Contents contents);

// A digest over stored pairs in the order of their keys: the same for the same contents, however
// they are cut into parts. Of each pair, the seed of XXH3-64 over the value is XXH3-64 over the
// key, whose seed is the digest of the pairs before (0 before the first).
class ContentsDigest {
 public:
  void add(std::string_view key, std::string_view value);
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0;
};
// Over all that a store holds, the state's record included. Reads all of it.
[[nodiscard]] Result<std::uint64_t> contents_digest(OrderedStore& store);

}  // namespace raftkv::kv
