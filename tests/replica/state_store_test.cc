#include "src/replica/state_store.h"

#include <gtest/gtest.h>

#include <utility>

#include "src/base/checksum.h"

namespace raftkv::replica {
namespace {

using raft::Entry;
using raft::EntryDraft;
using raft::EntryKind;
using raft::Index;
using raft::Term;

Entry noop(std::uint64_t term, std::uint64_t index) {
  return Entry::seal(EntryDraft::copy_of(EntryKind::noop, {}), Term(term), Index(index));
}
Entry command(std::uint64_t term, std::uint64_t index, const kv::Command& command) {
  return Entry::seal(EntryDraft(EntryKind::command, kv::encode(command)), Term(term), Index(index));
}
Entry configuration(std::uint64_t term, std::uint64_t index, const raft::Configuration& members) {
  std::string payload;
  members.encode(payload);
  return Entry::seal(EntryDraft::copy_of(EntryKind::configuration, payload), Term(term),
                     Index(index));
}
raft::Configuration cluster_of(const std::string& name) {
  return raft::bootstrap_configuration(name, raft::InstanceId(7), "h:1", "h:2");
}

// The bootstrap entry, a leader's first, and commands of two terms.
std::vector<Entry> sample_log() {
  return {configuration(1, 1, cluster_of("a")),
          noop(2, 2),
          command(2, 3, kv::Set{{{"x", "1"}, {"y", "2"}}}),
          command(2, 4, kv::Delete{"x"}),
          command(3, 5, kv::Delete{"x"}),
          configuration(3, 6, cluster_of("b")),
          command(3, 7, kv::Set{{{"y", "3"}}})};
}

// A store that fails where it is told to.
class FaultyStore final : public kv::ReplaceableStore {
 public:
  Result<std::optional<std::string>> get(std::string_view key) override { return store.get(key); }
  Status write(const kv::Batch& batch) override {
    if (fail_writes) return failure(ErrorCode::fatal, "no space");
    return store.write(batch);
  }
  Status sync() override {
    ++syncs;
    return {};
  }
  std::unique_ptr<kv::View> view() override { return store.view(); }
  Result<kv::OrderedStore*> begin_incoming() override { return store.begin_incoming(); }
  Status discard_incoming() override { return store.discard_incoming(); }
  Status adopt_incoming() override { return store.adopt_incoming(); }
  kv::MemoryStore store;
  bool fail_writes = false;
  int syncs = 0;
};

TEST(StateStore, StartsWithNothing) {
  kv::MemoryStore store;
  StateStore state(store);
  EXPECT_EQ(state.load().value(), StateMeta{});
}

TEST(StateStore, SaysHowFarItIsAndWhatCameOfEachEntry) {
  kv::MemoryStore store;
  StateStore state(store);
  ASSERT_TRUE(state.load());
  const std::vector<Entry> log = sample_log();
  const auto applied = state.apply(log);
  ASSERT_TRUE(applied);
  EXPECT_EQ(applied->outcomes, (std::vector<kv::Outcome>{{}, {}, {}, {true}, {false}, {}, {}}));
  EXPECT_EQ(applied->meta.applied, Index(7));
  EXPECT_EQ(applied->meta.applied_term, Term(3));
  EXPECT_EQ(applied->meta.configuration_index, Index(6));
  EXPECT_EQ(applied->meta.configuration, cluster_of("b"));
  std::uint64_t prefix = 0;
  for (const Entry& entry : log) prefix = chain64(prefix, entry.checksum());
  EXPECT_EQ(applied->meta.prefix_hash, prefix);
  std::uint64_t digest = 0;
  for (const std::uint64_t link : {6, 9, 10, 14}) digest = chain64(digest, link);
  EXPECT_EQ(applied->meta.digest, digest);
  EXPECT_EQ(state.get("x").value(), std::nullopt);
  EXPECT_EQ(state.get("y").value(), (kv::Value{"3", 7}));
}

TEST(StateStore, GoesOnAfterARestartWhereverTheBatchesEnd) {
  const std::vector<Entry> log = sample_log();
  kv::MemoryStore whole;
  StateStore all(whole);
  ASSERT_TRUE(all.load());
  ASSERT_TRUE(all.apply(log));
  for (std::size_t cut = 0; cut <= log.size(); ++cut) {
    kv::MemoryStore store;
    StateStore before(store);
    ASSERT_TRUE(before.load());
    const auto first = before.apply(std::span(log).first(cut));
    ASSERT_TRUE(first);
    StateStore after(store);
    EXPECT_EQ(after.load().value(), first->meta) << cut;
    ASSERT_TRUE(after.apply(std::span(log).subspan(cut)));
    EXPECT_EQ(store.contents(), whole.contents()) << cut;
  }
}

TEST(StateStore, AnEntryThatChangedInMemoryIsRefusedAndNothingIsWritten) {
  kv::MemoryStore store;
  StateStore state(store);
  ASSERT_TRUE(state.load());
  std::string bytes(command(1, 2, kv::Set{{{"x", "1"}}}).bytes().view());
  const auto shared = std::make_shared<std::string>(bytes);
  const auto entry = Entry::decode(SharedBytes(shared, *shared));
  ASSERT_TRUE(entry);
  shared->back() = '2';
  const std::vector<Entry> log{configuration(1, 1, cluster_of("a")), *entry};
  EXPECT_EQ(state.apply(log).error().code, ErrorCode::corrupt);
  EXPECT_TRUE(store.contents().empty());
  shared->back() = '1';
  EXPECT_EQ(state.apply(log).value().meta.applied, Index(2));
}

TEST(StateStore, AFailedWriteLeavesItWhereItWas) {
  FaultyStore store;
  StateStore state(store);
  ASSERT_TRUE(state.load());
  const std::vector<Entry> log = sample_log();
  store.fail_writes = true;
  EXPECT_EQ(state.apply(log).error().code, ErrorCode::fatal);
  store.fail_writes = false;
  EXPECT_EQ(state.apply(log).value().meta.applied, Index(7));
}

TEST(StateStore, SyncsOnlyWhenAsked) {
  FaultyStore store;
  StateStore state(store);
  ASSERT_TRUE(state.load());
  ASSERT_TRUE(state.apply(sample_log()));
  EXPECT_EQ(store.syncs, 0);
  ASSERT_TRUE(state.sync());
  EXPECT_EQ(store.syncs, 1);
}

TEST(StateStore, RefusesARecordWithAnyByteChangedOrMissing) {
  kv::MemoryStore good;
  StateStore state(good);
  ASSERT_TRUE(state.load());
  ASSERT_TRUE(state.apply(sample_log()));
  const std::string stored = good.contents().at("m");
  const auto load = [](std::string_view bytes, std::uint64_t index) {
    kv::MemoryStore store;
    kv::Batch batch;
    batch.put(kv::kMetaSpace, "", bytes, index);
    EXPECT_TRUE(store.write(batch));
    return StateStore(store).load();
  };
  const std::string bytes = stored.substr(0, stored.size() - kv::kStampSize);
  ASSERT_TRUE(load(bytes, 7));
  EXPECT_EQ(load(bytes, 8).error().code, ErrorCode::corrupt);
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    EXPECT_EQ(load(bytes.substr(0, at), 7).error().code, ErrorCode::corrupt) << at;
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    EXPECT_EQ(load(changed, 7).error().code, ErrorCode::corrupt) << at;
  }
}

TEST(StateStore, SaysThatARecordIsOfANewerVersion) {
  std::string record(44, '\0');
  record[8] = 2;
  put_u64(record.data(), checksum64(std::string_view(record).substr(8), 5));
  kv::MemoryStore store;
  kv::Batch batch;
  batch.put(kv::kMetaSpace, "", record, 5);
  ASSERT_TRUE(store.write(batch));
  EXPECT_EQ(StateStore(store).load().error().code, ErrorCode::unsupported);
}

TEST(StateStoreDeathTest, AGapIsABug) {
  kv::MemoryStore store;
  StateStore state(store);
  ASSERT_TRUE(state.load());
  const std::vector<Entry> log{noop(1, 2)};
  EXPECT_DEATH((void)state.apply(log), "in order");
}

// --- snapshots ---

class SnapshotTest : public testing::Test {
 protected:
  SnapshotTest() {
    EXPECT_TRUE(sender_.load());
    EXPECT_TRUE(sender_.apply(sample_log()));
    EXPECT_TRUE(receiver_.load());
    EXPECT_TRUE(receiver_.apply(std::vector{command(1, 1, kv::Set{{{"old", "1"}}})}));
  }
  std::vector<StateChunk> chunks(std::size_t bytes_max) {
    const auto reader = sender_.open_snapshot();
    EXPECT_EQ((*reader)->meta(), sender_.load().value());
    std::vector<StateChunk> out;
    do {
      out.push_back((*reader)->next(bytes_max).value());
    } while (!out.back().last);
    return out;
  }
  Status receive(const std::vector<StateChunk>& all) {
    bool first = true;
    for (const StateChunk& chunk : all) {
      if (Status done = receiver_.receive(chunk.data, std::exchange(first, false)); !done) {
        return done;
      }
    }
    const auto complete = receiver_.complete(all.back().contents_digest);
    return complete ? Status() : Status(failure(complete));
  }
  kv::MemoryStore from_;
  FaultyStore to_;
  StateStore sender_{from_};
  StateStore receiver_{to_};
};

TEST_F(SnapshotTest, IsTheSameStateHoweverItIsCut) {
  for (const std::size_t bytes_max : {1, 40, 100000}) {
    const auto all = chunks(bytes_max);
    EXPECT_EQ(all.size() > 1, bytes_max < 100000);
    EXPECT_EQ(all.back().contents_digest, kv::contents_digest(from_).value());
    ASSERT_TRUE(receive(all));
    EXPECT_EQ(receiver_.get("old")->value().bytes, "1") << "not yet the state";
    EXPECT_EQ(receiver_.adopt().value(), sender_.load().value());
    EXPECT_EQ(to_.store.contents(), from_.contents());
    const std::vector next = {command(4, 8, kv::Set{{{"new", "1"}}})};
    EXPECT_EQ(receiver_.apply(next)->meta.applied, Index(8)) << "the next entry follows";
    ASSERT_TRUE(receiver_.discard());
    to_.store = {};
    ASSERT_TRUE(receiver_.load());
    ASSERT_TRUE(receiver_.apply(std::vector{command(1, 1, kv::Set{{{"old", "1"}}})}));
  }
}

TEST_F(SnapshotTest, ShowsTheStateOfTheMomentItWasOpened) {
  const auto reader = sender_.open_snapshot();
  ASSERT_TRUE(sender_.apply(std::vector{command(4, 8, kv::Set{{{"y", "later"}}})}));
  const auto chunk = (*reader)->next(100000);
  EXPECT_EQ(chunk->data.find("later"), std::string::npos);
  EXPECT_EQ((*reader)->meta().applied, Index(7));
}

TEST_F(SnapshotTest, OfNothingIsRefused) {
  kv::MemoryStore empty;
  StateStore state(empty);
  EXPECT_EQ(state.open_snapshot().error().code, ErrorCode::not_found);
}

TEST_F(SnapshotTest, AChangedByteIsFound) {
  const auto all = chunks(100000);
  ASSERT_EQ(all.size(), 1u);
  for (std::size_t at = 0; at < all.front().data.size(); ++at) {
    auto changed = all;
    changed.front().data[at] = static_cast<char>(changed.front().data[at] ^ 1);
    const Status status = receive(changed);
    ASSERT_FALSE(status) << at;
    EXPECT_EQ(status.error().code, ErrorCode::corrupt) << at;
  }
  EXPECT_EQ(receiver_.get("old")->value().bytes, "1");
}

TEST_F(SnapshotTest, AMissingADoubledAndASwappedChunkAreFound) {
  const auto all = chunks(1);
  ASSERT_GT(all.size(), 1u);
  auto missing = all;
  missing.erase(missing.begin());
  EXPECT_EQ(receive(missing).error().code, ErrorCode::corrupt);
  auto doubled = all;
  doubled.insert(doubled.begin(), all.front());
  EXPECT_EQ(receive(doubled).error().code, ErrorCode::corrupt);
  auto swapped = all;
  std::swap(swapped[0], swapped[1]);
  EXPECT_EQ(receive(swapped).error().code, ErrorCode::corrupt);
}

TEST_F(SnapshotTest, WithoutItsBeginningIsRefused) {
  EXPECT_EQ(receiver_.receive(chunks(1)[1].data, false).error().code, ErrorCode::invalid);
  EXPECT_EQ(receiver_.complete(0).error().code, ErrorCode::invalid);
  ASSERT_TRUE(receiver_.receive(chunks(1)[0].data, true));
  ASSERT_TRUE(receiver_.discard());
  EXPECT_EQ(receiver_.complete(0).error().code, ErrorCode::invalid);
}

}  // namespace
}  // namespace raftkv::replica
