#include "sim/disk.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace raftkv::sim {
namespace {

using raft::Index;
using raft::MemberId;
using raft::Term;

// Keeps the log that the disk says is durable.
struct Witness final : DiskWitness {
  void durable_hard_state(const raft::HardState& hard_state) override { hard = hard_state; }
  void durable_truncated(Index from) override { terms.resize(from.value - 1); }
  void durable_appended(const raft::Entry& entry) override { terms.push_back(entry.term().value); }
  void durable_cut(Index first) override { cut = first; }
  void durable_installed(Index index, Term) override { installed = index; }
  void durable_state(Index applied) override { synced = applied; }
  void promise_repaired() override {}
  void found(const FoundOnDisk&, std::span<const raft::LogWrite>) override {}
  raft::HardState hard;
  std::vector<std::uint64_t> terms;
  Index cut;
  Index installed;
  Index synced;
};

raft::Entry entry(std::uint64_t term, std::uint64_t index) {
  return raft::Entry::seal(raft::EntryDraft::copy_of(raft::EntryKind::noop, {}), Term(term),
                           Index(index));
}

raft::LogWrite write_of(std::optional<raft::HardState> hard, std::optional<Index> truncate,
                        std::vector<raft::Entry> entries) {
  raft::LogWrite write;
  write.hard_state = hard;
  write.truncate_from = truncate;
  write.entries = std::move(entries);
  return write;
}

// A disk with three entries of term 1, and a write that replaces the last two by three of term 2.
struct Fixture {
  Fixture() {
    const auto first =
        write_of(raft::HardState{Term(1), MemberId()}, {}, {entry(1, 1), entry(1, 2), entry(1, 3)});
    EXPECT_TRUE(disk.append({&first, 1}));
  }
  Status replace() {
    const auto second = write_of(raft::HardState{Term(2), MemberId(9)}, Index(2),
                                 {entry(2, 2), entry(2, 3), entry(2, 4)});
    return disk.append({&second, 1});
  }
  [[nodiscard]] std::string terms() const {
    std::string text;
    for (const raft::Entry& one : disk.image().entries) text += std::to_string(one.term().value);
    return text;
  }
  Witness witness;
  Disk disk{witness};
};

TEST(Disk, WhatIsAppendedIsDurable) {
  Fixture f;
  ASSERT_TRUE(f.replace());
  Prng prng(1);
  f.disk.crash(Crash::power, prng);
  EXPECT_EQ(f.terms(), "1222");
  EXPECT_EQ(f.disk.image().hard_state, (raft::HardState{Term(2), MemberId(9)}));
  EXPECT_EQ(f.witness.terms, (std::vector<std::uint64_t>{1, 2, 2, 2}));
}

TEST(Disk, ACrashWithinAnAppendLeavesEachPrefixOfItsOperations) {
  // Operations: hard state, truncation, three entries, sync.
  std::set<std::string> seen;
  for (std::uint64_t operations = 0; operations <= 6; ++operations) {
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
      Fixture f;
      f.disk.freeze_after(operations);
      EXPECT_EQ(f.replace().has_value(), operations == 6);
      EXPECT_EQ(f.disk.frozen(), operations <= 6);
      Prng prng(seed);
      f.disk.crash(Crash::power, prng);
      EXPECT_EQ(f.disk.image().hard_state.current_term, Term(operations == 0 ? 1 : 2));
      seen.insert(f.terms());
      std::string told;
      for (const std::uint64_t term : f.witness.terms) told += std::to_string(term);
      EXPECT_EQ(told, f.terms()) << "the witness knows what the disk holds";
    }
  }
  EXPECT_EQ(seen, (std::set<std::string>{"111", "1", "12", "122", "1222"}));
}

TEST(Disk, AKilledProcessLosesNothingThatItWrote) {
  Fixture f;
  f.disk.freeze_after(4);  // hard state, truncation, two entries; not synced
  EXPECT_FALSE(f.replace());
  Prng prng(1);
  f.disk.crash(Crash::process, prng);
  EXPECT_EQ(f.terms(), "122");
}

