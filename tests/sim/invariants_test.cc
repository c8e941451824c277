// Every check is shown something that it must refuse. What needs a whole cluster to go wrong is
// shown by the mutants (tests/mutants).
#include "sim/invariants.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "sim/client_checks.h"
#include "sim/disk.h"
#include "src/base/checksum.h"
#include "src/kv/command.h"
#include "src/kv/store.h"
#include "src/replica/state_record.h"
#include "src/replica/state_store.h"

namespace raftkv::sim {
namespace {

using raft::HardState;

raft::Entry entry_of(std::uint64_t term, std::uint64_t index, std::string_view value = "v") {
  return raft::Entry::seal(raft::EntryDraft(raft::EntryKind::command, kv::encode_set("k", value)),
                           Term(term), Index(index));
}

raft::Entry configuration_entry() {
  Configuration configuration;
  for (std::uint64_t i = 1; i <= 3; ++i) {
    configuration.members.push_back({MemberId(i), raft::InstanceId(i), "n" + std::to_string(i),
                                     "h:" + std::to_string(i), "r:" + std::to_string(i),
                                     MemberId()});
    configuration.voters.push_back(MemberId(i));
  }
  std::string payload;
  configuration.encode(payload);
  return raft::Entry::seal(raft::EntryDraft::copy_of(raft::EntryKind::configuration, payload),
                           Term(1), Index(1));
}

// Three nodes whose log is a configuration, committed, and what a test adds.
struct Fixture {
  Fixture() {
    invariants.begins_with(configuration_entry());
    for (std::size_t node = 0; node < 3; ++node) {
      ghost.nodes[node].member = MemberId(node + 1);
      invariants.durable_hard_state(node, HardState{Term(1), MemberId()});
      invariants.durable_appended(node, configuration_entry());
    }
  }

  [[nodiscard]] raft::Raft recovered(std::size_t node, std::vector<raft::Entry> tail = {},
                                     HardState hard_state = {Term(1), MemberId()}) const {
    raft::Recovered from;
    from.hard_state = hard_state;
    from.tail = {configuration_entry()};
    from.terms = {{Term(1), Index(1)}};
    for (raft::Entry& entry : tail) {
      if (from.terms.back().term != entry.term())
        from.terms.push_back({entry.term(), entry.index()});
      from.tail.push_back(std::move(entry));
    }
    from.last = from.tail.back().index();
    const raft::Identity identity{raft::ClusterId(1), MemberId(node + 1),
                                  raft::InstanceId(node + 1), Incarnation(1)};
    return {raft::Options{}, identity, std::move(from), Prng(1), Time{}};
  }
  void start(std::size_t node, const raft::Raft& raft) {
    invariants.started(node, raft, {}, &nothing);
  }
  const kv::MemoryStore::Contents nothing;

  [[nodiscard]] raft::Envelope from(std::size_t node, std::uint64_t to, std::uint64_t term,
                                    raft::Message message) const {
    return {{raft::ClusterId(1), MemberId(node + 1), Incarnation(1), MemberId(to), Incarnation()},
            Term(term),
            std::move(message)};
  }
  [[nodiscard]] std::string violated() const {
    return verdict.violation() ? verdict.violation()->invariant : "nothing";
  }

