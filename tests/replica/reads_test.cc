#include "src/replica/reads.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "src/kv/command.h"
#include "tests/replica/hand_worker.h"

namespace raftkv::replica {
namespace {

using raft::Index;
using raft::Term;

// Of some keys it says at once what they hold.
class WarmStore final : public kv::ReplaceableStore {
 public:
  std::set<std::string, std::less<>> warm;  // stored keys

  [[nodiscard]] Result<std::optional<std::string>> get(std::string_view key) override {
    return memory_.get(key);
  }
  [[nodiscard]] bool get_at_once(std::string_view key, std::optional<std::string>& value) override {
    if (!warm.contains(key)) return false;
    value = memory_.get(key).value();
    return true;
  }
  [[nodiscard]] Status write(const kv::Batch& batch) override { return memory_.write(batch); }
  [[nodiscard]] Status sync() override { return {}; }
  [[nodiscard]] std::unique_ptr<kv::View> view() override { return memory_.view(); }
  [[nodiscard]] Result<kv::OrderedStore*> begin_incoming() override {
    return memory_.begin_incoming();
  }
  [[nodiscard]] Status discard_incoming() override { return memory_.discard_incoming(); }
  [[nodiscard]] Status adopt_incoming() override { return memory_.adopt_incoming(); }

 private:
  kv::MemoryStore memory_;
};

class ReadsTest : public testing::Test {
 protected:
  ReadsTest() {
    EXPECT_TRUE(states_.load());
    std::vector<raft::Entry> entries;
    for (const std::string key : {"a", "b", "c"}) {
      entries.push_back(raft::Entry::seal(
          raft::EntryDraft(raft::EntryKind::command, kv::encode_set(key, "of " + key)), Term(1),
          Index(entries.size() + 1)));
    }
    EXPECT_TRUE(states_.apply(entries));
  }
  void allow(const std::string& key) { reads_.allow(Handle(++handles_), key); }
  // What has been fetched since the last call: "1=of a ".
  std::string fetched() {
    note(reads_.fetched());
    reads_.fetched().clear();
    return std::exchange(said_, "");
  }
  void note(std::vector<Reads::Item>& items) {
    for (const Reads::Item& item : items) {
      said_ += std::to_string(item.handle.value) + "=" +
               (*item.value ? (*item.value)->bytes : std::string("-")) + " ";
    }
  }

  WarmStore store_;
  StateStore states_{store_};
  HandWorker worker_;
  std::string said_;
  Reads reads_{states_, worker_, 2, [this](std::vector<Reads::Item>& items) { note(items); }};
  std::uint64_t handles_ = 0;
};

TEST_F(ReadsTest, WhatIsThereAtOnceWaitsForNoWorker) {
  store_.warm = {"ka", "kx"};
  allow("a");
  allow("x");
  reads_.start();
  EXPECT_TRUE(worker_.jobs.empty());
  EXPECT_EQ(fetched(), "1=of a 2=- ");
  EXPECT_TRUE(reads_.idle());
}

TEST_F(ReadsTest, TheWorkerFetchesTheRestInBatchesAndHoldsUpNobody) {
  store_.warm = {"ka"};
  for (const std::string key : {"b", "a", "c", "b"}) allow(key);
  reads_.start();
  EXPECT_EQ(fetched(), "2=of a ");
  EXPECT_EQ(worker_.jobs.size(), 1u);
  allow("a");
  reads_.start();
  EXPECT_EQ(fetched(), "5=of a ") << "while the worker is busy";
  EXPECT_EQ(worker_.jobs.size(), 1u);
  ASSERT_TRUE(worker_.pump());
  EXPECT_EQ(fetched(), "1=of b 3=of c ") << "two a batch";
  reads_.start();
  ASSERT_TRUE(worker_.pump());
  EXPECT_EQ(fetched(), "4=of b ");
}

TEST_F(ReadsTest, AGrantedReadWaitsUntilItsIndexIsApplied) {
  store_.warm = {"ka"};
  reads_.grant(Handle(1), "a", Index(4), Index(3));
  reads_.start();
  EXPECT_EQ(fetched(), "");
  reads_.applied(Index(4));
  reads_.start();
  EXPECT_EQ(fetched(), "1=of a ");
}

}  // namespace
}  // namespace raftkv::replica