TEST(Disk, TheStateLosesWholeBatchesFromTheEnd) {
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Fixture f;
    kv::Batch batch;
    batch.put('k', "a", "0", 1);
    ASSERT_TRUE(f.disk.write(batch));
    ASSERT_TRUE(f.disk.sync());
    for (const char* value : {"1", "2"}) {
      batch.clear();
      batch.put('k', "a", value, 2);
      batch.put('k', "b", value, 2);
      ASSERT_TRUE(f.disk.write(batch));
    }
    batch.clear();
    batch.erase('k', "a");
    ASSERT_TRUE(f.disk.write(batch));
    Prng prng(seed);
    f.disk.crash(Crash::power, prng);
    std::string text;
    for (const auto& [key, value] : f.disk.contents()) {
      text += key + "=" + std::string(kv::parse_stored_value(value)->bytes) + " ";
    }
    seen.insert(text);
  }
  EXPECT_EQ(seen, (std::set<std::string>{"ka=0 ", "ka=1 kb=1 ", "ka=2 kb=2 ", "kb=2 "}));
}

TEST(Disk, TruncationTakesThePromiseOfItsLengthBackFirst) {
  for (std::uint64_t operations = 0; operations <= 7; ++operations) {
    Fixture f;
    ASSERT_TRUE(f.disk.checkpoint());
    f.disk.freeze_after(operations);
    (void)f.replace();
    Prng prng(operations);
    f.disk.crash(Crash::power, prng);
    const replica::LogImage image = f.disk.image();
    EXPECT_LE(image.through, image.last()) << "no crash loses a promise";
  }
}

TEST(Disk, ACutMovesTheBeginning) {
  Fixture f;
  ASSERT_TRUE(f.disk.cut_before(Index(3), Term(1)));
  EXPECT_EQ(f.witness.cut, Index(3));
  Prng prng(1);
  f.disk.crash(Crash::power, prng);
  EXPECT_EQ(f.disk.image().first(), Index(3));
  EXPECT_EQ(f.terms(), "1");
  EXPECT_FALSE(f.disk.read(Index(2), Index(3), 100));
}

// Receives "new" and writes the log write that installs it, behind entry 2 of the term.
Status install(Fixture& f, std::uint64_t term) {
  kv::Batch batch;
  batch.put('k', "new", "1", 2);
  auto incoming = f.disk.begin_incoming();
  if (!incoming) return failure(incoming);
  if (Status written = (*incoming)->write(batch); !written) return written;
  if (Status synced = (*incoming)->sync(); !synced) return synced;
  raft::LogWrite write = write_of({}, {}, {});
  write.snapshot = raft::SnapshotMeta{.last_included_index = Index(2),
                                      .last_included_term = Term(term),
                                      .configuration_index = {},
                                      .configuration = {}};
  return f.disk.append({&write, 1});
}

TEST(Disk, ACrashWhileASnapshotIsInstalledLeavesTheOldOrTheNew) {
  // Operations: the promise that switches, the cut, its sync, the promise that it is done.
  for (const std::uint64_t term : {1, 2}) {
    const std::string behind = term == 1 ? "1" : "";  // a log that contradicts it goes
    for (const Crash kind : {Crash::process, Crash::power}) {
      for (std::uint64_t operations = 0; operations <= 4; ++operations) {
        for (std::uint64_t seed = 0; seed < 10; ++seed) {
          Fixture f;
          kv::Batch batch;
          batch.put('k', "old", "0", 1);
          ASSERT_TRUE(f.disk.write(batch));
          ASSERT_TRUE(f.disk.sync());
          ASSERT_TRUE(f.disk.checkpoint());
          f.disk.freeze_after(operations);
          const bool began = operations > 0;
          EXPECT_EQ(install(f, term).has_value(), operations == 4);
          Prng prng(seed);
          f.disk.crash(kind, prng);
          EXPECT_EQ(f.disk.contents().begin()->first, began ? "knew" : "kold");
          EXPECT_EQ(f.disk.contents().size(), 1u);
          EXPECT_EQ(f.terms(), began ? behind : "111");
          EXPECT_EQ(f.disk.image().first(), Index(began ? 3 : 1));
          EXPECT_EQ(f.witness.installed, Index(began ? 2 : 0));
          EXPECT_LE(f.disk.image().through, f.disk.image().last()) << "no crash loses a promise";
        }
      }
    }
  }
}

TEST(Disk, WhatWasReceivedOfASnapshotIsGoneAfterACrash) {
  Fixture f;
  kv::Batch batch;
  batch.put('k', "new", "1", 2);
  const auto incoming = f.disk.begin_incoming();
  ASSERT_TRUE(incoming);
  ASSERT_TRUE((*incoming)->write(batch));
  ASSERT_TRUE((*incoming)->sync());
  Prng prng(1);
  f.disk.crash(Crash::process, prng);
  EXPECT_TRUE(f.disk.contents().empty());
}

}  // namespace
}  // namespace raftkv::sim