  Ghost ghost{3};
  Verdict verdict;
  Invariants invariants{ghost, verdict};
  ClientChecks checks{ghost, verdict};
};

TEST(Invariants, NothingIsViolatedByAStart) {
  Fixture f;
  const raft::Raft raft = f.recovered(0);
  f.start(0, raft);
  f.invariants.turned(0, raft);
  EXPECT_EQ(f.violated(), "nothing");
}

TEST(Invariants, I1TwoLeadersInOneTerm) {
  Fixture f;
  const raft::Raft one = f.recovered(0);
  const raft::Raft two = f.recovered(1);
  f.start(0, one);
  f.start(1, two);
  const replica::Event leads = raft::Event(raft::RoleChanged{raft::Role::leader, Term(2), "test"});
  f.invariants.observed(0, one, leads);
  EXPECT_EQ(f.violated(), "nothing");
  f.invariants.observed(1, two, leads);
  EXPECT_EQ(f.violated(), "I1");
}

TEST(Invariants, I2AFollowerDropsWhatNothingConflictsWith) {
  Fixture f;
  f.invariants.durable_appended(0, entry_of(1, 2));
  const raft::Raft longer = f.recovered(0, {entry_of(1, 2)});
  f.start(0, longer);
  f.invariants.turned(0, longer);
  f.invariants.turned(0, f.recovered(0));
  EXPECT_EQ(f.violated(), "I2");
}

TEST(Invariants, I2ATailIsKeptBehindAReplacedEntryOnDisk) {
  Fixture f;
  f.invariants.durable_appended(0, entry_of(1, 2));
  f.invariants.durable_appended(0, entry_of(2, 2));
  EXPECT_EQ(f.violated(), "I2");
}

TEST(Invariants, I3TwoEntriesOfOneTermAtOneIndex) {
  Fixture f;
  const raft::Raft one = f.recovered(0);
  const raft::Raft two = f.recovered(1);
  f.start(0, one);
  f.start(1, two);
  f.invariants.durable_appended(0, entry_of(1, 2, "a"));
  f.invariants.durable_appended(1, entry_of(1, 2, "b"));
  f.invariants.turned(0, f.recovered(0, {entry_of(1, 2, "a")}));
  f.invariants.turned(1, f.recovered(1, {entry_of(1, 2, "b")}));
  EXPECT_EQ(f.violated(), "I3");
}

TEST(Invariants, I5AnotherDigest) {
  Fixture f;
  const raft::Raft raft = f.recovered(0);
  f.start(0, raft);
  replica::StateMeta meta;
  meta.applied = Index(1);
  meta.prefix_hash = f.ghost.committed_prefix(Index(1));
  meta.digest = f.ghost.committed_at(Index(1)).digest + 1;
  f.invariants.applied(0, meta, nullptr);
  EXPECT_EQ(f.violated(), "I5");
}

TEST(Invariants, I5AppliedTwice) {
  Fixture f;
  const raft::Raft raft = f.recovered(0);
  f.start(0, raft);
  replica::StateMeta meta;
  meta.applied = Index(1);
  meta.prefix_hash = f.ghost.committed_prefix(Index(1));
  meta.digest = f.ghost.committed_at(Index(1)).digest;
  f.invariants.applied(0, meta, nullptr);
  EXPECT_EQ(f.violated(), "nothing");
  f.invariants.applied(0, meta, nullptr);
  EXPECT_EQ(f.violated(), "I5");
}

TEST(Invariants, I7AnAcknowledgementOfWhatIsNotOnDisk) {
  Fixture f;
  const raft::Raft raft = f.recovered(0);
  f.start(0, raft);
  f.ghost.leaders[Term(1)] = {1, MemberId(2), Incarnation(1)};
  raft::AppendEntriesReply reply;
  reply.match_index = Index(1);
  f.invariants.sent(0, raft, f.from(0, 2, 1, reply));
  EXPECT_EQ(f.violated(), "nothing");
  f.invariants.durable_appended(0, entry_of(1, 2));
  f.invariants.turned(0, f.recovered(0, {entry_of(1, 2)}));
  f.invariants.durable_truncated(0, Index(2));
  reply.match_index = Index(2);
  f.invariants.sent(0, raft, f.from(0, 2, 1, reply));
  EXPECT_EQ(f.violated(), "I7");
}

TEST(Invariants, I8ACommittedEntryLeavesADisk) {
  Fixture f;
  f.invariants.durable_truncated(0, Index(1));
  EXPECT_EQ(f.violated(), "I8");
}

TEST(Invariants, I9TheTermFallsOnDisk) {
  Fixture f;
  f.invariants.durable_hard_state(0, HardState{Term(5), MemberId()});
  f.invariants.durable_hard_state(0, HardState{Term(4), MemberId()});
  EXPECT_EQ(f.violated(), "I9");
}

TEST(Invariants, I9TheVoteChangesWithinATerm) {
  Fixture f;
  f.invariants.durable_hard_state(0, HardState{Term(5), MemberId(1)});
  EXPECT_EQ(f.violated(), "nothing");
  f.invariants.durable_hard_state(0, HardState{Term(5), MemberId(2)});
  EXPECT_EQ(f.violated(), "I9");
}

TEST(Invariants, I9AVoteIsSentBeforeItIsDurable) {
  Fixture f;
  const raft::Raft raft = f.recovered(0);
  f.start(0, raft);
  f.invariants.sent(0, raft, f.from(0, 2, 3, raft::RequestVoteReply{true}));
  EXPECT_EQ(f.violated(), "I9");
}

TEST(Invariants, I9AskingForVotesBeforeTheOwnIsDurable) {
  Fixture f;
  const raft::Raft raft = f.recovered(0);
  f.start(0, raft);
  f.invariants.sent(0, raft, f.from(0, 2, 2, raft::RequestVote{Index(1), Term(1), false}));
  EXPECT_EQ(f.violated(), "I9");
}

TEST(Invariants, I9ARecoveredTermThatIsNotTheDisks) {
  Fixture f;
  f.start(0, f.recovered(0, {}, HardState{Term(3), MemberId()}));
  EXPECT_EQ(f.violated(), "I9");
}

TEST(Invariants, I12StableBeyondTheDisk) {
  Fixture f;
  f.invariants.durable_appended(0, entry_of(1, 2));
  const raft::Raft raft = f.recovered(0, {entry_of(1, 2)});
  f.start(0, raft);
  f.invariants.durable_truncated(0, Index(2));
  f.invariants.turned(0, raft);
  EXPECT_EQ(f.violated(), "I12");
}

TEST(Invariants, I15NeighboursWhoseQuorumsDoNotMeet) {
  Configuration three;
  three.voters = {MemberId(1), MemberId(2), MemberId(3)};
  Configuration four = three;
  four.voters.push_back(MemberId(4));
  Configuration others;
  others.voters = {MemberId(4), MemberId(5), MemberId(6)};
  Configuration joint = others;
  joint.outgoing = three.voters;
  EXPECT_TRUE(quorums_intersect(three, four));
  EXPECT_FALSE(quorums_intersect(three, others));
  EXPECT_TRUE(quorums_intersect(three, joint));
  EXPECT_TRUE(quorums_intersect(joint, others));
  EXPECT_FALSE(quorums_intersect(joint, three));
  EXPECT_FALSE(quorums_intersect(four, joint));
}

TEST(Invariants, I18AppendEntriesOfSomebodyWhoDoesNotLead) {
  Fixture f;
  const raft::Raft raft = f.recovered(0);
  f.start(0, raft);
  f.invariants.sent(0, raft, f.from(0, 2, 1, raft::AppendEntries{}));
  EXPECT_EQ(f.violated(), "I18");
}

TEST(Invariants, I18AGapBetweenEntries) {
  Fixture f;
  const raft::Raft raft = f.recovered(0);
  f.start(0, raft);
  f.ghost.leaders[Term(1)] = {0, MemberId(1), Incarnation(1)};
  raft::AppendEntries append;
  append.prev_log_index = Index(1);
  append.prev_log_term = Term(1);
  append.entries = {entry_of(1, 3)};
  f.invariants.sent(0, raft, f.from(0, 2, 1, append));
  EXPECT_EQ(f.violated(), "I18");
}

TEST(Invariants, I10ADiskThatCutsWhatIsNotCommitted) {
  Fixture f;
  f.invariants.durable_appended(0, entry_of(1, 2));
  f.invariants.durable_state(0, Index(2));
  f.invariants.durable_cut(0, Index(3));
  EXPECT_EQ(f.violated(), "I10");
}

TEST(Invariants, I10ALogThatIsCutAboveTheSyncedState) {
  Fixture f;
  f.invariants.durable_state(0, Index(1));
  f.invariants.durable_cut(0, Index(2));
  EXPECT_FALSE(f.verdict.failed());
  f.invariants.durable_state(0, Index(0));
  f.invariants.durable_cut(0, Index(2));
  EXPECT_EQ(f.violated(), "I10");
}

// Seed 95000695 with LevelDB: the old state was synced once more before the new one was adopted.
TEST(Invariants, I10ASyncOfTheStateThatASnapshotReplacesTakesNothingFromIt) {
  Fixture f;
  f.invariants.durable_installed(0, Index(1), Term(1));
  f.invariants.durable_state(0, Index(0));
  f.invariants.durable_cut(0, Index(2));
  EXPECT_FALSE(f.verdict.failed());
  f.invariants.durable_state(0, Index(1));
  f.invariants.durable_state(0, Index(0));
  f.invariants.durable_cut(0, Index(2));
  EXPECT_EQ(f.violated(), "I10") << "the new state itself is less now";
}

raft::SnapshotMeta snapshot_at(std::uint64_t index) {
  const auto configuration = Configuration::decode(configuration_entry().payload());
  return {.last_included_index = Index(index),
          .last_included_term = Term(1),
          .configuration_index = Index(1),
          .configuration = *configuration};
}

TEST(Invariants, I10ASnapshotOfWhatIsNotCommitted) {
  for (const auto& [index, violated] : {std::pair{1, "nothing"}, {2, "I10"}}) {
    Fixture f;
    const raft::Raft raft = f.recovered(0);
    f.start(0, raft);
    f.ghost.leaders[Term(1)] = {0, MemberId(1), Incarnation(1)};
    raft::InstallSnapshot chunk;
    chunk.snapshot = snapshot_at(static_cast<std::uint64_t>(index));
    f.invariants.sent(0, raft, f.from(0, 2, 1, chunk));
    EXPECT_EQ(f.violated(), violated);
  }
}

TEST(Invariants, I10ASnapshotWithAnotherConfiguration) {
  Fixture f;
  const raft::Raft raft = f.recovered(0);
  f.start(0, raft);
  f.ghost.leaders[Term(1)] = {0, MemberId(1), Incarnation(1)};
  raft::InstallSnapshot chunk;
  chunk.snapshot = snapshot_at(1);
  chunk.snapshot.configuration.members.pop_back();
  f.invariants.sent(0, raft, f.from(0, 2, 1, chunk));
  EXPECT_EQ(f.violated(), "I10");
}

TEST(Invariants, I10AnInstalledSnapshotThatNobodyCommitted) {
  Fixture f;
  const raft::Raft raft = f.recovered(0);
  f.start(0, raft);
  f.invariants.observed(0, raft, raft::Event(raft::SnapshotInstalled{Index(5), Term(1)}));
  f.invariants.turned(0, raft);
  EXPECT_EQ(f.violated(), "I10");
}

TEST(Invariants, I7AnInstalledSnapshotThatIsAcknowledgedBeforeItIsDurable) {
  Fixture f;
  f.invariants.begins_with(entry_of(1, 2));
  const raft::Raft raft = f.recovered(1);
  f.start(1, raft);
  f.ghost.leaders[Term(1)] = {0, MemberId(1), Incarnation(1)};
  raft::InstallSnapshotReply reply;
  reply.installed = Index(2);
  f.invariants.sent(1, raft, f.from(1, 1, 1, reply));
  EXPECT_EQ(f.violated(), "I7");
}

TEST(Invariants, I20AnInstalledStateWithSomethingElseInIt) {
  Fixture f;
  const raft::Raft raft = f.recovered(0);
  f.start(0, raft);
  f.invariants.observed(0, raft, raft::Event(raft::SnapshotInstalled{Index(1), Term(1)}));
  f.invariants.turned(0, raft);
  replica::StateMeta meta;
  meta.applied = Index(1);
  meta.prefix_hash = f.ghost.committed_prefix(Index(1));
  meta.digest = f.ghost.committed_at(Index(1)).digest;
  meta.configuration_index = Index(1);
  meta.configuration = snapshot_at(1).configuration;
  const kv::MemoryStore::Contents contents = {{"kx", std::string(8, '\0') + "y"}};
  f.invariants.applied(0, meta, &contents);
  EXPECT_EQ(f.violated(), "I20");
}

TEST(Invariants, I20ARecoveredStateWithSomethingElseInIt) {
  Fixture f;
  replica::StateMeta meta;
  const kv::MemoryStore::Contents contents = {{"kx", std::string(8, '\0') + "y"}};
  f.invariants.started(0, f.recovered(0), meta, &contents);
  EXPECT_EQ(f.violated(), "I20");
}

// --- a log that cannot be read, and what was being written to it ---

struct Unreadable : Fixture {
  Unreadable() {
    invariants.durable_appended(0, entry_of(1, 2));
    invariants.damaged(0);
    write.hard_state = HardState{Term(2), MemberId(2)};
    write.truncate_from = Index(2);
    write.entries = {entry_of(2, 2), entry_of(2, 3)};
  }
  // The start finds this, and the node runs with a log of these entries behind the configuration.
  [[nodiscard]] std::string start_with(HardState hard_state, std::vector<raft::Entry> log) {
    FoundOnDisk there;
    there.hard_state = hard_state;
    there.first = Index(1);
    there.last = Index(1 + log.size());
    there.unreadable = true;
    invariants.found(0, there, {&write, 1});
    start(0, recovered(0, std::move(log), hard_state));
    return violated();
  }
  raft::LogWrite write;  // under way when a sync failed
};

TEST(Invariants, I9AFailedSyncMayLeaveTheNewerVoteBesideALogThatCannotBeRead) {
  for (const HardState there : {HardState{Term(1), MemberId()}, HardState{Term(2), MemberId(2)}})
    EXPECT_EQ(Unreadable().start_with(there, {entry_of(1, 2)}), "nothing");
  EXPECT_EQ(Unreadable().start_with({Term(2), MemberId(3)}, {entry_of(1, 2)}), "I9");
  EXPECT_EQ(Unreadable().start_with({Term(3), MemberId()}, {entry_of(1, 2)}), "I9");
}

TEST(Invariants, I9AFailedSyncMayLeaveMoreOfALogThatCannotBeRead) {
  const HardState vote{Term(2), MemberId(2)};
  EXPECT_EQ(Unreadable().start_with(vote, {}), "nothing") << "truncated";
  EXPECT_EQ(Unreadable().start_with(vote, {entry_of(2, 2)}), "nothing");
  EXPECT_EQ(Unreadable().start_with(vote, {entry_of(2, 2), entry_of(2, 3)}), "nothing");
  EXPECT_EQ(Unreadable().start_with(vote, {entry_of(1, 2), entry_of(1, 3)}), "I9")
      << "nobody wrote that";
}

// --- a lost promise, and its repair ---

struct Lost : Fixture {
  // It had the configuration and an entry, which others have committed; a start finds less.
  Lost() {
    invariants.begins_with(entry_of(1, 2));
    invariants.durable_appended(0, entry_of(1, 2));
    invariants.damaged(0);
    FoundOnDisk there;
    there.hard_state = HardState{Term(1), MemberId()};
    there.promise_lost = true;
    there.first = there.last = Index(1);
    there.entries = {configuration_entry()};
    invariants.found(0, there, {});
  }
};

TEST(Invariants, I19APromiseIsRepairedWithoutWhatWasLost) {
  Lost without;
  EXPECT_EQ(without.violated(), "nothing");
  without.invariants.promise_repaired(0);
  EXPECT_EQ(without.violated(), "I19");

  Lost with;
  with.invariants.durable_appended(0, entry_of(1, 2));
  with.invariants.promise_repaired(0);
  EXPECT_EQ(with.violated(), "nothing");
}

// --- I20 at the end: the log is the configuration, and a key written at 2 and at 3 ---

struct End : Fixture {
  End() {
    for (const raft::Entry& entry : {entry_of(1, 2, "old"), entry_of(1, 3, "new")})
      invariants.begins_with(entry);
    start(0, recovered(0));
  }
  // What a state holds that has applied these behind the configuration.
  [[nodiscard]] static kv::MemoryStore::Contents state_of(const std::vector<raft::Entry>& entries) {
    kv::MemoryStore store;
    replica::StateStore state(store);
    EXPECT_TRUE(state.load());
    const raft::Entry first = configuration_entry();
    EXPECT_TRUE(state.apply({&first, 1}));
    EXPECT_TRUE(state.apply(entries));
    return store.contents();
  }
  void end(std::uint64_t reported, const kv::MemoryStore::Contents& contents) {
    invariants.ends_with(0, Index(reported), &contents);
  }
};

TEST(Invariants, I20AtTheEndAStateMayHaveAppliedMoreThanItHasReported) {
  for (const std::uint64_t reported : {0, 1, 2, 3}) {
    End f;
    f.end(reported, End::state_of({entry_of(1, 2, "old"), entry_of(1, 3, "new")}));
    EXPECT_EQ(f.violated(), "nothing") << reported;
  }
  End f;
  f.end(0, {});
  EXPECT_EQ(f.violated(), "nothing") << "nothing was applied";
}

TEST(Invariants, I20AtTheEndAStateHasAppliedWhatItHasReported) {
  for (const auto& contents :
       {kv::MemoryStore::Contents{}, End::state_of({entry_of(1, 2, "old")})}) {
    End f;
    f.end(3, contents);
    EXPECT_EQ(f.violated(), "I20");
  }
}

TEST(Invariants, I20AtTheEndAStateHasAppliedNothingThatIsNotCommitted) {
  End f;
  f.end(3, End::state_of({entry_of(1, 2, "old"), entry_of(1, 3, "new"), entry_of(1, 4)}));
  EXPECT_EQ(f.violated(), "I20");
}

TEST(Invariants, I20AtTheEndAStateHasAppliedTheCommittedLog) {
  End f;
  f.end(2, End::state_of({entry_of(1, 2, "old"), entry_of(1, 3, "another")}));
  EXPECT_EQ(f.violated(), "I20");
}

TEST(Invariants, I20AtTheEndAStateHoldsWhatItsRecordSays) {
  kv::MemoryStore::Contents contents = End::state_of({entry_of(1, 2, "old")});
  contents["kk"] = End::state_of({entry_of(1, 2, "old"), entry_of(1, 3, "new")}).at("kk");
  End ahead;
  ahead.end(2, contents);
  ASSERT_TRUE(ahead.verdict.failed());
  EXPECT_EQ(ahead.verdict.violation()->what, "n1: ended at 2 with another 'k'");
  contents[std::string(replica::kRecordKey)].back() ^= 1;
  End unreadable;
  unreadable.end(2, contents);
  EXPECT_EQ(unreadable.violated(), "I20");
}

// --- I13: a key that was written at index 2 and at index 3 ---

struct Reads : Fixture {
  Reads() {
    invariants.begins_with(entry_of(1, 2, "old"));
    invariants.begins_with(entry_of(1, 3, "new"));
  }
  replica::Reply answer(std::string value, std::uint64_t index) const {
    replica::Reply reply;
    reply.answer = replica::ReadResult{kv::Value{std::move(value), index}};
    reply.index = Index(index);
    reply.term = Term(1);
    return reply;
  }
  void acknowledge() {
    const std::uint32_t number = checks.invoked(1, write, 0s);
    checks.operation(number).index = 3;
    checks.returned(number, Outcome::ok, 0s);
  }
  Action write = put("k", "new");
  Action consistent = get("k", Level::consistent);
  Action stale = get("k", Level::stale);
  Action leaders = get("k", Level::default_);
};

TEST(ClientChecks, AConsistentReadSeesWhatWasAcknowledgedBeforeItBegan) {
  Reads f;
  const std::uint32_t before = f.checks.invoked(2, f.consistent, 0s);
  f.acknowledge();
  f.checks.served(0, before, f.answer("old", 2));
  EXPECT_EQ(f.violated(), "nothing") << "it began before the acknowledgement";
  const std::uint32_t after = f.checks.invoked(2, f.consistent, 0s);
  f.checks.served(0, after, f.answer("new", 3));
  EXPECT_EQ(f.violated(), "nothing");
  f.checks.served(0, after, f.answer("old", 2));
  EXPECT_EQ(f.violated(), "I13");
}

TEST(ClientChecks, AnAnswerIsNotNewerThanTheIndexThatItNames) {
  Reads f;
  replica::Reply reply = f.answer("new", 3);
  const std::uint32_t read = f.checks.invoked(1, f.stale, 0s);
  f.checks.served(0, read, reply);
  EXPECT_EQ(f.violated(), "nothing");
  reply.index = Index(2);
  f.checks.served(0, read, reply);
  EXPECT_EQ(f.violated(), "I13");
}

TEST(ClientChecks, AStaleReadWasTrueOnce) {
  Reads f;
  f.checks.served(0, f.checks.invoked(1, f.stale, 0s), f.answer("never", 2));
  EXPECT_EQ(f.violated(), "I13");
}

TEST(ClientChecks, StaleReadsDoNotGoBackOnOneNode) {
  Reads f;
  const std::uint32_t read = f.checks.invoked(1, f.stale, 0s);
  f.checks.served(0, read, f.answer("new", 3));
  f.checks.served(1, read, f.answer("old", 2));
  EXPECT_EQ(f.violated(), "nothing") << "another node may be behind";
  f.checks.served(0, read, f.answer("old", 2));
  EXPECT_EQ(f.violated(), "I13");
}

TEST(ClientChecks, ADefaultReadIsOldOnlyWhereALaterLeaderExists) {
  for (const bool later_leader : {true, false}) {
    Reads f;
    f.acknowledge();
    if (later_leader) f.ghost.leaders[Term(2)] = {1, MemberId(2), Incarnation(1)};
    f.checks.served(0, f.checks.invoked(1, f.leaders, 0s), f.answer("old", 2));
    EXPECT_EQ(f.violated(), later_leader ? "nothing" : "I13");
  }
}

TEST(ClientChecks, AnAcknowledgedWriteStandsWhereItWasSaid) {
  Reads f;
  const std::uint32_t write = f.checks.invoked(1, f.write, 0s);
  replica::Reply reply;
  reply.answer = replica::Written{Index(3), {}};
  f.checks.served(0, write, reply);
  EXPECT_EQ(f.violated(), "nothing");
  reply.answer = replica::Written{Index(2), {}};
  f.checks.served(0, write, reply);
  EXPECT_EQ(f.violated(), "I13");
}

TEST(ClientChecks, WhatWasNotAppliedIsNotThere) {
  Reads f;
  const std::uint32_t write = f.checks.invoked(1, f.write, 0s);
  f.checks.operation(write).attempts = 1;
  f.checks.refused(write);
  EXPECT_EQ(f.violated(), "I13");
}

}  // namespace
}  // namespace raftkv::sim
