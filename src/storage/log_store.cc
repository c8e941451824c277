#include "src/storage/log_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "src/base/bytes.h"
#include "src/base/check.h"
#include "src/base/checksum.h"
#include "src/storage/staggered.h"
#include "src/storage/state_directories.h"

namespace raftkv::storage {
namespace {

using raft::Entry;
using raft::Index;
using raft::LogWrite;
using raft::Term;
using raft::TermRun;

constexpr std::size_t kKeySize = 8;
constexpr std::size_t kChecksumSize = 8;
constexpr std::size_t kBoundsSize = 28;
constexpr int kDeletionsTogether = 1000;  // of cut entries: in one batch, which appends wait for

class Key {
 public:
  explicit Key(Index index) { put_u64_ordered(bytes_.data(), index.value); }
  [[nodiscard]] static Index index_of(const leveldb::Slice& key) {
    return Index(get_u64_ordered(key.data()));
  }
  [[nodiscard]] leveldb::Slice slice() const { return {bytes_.data(), bytes_.size()}; }

 private:
  std::array<char, kKeySize> bytes_;
};

const Key kBoundsKey{Index()};

struct Bounds {
  Index first;
  Term prev_term;
};

std::string encode(const Bounds& bounds) {
  std::string out;
  ByteWriter writer(out);
  writer.u64(0);
  writer.u8(kLogVersion);
  writer.raw(std::string_view("\0\0\0", 3));
  writer.u64(bounds.first.value);
  writer.u64(bounds.prev_term.value);
  CHECK(out.size() == kBoundsSize);
  put_u64(out.data(), checksum64(std::string_view(out).substr(kChecksumSize)));
  return out;
}

std::unexpected<Error> corrupt(std::string what) {
  return failure(ErrorCode::corrupt, "log: " + std::move(what));
}

Result<Bounds> decode_bounds(std::string_view bytes) {
  ByteReader reader(bytes);
  if (reader.u64() != checksum64(bytes.substr(std::min(bytes.size(), kChecksumSize)))) {
    return corrupt("its bounds have a bad checksum");
  }
  const std::uint8_t version = reader.u8();
  if (version < kLogVersion) {
    return failure(ErrorCode::invalid,
                   "has a log of an older version of raftkv, which this one does not read: make a "
                   "backup with that version, and restore it with this one");
  }
  if (version > kLogVersion || reader.raw(3) != std::string_view("\0\0\0", 3)) {
    return failure(ErrorCode::unsupported, "log: written by a newer version of raftkv");
  }
  Bounds bounds;
  bounds.first = Index(reader.u64());
  bounds.prev_term = Term(reader.u64());
  const bool holds =
      reader.done() && bounds.first && (bounds.first == Index(1)) == !bounds.prev_term;
  if (!holds) return corrupt("its bounds contradict themselves");
  return bounds;
}

// The entry in these bytes, which must be the one at `index`.
Result<Entry> entry_at(Index index, const SharedBytes& bytes) {
  auto entry = Entry::decode(bytes);
  if (!entry) return failure(entry);
  if (entry->index() != index) {
    return corrupt(fmt::format("entry {} stands at index {}", entry->index().value, index.value));
  }
  return entry;
}

// The encoded entries of a group, as their sizes say: their checksums are not looked at.
Result<std::vector<std::string_view>> split(std::string_view group) {
  std::vector<std::string_view> entries;
  while (!group.empty()) {
    const auto size = Entry::size_at_front(group);
    if (!size) return failure(size);
    entries.push_back(group.substr(0, *size));
    group.remove_prefix(*size);
  }
  return entries;
}

}  // namespace

void GroupWriter::add(const Entry& entry) {
  if (!group_.empty() && group_.size() + entry.size() > kBytesMax) finish();
  group_.append(entry.bytes().view());
  last_ = entry.index();
}

void GroupWriter::finish() {
  if (group_.empty()) return;
  batch_.Put(Key(last_).slice(), group_);
  group_.clear();
}

struct LevelDbLogStore::Change {
  Index first;
  Term prev_term;
  Index last;
  bool anything = false;
};

Status LevelDbLogStore::create(FailStopEnv& env, const std::string& path,
                               std::span<const Entry> entries) {
  DatabaseOptions options = kOptions;
  options.create = true;
  auto database = Database::open(env, "log", path, options);
  if (!database) return failure(database);
  leveldb::WriteBatch batch;
  batch.Put(kBoundsKey.slice(), encode({.first = Index(1), .prev_term = {}}));
  GroupWriter groups(batch);
  Index last;
  for (const Entry& entry : entries) {
    CHECK(entry.index() == last.next());
    groups.add(entry);
    ++last;
  }
  groups.finish();
  return database->write(batch, /*sync=*/true);
}

Result<std::unique_ptr<LevelDbLogStore>> LevelDbLogStore::open(FailStopEnv& env,
                                                               const std::string& path,
                                                               PromiseFile& promise) {
  DatabaseOptions options = kOptions;
  options.write_buffer = staggered(options.write_buffer, promise.get().identity.member);
  auto database = Database::open(env, "log", path, options);
  if (!database) return failure(database);
  std::unique_ptr<LevelDbLogStore> log(new LevelDbLogStore(std::move(*database), promise));
  if (Status loaded = log->load(); !loaded) return failure(loaded);
  return log;
}

Status LevelDbLogStore::load() {
  const auto stored = database_.get(view_of(kBoundsKey.slice()));
  if (!stored) return failure(stored);
  if (!*stored) return corrupt("its bounds are missing");
  const auto bounds = decode_bounds(**stored);
  if (!bounds) return failure(bounds);

  const auto at = database_.iterate();
  at->SeekToLast();
  if (Status whole = database_.check(*at); !whole) return whole;
  if (!at->Valid() || at->key().size() != kKeySize) return corrupt("a key is no index");
  first_ = bounds->first.value;
  last_ = std::max(Key::index_of(at->key()), bounds->first.prev()).value;
  prev_term_ = bounds->prev_term;
  wal_number_ = database_.env().wal_number();
  return {};
}

// A snapshot changes what the promise file says of the state, in its place among the writes. A
// truncation looks at what the database has: it begins a batch.
Status LevelDbLogStore::append(std::span<const LogWrite> writes) {
  const auto begins_batch = [](const LogWrite& write) {
    return write.snapshot || write.truncate_from;
  };
  while (!writes.empty()) {
    const auto end = std::find_if(writes.begin() + 1, writes.end(), begins_batch);
    const auto together = static_cast<std::size_t>(end - writes.begin());
    if (writes.front().snapshot) {
      if (Status done = install(writes.front()); !done) return done;
      writes = writes.subspan(1);
    } else {
      if (Status done = append_together(writes.first(together)); !done) return done;
      writes = writes.subspan(together);
    }
  }
  // LevelDB has begun a new WAL: from now on the old one must be whole.
  if (wal_number_ == database_.env().wal_number()) return {};
  wal_number_ = database_.env().wal_number();
  return checkpoint();
}

Status LevelDbLogStore::append_together(std::span<const LogWrite> writes) {
  if (Status kept = keep_promise(writes); !kept) return kept;
  batch_.Clear();
  Change change = unchanged();
  for (const LogWrite& write : writes) {
    if (Status added = add(write, change); !added) return added;
  }
  return commit(change);
}

LevelDbLogStore::Change LevelDbLogStore::unchanged() const {
  return {.first = first(), .prev_term = prev_term_, .last = last()};
}

// The promise file first: from then on the snapshot is the state, and a start finishes what is not
// done of the rest.
Status LevelDbLogStore::install(const LogWrite& write) {
  const LogPosition end{.index = write.snapshot->last_included_index,
                        .term = write.snapshot->last_included_term};
  Promise promise = promise_.get();
  if (write.hard_state) promise.hard_state = *write.hard_state;
  CHECK(promise.hard_state.current_term >= promise_.get().hard_state.current_term);
  auto directory = next_state_directory(promise.state_directory);
  if (!directory) return failure(directory);
  promise.state_directory = std::move(*directory);
  promise.begin_behind = end;

  batch_.Clear();
  Change change = unchanged();
  if (Status begun = add_beginning(end, change); !begun) return begun;
  const bool kept_whole = change.last == last();
  if (Status added = add(write, change); !added) return added;
  // At its own index too: the log's last entry may have stood there, with another term.
  if (!kept_whole || write.truncate_from || promise.through.index <= end.index) {
    promise.through.index = end.index;
    promise.through.term = end.term;
  }
  if (Status saved = promise_.save(promise); !saved) return saved;
  if (Status written = commit(change); !written) return written;
  promise.begin_behind = {};
  return promise_.save(promise);
}

Status LevelDbLogStore::add_beginning(const LogPosition& before, Change& change) {
  CHECK(before.index);
  if (before.index < first().prev()) return {};  // it begins further behind
  bool has_it = before.index <= last();
  if (has_it) {
    const auto own = term(before.index);
    if (!own) return failure(own);
    has_it = *own == before.term;
  }
  if (has_it && before.index == first().prev()) return {};
  change.first = before.index.next();
  change.prev_term = before.term;
  change.anything = true;
  if (has_it) return {};
  if (Status dropped = add_truncation(before.index, change); !dropped) return dropped;
  change.last = before.index;
  return {};
}

Status LevelDbLogStore::begin_behind(const LogPosition& entry) {
  batch_.Clear();
  Change change = unchanged();
  if (Status begun = add_beginning(entry, change); !begun) return begun;
  return commit(change);
}

// Hard states first: each is to be durable before the entries of its write, and the last one stands
// for all, for nothing was told to anybody in between. `through` never promises what the batch
// drops.
Status LevelDbLogStore::keep_promise(std::span<const LogWrite> writes) {
  const raft::HardState* hard_state = &promise_.get().hard_state;
  Index kept = promise_.get().through.index;
  for (const LogWrite& write : writes) {
    if (write.hard_state) hard_state = &*write.hard_state;
    if (write.truncate_from) kept = std::min(kept, write.truncate_from->prev());
  }
  const bool truncates = kept < promise_.get().through.index;
  if (*hard_state == promise_.get().hard_state && !truncates) return {};
  CHECK(hard_state->current_term >= promise_.get().hard_state.current_term);

  Promise promise = promise_.get();
  promise.hard_state = *hard_state;
  if (truncates) {
    const auto before = term(kept);
    if (!before) return failure(before);
    promise.through = {.index = kept, .term = *before, .sequence = promise.through.sequence};
  }
  return promise_.save(promise);
}

Status LevelDbLogStore::add(const LogWrite& write, Change& change) {
  if (write.truncate_from && *write.truncate_from <= change.last) {
    CHECK(*write.truncate_from >= change.first);
    CHECK(groups_.empty());
    if (Status cut = add_truncation(write.truncate_from->prev(), change); !cut) return cut;
  }
  for (const Entry& entry : write.entries) {
    CHECK(entry.index() == change.last.next(), "a log has no holes");
    groups_.add(entry);
    ++change.last;
    change.anything = true;
  }
  return {};
}

// Of the groups that reach behind `last`, the first one may have begun before it.
Status LevelDbLogStore::add_truncation(Index last, Change& change) {
  if (last >= change.last) return {};
  const auto at = database_.iterate();
  at->Seek(Key(last.next()).slice());
  if (at->Valid()) {
    const auto entries = split(view_of(at->value()));
    if (!entries) return failure(entries);
    const std::uint64_t behind = Key::index_of(at->key()) - last;
    std::size_t left = 0;
    for (std::size_t i = 0; i + behind < entries->size(); ++i) left += (*entries)[i].size();
    if (left > 0) batch_.Put(Key(last).slice(), leveldb::Slice(at->value().data(), left));
  }
  for (; at->Valid(); at->Next()) batch_.Delete(at->key());
  if (Status whole = database_.check(*at); !whole) return whole;
  change.last = last;
  change.anything = true;
  return {};
}

Status LevelDbLogStore::commit(const Change& change) {
  groups_.finish();
  if (!change.anything) return database_.env().flag().check();
  if (change.first != first()) {
    batch_.Put(kBoundsKey.slice(), encode({.first = change.first, .prev_term = change.prev_term}));
  }
  // A reader that no longer finds what goes now is to find that it was truncated.
  last_ = std::min(last(), change.last).value;
  if (Status written = database_.write(batch_, /*sync=*/true); !written) return written;
  first_ = change.first.value;
  prev_term_ = change.prev_term;
  last_ = change.last.value;
  return {};
}

Status LevelDbLogStore::checkpoint() {
  if (Status whole = database_.env().flag().check(); !whole) return whole;
  const Promise& promise = promise_.get();
  const auto last_term = term(last());
  if (!last_term) return failure(last_term);
  const Through through{
      .index = last(),
      .term = *last_term,
      .sequence = std::max(promise.through.sequence, database_.env().synced_sequence())};
  if (through == promise.through) return {};
  Promise next = promise;
  next.through = through;
  return promise_.save(next);
}

Status LevelDbLogStore::promise_repaired() {
  Promise next = promise_.get();
  next.lost = false;
  return promise_.save(next);
}

Status LevelDbLogStore::cut_before(Index first_kept, Term prev_term) {
  CHECK(first_kept <= last().next());
  if (first_kept <= first()) return database_.env().flag().check();
  batch_.Clear();
  Change change = unchanged();
  change.anything = true;
  change.first = first_kept;
  change.prev_term = prev_term;
  return commit(change);
}

// What is in the memtable goes into a table of its own, which overlaps no other: together with the
// deletions of free_cut() it would have to be merged with all that is deleted.
Status LevelDbLogStore::prepare_cut() {
  if (!database_.env().disk().has_background_thread()) return database_.env().flag().check();
  const Key beyond{Index(~std::uint64_t{0})};
  database_.compact(view_of(beyond.slice()), view_of(beyond.slice()));
  return database_.env().flag().check();
}

// A deleted key still takes its room: LevelDB drops a value only when a compaction meets it
// together with its deletion, and of its own accord that may be many cuts later.
Status LevelDbLogStore::free_cut() {
  const Key end(first());
  if (Status deleted = delete_before(end.slice()); !deleted) return deleted;
  if (database_.env().disk().has_background_thread()) {
    database_.compact("", view_of(end.slice()));
  }
  return database_.env().flag().check();
}

// Synced like every write of the log, though nobody would miss them: a compaction that ends just
// now notes in the manifest how far the writes have come, and a start that finds fewer of them
// takes the promise for lost.
Status LevelDbLogStore::delete_before(const leveldb::Slice& end) {
  leveldb::WriteBatch batch;
  int count = 0;
  const auto at = database_.iterate();
  for (at->Seek(Key(Index(1)).slice()); at->Valid() && at->key().compare(end) < 0; at->Next()) {
    batch.Delete(at->key());
    if (++count % kDeletionsTogether != 0) continue;
    if (Status written = database_.write(batch, /*sync=*/true); !written) return written;
    batch.Clear();
  }
  if (Status whole = database_.check(*at); !whole) return whole;
  return database_.write(batch, /*sync=*/true);
}

// `at` stands on the first key from `index` on, or on none.
Result<std::vector<std::string_view>> LevelDbLogStore::entries_from(const leveldb::Iterator& at,
                                                                    Index index) const {
  if (Status whole = database_.check(at); !whole) return failure(whole);
  if (at.Valid() && at.key().size() == kKeySize) {
    auto entries = split(view_of(at.value()));
    if (!entries) return entries;
    const std::uint64_t from_index = Key::index_of(at.key()) - index + 1;
    if (from_index <= entries->size()) {
      entries->erase(entries->begin(), entries->end() - static_cast<std::ptrdiff_t>(from_index));
      return entries;
    }
  }
  return corrupt(fmt::format("entry {} is missing", index.value));
}

Result<std::vector<Entry>> LevelDbLogStore::read(Index from, Index to, std::size_t bytes_max) {
  CHECK(from);
  CHECK(from <= to);
  const auto gone = [&] { return from < first() || to > last(); };
  const auto not_found = [] { return failure(ErrorCode::not_found, "log: no such entries"); };
  if (gone()) return not_found();

  // All of them in one buffer, which the entries share.
  std::string buffer;
  std::vector<std::size_t> ends;
  const auto at = database_.iterate();
  at->Seek(Key(from).slice());
  bool full = false;
  for (Index index = from; index <= to && !full; at->Next()) {
    const auto group = entries_from(*at, index);
    if (!group) {
      if (group.error().code == ErrorCode::corrupt && gone()) return not_found();
      return failure(group);
    }
    for (const std::string_view entry : *group) {
      full = index > to || (!ends.empty() && buffer.size() + entry.size() > bytes_max);
      if (full) break;
      if (ends.empty()) {
        buffer.reserve(std::max(entry.size(), std::min(bytes_max, entry.size() * (to - from + 1))));
      }
      buffer.append(entry);
      ends.push_back(buffer.size());
      ++index;
    }
  }

  const SharedBytes shared = SharedBytes::from(std::move(buffer));
  std::vector<Entry> entries;
  entries.reserve(ends.size());
  std::size_t begin = 0;
  for (const std::size_t end : ends) {
    auto entry = entry_at(from + entries.size(), shared.slice(begin, end - begin));
    if (!entry) return failure(entry);
    entries.push_back(std::move(*entry));
    begin = end;
  }
  return entries;
}

Result<Term> LevelDbLogStore::term(Index index) {
  if (index == first().prev()) return prev_term_;
  const auto at = database_.iterate();
  return term_at(*at, index);
}

Result<Term> LevelDbLogStore::term_at(leveldb::Iterator& at, Index index) {
  CHECK(index >= first());
  CHECK(index <= last());
  at.Seek(Key(index).slice());
  const auto group = entries_from(at, index);
  if (!group) return failure(group);
  const auto entry = entry_at(index, SharedBytes(nullptr, group->front()));
  if (!entry) return failure(entry);
  return entry->term();
}

std::uint64_t LevelDbLogStore::bytes_through(Index index) {
  const Key begin(first());
  const Key end(index.next());
  return index < first() ? 0 : database_.size(view_of(begin.slice()), view_of(end.slice()));
}

// The last index with the term of `from`: doubles the step until it is too far, then halves it.
Result<Index> LevelDbLogStore::end_of_term(leveldb::Iterator& at, Index from, Term term) {
  Index same = from;
  Index later = last().next();
  for (std::uint64_t step = 1; later - same > 1;) {
    const Index probe = same + std::min(step, (later - same) / 2);
    const auto found = term_at(at, probe);
    if (!found) return failure(found);
    if (*found < term) return corrupt(fmt::format("the term falls before {}", probe.value));
    if (*found == term) {
      same = probe;
      step *= 2;
    } else {
      later = probe;
      step = later - same;
    }
  }
  return same;
}

Result<std::vector<TermRun>> LevelDbLogStore::term_runs() {
  std::vector<TermRun> runs;
  const auto at = database_.iterate();
  for (Index index = first(); index <= last();) {
    const auto term = term_at(*at, index);
    if (!term) return failure(term);
    if (!runs.empty() && *term <= runs.back().term) {
      return corrupt(fmt::format("the term falls before {}", index.value));
    }
    runs.push_back({.term = *term, .first = index});
    const auto end = end_of_term(*at, index, *term);
    if (!end) return failure(end);
    index = end->next();
  }
  return runs;
}

}  // namespace raftkv::storage
