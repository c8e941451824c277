#include "src/kv/state_machine.h"

#include <gtest/gtest.h>

namespace raftkv::kv {
namespace {

std::string payload_of(const Command& command) {
  return encode(command).substr(kCommandHeadroom);
}

// A store with a state machine on it. Commands get indexes 1, 2, 3, …
class StateMachineTest : public testing::Test {
 protected:
  // Executes the commands in one batch and writes it.
  std::vector<Outcome> run(const std::vector<Command>& commands) {
    std::vector<std::string> payloads;
    for (const Command& command : commands) payloads.push_back(payload_of(command));
    Batch batch;
    machine_.begin(batch);
    std::vector<Outcome> outcomes;
    for (const std::string& payload : payloads) {
      const auto outcome = machine_.execute(++index_, payload);
      if (!outcome) {
        ADD_FAILURE() << outcome.error().message;
        return outcomes;
      }
      outcomes.push_back(*outcome);
    }
    EXPECT_TRUE(store_.write(batch));
    return outcomes;
  }
  std::optional<Value> get(std::string_view key) {
    const auto value = StateMachine::get(store_, key);
    EXPECT_TRUE(value);
    return value.value_or(std::nullopt);
  }
  std::uint64_t digest() { return contents_digest(store_).value_or(0); }

  MemoryStore store_;
  StateMachine machine_{store_};
  std::uint64_t index_ = 0;
};

TEST_F(StateMachineTest, ReadsWhatWasSetWithTheIndexOfTheChange) {
  run({Set{{{"a", "1"}, {"b", ""}}}, Set{{{"a", "2"}}}});
  EXPECT_EQ(get("a"), (Value{"2", 2}));
  EXPECT_EQ(get("b"), (Value{"", 1}));
  EXPECT_EQ(get("c"), std::nullopt);
}

TEST_F(StateMachineTest, DeleteSaysWhetherTheKeyWasThere) {
  EXPECT_EQ(run({Delete{"a"}}), (std::vector<Outcome>{{false}}));
  run({Set{{{"a", "1"}}}});
  EXPECT_EQ(run({Delete{"a"}}), (std::vector<Outcome>{{true}}));
  EXPECT_EQ(run({Delete{"a"}}), (std::vector<Outcome>{{false}}));
  EXPECT_EQ(get("a"), std::nullopt);
}

TEST_F(StateMachineTest, DeleteSeesWhatTheSameBatchDid) {
  run({Set{{{"b", "old"}}}});
  EXPECT_EQ(run({Set{{{"a", "1"}}}, Delete{"a"}, Delete{"a"}, Delete{"b"}, Set{{{"b", "new"}}},
                 Delete{"b"}, Set{{{"c", "1"}}}}),
            (std::vector<Outcome>{{}, {true}, {false}, {true}, {}, {true}, {}}));
  EXPECT_EQ(get("a"), std::nullopt);
  EXPECT_EQ(get("b"), std::nullopt);
  EXPECT_EQ(get("c"), (Value{"1", 8}));
}

TEST_F(StateMachineTest, KeepsKeysThatAreNoText) {
  const std::string zero("\0", 1);
  const std::string high("\xff\xff");
  run({Set{{{zero, high}, {high, zero}}}});
  EXPECT_EQ(get(zero), (Value{high, 1}));
  EXPECT_EQ(get(high), (Value{zero, 1}));
}

TEST_F(StateMachineTest, RefusesWhatIsNoCommandAndChangesNothing) {
  Batch batch;
  machine_.begin(batch);
  EXPECT_EQ(machine_.execute(1, "junk").error().code, ErrorCode::unsupported);
  EXPECT_EQ(machine_.execute(1, "").error().code, ErrorCode::corrupt);
  EXPECT_TRUE(batch.empty());
}

TEST(StoredValue, IsRefusedWhenShorterThanItsIndex) {
  EXPECT_EQ(parse_stored_value("1234567").error().code, ErrorCode::corrupt);
  const auto empty = parse_stored_value(std::string_view("\x02\0\0\0\0\0\0\0", 8));
  ASSERT_TRUE(empty);
  EXPECT_EQ(empty->bytes, "");
  EXPECT_EQ(empty->index, 2u);
}

TEST_F(StateMachineTest, DigestCoversKeysValuesAndIndexesButNoOtherSpace) {
  const std::uint64_t empty = digest();
  run({Set{{{"a", "1"}}}});
  const std::uint64_t one = digest();
  EXPECT_NE(one, empty);
  run({Set{{{"a", "1"}}}});  // the same bytes, but changed later
  EXPECT_NE(digest(), one);
  run({Delete{"a"}});
  EXPECT_EQ(digest(), empty);
  Batch batch;
  batch.put(kMetaSpace, "a", "1", 1);
  ASSERT_TRUE(store_.write(batch));
  EXPECT_NE(digest(), empty) << "whoever wrote it";
}

TEST_F(StateMachineTest, DigestTellsWhereAKeyEnds) {
  run({Set{{{"ab", "c"}}}});
  const std::uint64_t one = digest();
  MemoryStore other;
  Batch batch;
  batch.put(kUserSpace, "a", "bc", 1);
  ASSERT_TRUE(other.write(batch));
  EXPECT_NE(contents_digest(other).value(), one);
}

TEST(MemoryStore, ScansAHalfOpenRangeInOrderUntilTold) {
  MemoryStore store;
  Batch batch;
  for (const std::string_view key : {"c", "a", "b", "d"}) batch.put('x', key, key, 1);
  ASSERT_TRUE(store.write(batch));
  std::string seen;
  const auto all = [&](std::string_view key, std::string_view) {
    seen.append(key);
    return true;
  };
  ASSERT_TRUE(store.scan("xb", "xd", all));
  EXPECT_EQ(seen, "xbxc");
  seen.clear();
  ASSERT_TRUE(store.scan("", "", all));
  EXPECT_EQ(seen, "xaxbxcxd");
  int calls = 0;
  ASSERT_TRUE(store.scan("", "", [&](auto, auto) { return ++calls < 2; }));
  EXPECT_EQ(calls, 2);
}

TEST(MemoryStore, AViewShowsWhatWasThereWhenItWasOpened) {
  MemoryStore store;
  Batch batch;
  for (const std::string_view key : {"a", "b"}) batch.put('x', key, key, 1);
  ASSERT_TRUE(store.write(batch));
  const auto view = store.view();
  batch.clear();
  batch.put('x', "a", "new", 2);
  batch.erase('x', "b");
  batch.put('x', "c", "new", 2);
  ASSERT_TRUE(store.write(batch));
  std::string seen;
  for (; view->valid(); view->next())
    seen += std::string(view->key()) + "=" + view->value().front();
  EXPECT_EQ(seen, "xa=axb=b");
  view->seek("xb");
  EXPECT_EQ(view->key(), "xb");
  view->seek("xc");
  EXPECT_FALSE(view->valid());
  EXPECT_TRUE(view->status());
}

TEST(MemoryStore, AnIncomingStoreIsApartUntilItIsAdopted) {
  MemoryStore store;
  Batch batch;
  batch.put('x', "old", "1", 1);
  ASSERT_TRUE(store.write(batch));
  const auto fill = [&](OrderedStore& incoming) {
    batch.clear();
    batch.put('x', "new", "2", 2);
    ASSERT_TRUE(incoming.write(batch));
  };
  ASSERT_TRUE(store.discard_incoming()) << "there is none";
  fill(*store.begin_incoming().value());
  EXPECT_EQ(store.get("xnew").value(), std::nullopt);
  EXPECT_FALSE(store.begin_incoming().value()->view()->valid()) << "begun again, it is empty";
  fill(*store.begin_incoming().value());
  const auto old = store.view();
  ASSERT_TRUE(store.adopt_incoming());
  EXPECT_EQ(store.get("xold").value(), std::nullopt);
  EXPECT_NE(store.get("xnew").value(), std::nullopt);
  EXPECT_EQ(old->key(), "xold") << "a view of what it was stays good";
}

}  // namespace
}  // namespace raftkv::kv
