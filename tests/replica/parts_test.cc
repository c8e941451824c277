// The parts of a Host, each alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>

#include "src/base/prng.h"
#include "src/replica/forwards.h"
#include "src/replica/memory_log_store.h"
#include "src/replica/peers.h"
#include "src/replica/pending.h"
#include "src/replica/readiness.h"
#include "src/replica/request_table.h"

namespace raftkv::replica {
namespace {

raft::Entry entry(std::uint64_t index, std::uint64_t term) {
  return raft::Entry::seal(raft::EntryDraft::copy_of(raft::EntryKind::command, "x"), Term(term),
                           Index(index));
}
Time at(Duration d) {
  return Time(d);
}

// --- RequestTable ---

OpenRequest due(Duration deadline) {
  OpenRequest request;
  request.deadline = at(deadline);
  return request;
}

TEST(RequestTable, FindsWhatIsOpenAndNothingElse) {
  RequestTable table(10);
  EXPECT_EQ(table.find(Handle()), nullptr);
  const Handle a = table.open(due(1s));
  EXPECT_NE(table.find(a), nullptr);
  (void)table.close(a);
  EXPECT_EQ(table.find(a), nullptr);
  const Handle b = table.open(due(2s));
  EXPECT_NE(a, b) << "the same place is another request";
  EXPECT_EQ(table.find(a), nullptr);
}

TEST(RequestTableDeathTest, AnsweringTwiceIsABug) {
  RequestTable table(10);
  const Handle a = table.open(due(1s));
  (void)table.close(a);
  EXPECT_DEATH((void)table.close(a), "answered twice");
}

TEST(RequestTable, KnowsTheOldestAgainstAModel) {
  Prng prng(5);
  RequestTable table(50);
  std::deque<std::pair<Handle, Time>> model;
  for (int i = 0; i < 5000; ++i) {
    if (!table.full() && prng.chance(1, 2)) {
      const Time deadline = at(Duration(i));
      OpenRequest request;
      request.deadline = deadline;
      model.emplace_back(table.open(std::move(request)), deadline);
    } else if (!model.empty()) {
      const auto victim = model.begin() + static_cast<std::ptrdiff_t>(prng.below(model.size()));
      EXPECT_EQ(table.close(victim->first).deadline, victim->second);
      model.erase(victim);
    }
    ASSERT_EQ(table.size(), model.size());
    ASSERT_EQ(table.oldest(), model.empty() ? std::nullopt : std::optional(model.front().first));
    ASSERT_EQ(table.next_deadline(), model.empty() ? kNever : model.front().second);
  }
}

// --- PendingProposals ---

class Pending : public testing::Test {
 protected:
  // "applied H", "superseded H", in order.
  std::vector<std::string> apply(const std::vector<raft::Entry>& entries) {
    std::vector<PendingProposals::Resolved> resolved;
    pending.applied(entries, resolved);
    std::vector<std::string> out;
    for (const auto& r : resolved) {
      out.push_back((r.applied ? "applied " : "superseded ") + std::to_string(r.handle.value));
    }
    std::ranges::sort(out);
    return out;
  }
  std::vector<std::uint64_t> expire(Duration now) {
    std::vector<Handle> handles;
    pending.expire(at(now), handles);
    std::vector<std::uint64_t> out;
    for (const Handle h : handles) out.push_back(h.value);
    return out;
  }
  using Words = std::vector<std::string>;
  PendingProposals pending;
};

TEST_F(Pending, SameTermAtItsIndexIsItsOutcome) {
  pending.add({Index(5), Term(2)}, Handle(1));
  pending.add({Index(6), Term(2)}, Handle(2));
  EXPECT_EQ(apply({entry(4, 2), entry(5, 2)}), Words{"applied 1"});
  EXPECT_EQ(apply({entry(6, 2)}), Words{"applied 2"});
  EXPECT_TRUE(pending.empty());
}

TEST_F(Pending, AnotherTermAtItsIndexIsCertainlyNot) {
  pending.add({Index(5), Term(2)}, Handle(1));
  pending.leadership_lost(at(3s));
  EXPECT_EQ(apply({entry(5, 3)}), Words{"superseded 1"});
  EXPECT_EQ(pending.next_deadline(), kNever);
}

TEST_F(Pending, LostLeadershipWaitsForAResolutionButNotForEver) {
  pending.add({Index(5), Term(2)}, Handle(1));
  EXPECT_EQ(pending.next_deadline(), kNever);
  pending.leadership_lost(at(3s));
  EXPECT_EQ(pending.next_deadline(), at(3s));
  EXPECT_TRUE(expire(2999ms).empty());
  EXPECT_EQ(expire(3s), std::vector<std::uint64_t>{1});
  EXPECT_TRUE(pending.empty());
}

TEST_F(Pending, ALaterLeadershipMayProposeAtTheSameIndex) {
  pending.add({Index(5), Term(2)}, Handle(1));
  pending.add({Index(6), Term(2)}, Handle(2));
  pending.leadership_lost(at(3s));
  pending.add({Index(5), Term(4)}, Handle(3));
  EXPECT_EQ(apply({entry(5, 4)}), (Words{"applied 3", "superseded 1"}));
  pending.leadership_lost(at(9s));
  EXPECT_EQ(pending.next_deadline(), at(3s)) << "the first lost one does not wait longer";
  EXPECT_EQ(apply({entry(6, 2)}), Words{"applied 2"});
}

TEST_F(Pending, MoreThanOneMayWaitForTheSameEntry) {
  pending.add({Index(8), Term(2)}, Handle(1));
  pending.add({Index(7), Term(2)}, Handle(2));
  pending.add({Index(8), Term(2)}, Handle(3));
  EXPECT_EQ(apply({entry(7, 2)}), Words{"applied 2"});
  EXPECT_EQ(apply({entry(8, 2)}), (Words{"applied 1", "applied 3"}));
}

// --- Peers and Forwards ---

class PeersTest : public testing::Test {
 protected:
  PeersTest() : peers(identity()) {}
  static raft::Identity identity() {
    raft::Identity out;
    out.cluster = raft::ClusterId(1);
    out.member = raft::MemberId(1);
    return out;
  }
  bool admit(std::uint64_t from, std::uint64_t incarnation) {
    const raft::Route route{.cluster = raft::ClusterId(1),
                            .from = raft::MemberId(from),
                            .from_incarnation = raft::Incarnation(incarnation),
                            .to = raft::MemberId(1),
                            .to_incarnation = {}};
    return peers.admit(route, members).has_value();
  }
  bool first(std::uint64_t ticket) { return peers.first_time(raft::MemberId(2), Ticket(ticket)); }
  Peers peers;
  raft::Configuration members;
};

TEST_F(PeersTest, TakesATicketOnceInAnyOrder) {
  ASSERT_TRUE(admit(2, 1));
  EXPECT_TRUE(first(1));
  EXPECT_TRUE(first(3));
  EXPECT_TRUE(first(2));
  EXPECT_FALSE(first(1));
  EXPECT_FALSE(first(2));
  EXPECT_FALSE(first(3));
}

TEST_F(PeersTest, TakesNoTicketThatIsTooLateToTell) {
  ASSERT_TRUE(admit(2, 1));
  EXPECT_TRUE(first(100));
  EXPECT_TRUE(first(100 - Peers::kTicketWindow + 1));
  EXPECT_FALSE(first(100 - Peers::kTicketWindow));
  EXPECT_TRUE(first(1000));
  EXPECT_TRUE(first(999));
}

TEST_F(PeersTest, ANewRunOfTheSenderCountsAnew) {
  ASSERT_TRUE(admit(2, 1));
  EXPECT_TRUE(first(1));
  ASSERT_TRUE(admit(2, 2));
  EXPECT_TRUE(first(1));
  EXPECT_FALSE(admit(2, 1));
}

TEST_F(PeersTest, RemembersABoundedNumberAndNeverForgetsMembers) {
  raft::Member member;
  member.id = raft::MemberId(2);
  members.members.push_back(member);
  ASSERT_TRUE(admit(2, 5));
  for (std::uint64_t id = 10; id < 10 + 2 * kPeersMax; ++id) ASSERT_TRUE(admit(id, 1));
  EXPECT_FALSE(admit(2, 4));
}

TEST(Forwards, GiveEachReplyToItsRequestOnce) {
  Forwards forwards;
  const raft::MemberId leader(3);
  const Ticket a = forwards.sent(Handle(11), leader);
  const Ticket b = forwards.sent(Handle(12), leader);
  EXPECT_LT(a, b);
  EXPECT_EQ(forwards.replied(b, raft::MemberId(2)), std::nullopt) << "not whom it was sent to";
  EXPECT_EQ(forwards.replied(b, leader), Handle(12));
  EXPECT_EQ(forwards.replied(b, leader), std::nullopt);
  std::vector<Handle> lost;
  forwards.lost(leader, lost);
  EXPECT_EQ(lost, std::vector<Handle>{Handle(11)});
  EXPECT_EQ(forwards.replied(a, leader), std::nullopt);
  forwards.trim([](Handle) { return true; });
  EXPECT_LT(b, forwards.sent(Handle(13), leader)) << "tickets are not used again";
  EXPECT_EQ(forwards.replied(a, leader), std::nullopt);
}

// --- CommitHistory ---

TEST(CommitHistory, KnowsWhatWasCommittedASecondAgoToATenth) {
  Prng prng(3);
  CommitHistory history;
  std::map<Time, Index> truth{{Time{}, Index()}};
  Time now{10s};
  Index commit;
  for (int i = 0; i < 5000; ++i) {
    now += prng.between(Duration(0), prng.chance(1, 50) ? Duration(3s) : Duration(70ms));
    if (prng.chance(2, 3)) {
      ++commit;
      truth[now] = commit;
      history.note(commit, now);
    }
    const Index seen = history.before_lag(now);
    const auto then = [&](Duration ago) { return std::prev(truth.upper_bound(now - ago))->second; };
    ASSERT_GE(seen, then(kReadyLagMax)) << i;
    ASSERT_LE(seen, then(kReadyLagMax - kReadyLagMax / 10)) << i;
  }
}

// --- MemoryLogStore ---

raft::LogWrite log_write(std::uint64_t id, std::vector<raft::Entry> entries) {
  raft::LogWrite write;
  write.id = raft::WriteId(id);
  write.entries = std::move(entries);
  return write;
}

TEST(MemoryLogStore, KeepsWhatWasAppendedAndReadsItBack) {
  MemoryLogStore store;
  raft::LogWrite write = log_write(1, {entry(1, 1), entry(2, 1), entry(3, 2)});
  write.hard_state = raft::HardState{Term(2), raft::MemberId(1)};
  ASSERT_TRUE(store.append({&write, 1}).has_value());
  EXPECT_EQ(store.durable().hard_state.current_term, Term(2));
  EXPECT_EQ(store.durable().last(), Index(3));
  EXPECT_EQ(store.read(Index(2), Index(3), 1 << 20)->size(), 2u);
  EXPECT_EQ(store.read(Index(1), Index(3), 1)->size(), 1u) << "at least one";
  EXPECT_FALSE(store.read(Index(4), Index(4), 1).has_value());
}

TEST(MemoryLogStore, TruncatesBeforeItAppends) {
  MemoryLogStore store;
  raft::LogWrite first = log_write(1, {entry(1, 1), entry(2, 1), entry(3, 1)});
  ASSERT_TRUE(store.append({&first, 1}).has_value());
  ASSERT_TRUE(store.checkpoint().has_value());
  raft::LogWrite second = log_write(2, {entry(2, 2)});
  second.truncate_from = Index(2);
  ASSERT_TRUE(store.append({&second, 1}).has_value());
  EXPECT_EQ(store.durable().last(), Index(2));
  EXPECT_EQ(store.durable().entries[1].term(), Term(2));
  EXPECT_LE(store.durable().through, store.durable().last())
      << "else it would look like a lost promise";
}

// A crash at every operation of an append leaves a prefix of it, and nothing that was durable is
// gone.
TEST(MemoryLogStore, ACrashWithinAnAppendLeavesAPrefix) {
  for (std::uint64_t operations = 0; operations <= 5; ++operations) {
    MemoryLogStore store;
    raft::LogWrite first = log_write(1, {entry(1, 1)});
    ASSERT_TRUE(store.append({&first, 1}).has_value());
    store.fail_after(operations);
    raft::LogWrite second = log_write(2, {entry(2, 2), entry(3, 2)});
    second.hard_state = raft::HardState{Term(2), raft::MemberId()};
    const bool whole = operations >= 4;  // hard state, two entries, the sync
    EXPECT_EQ(store.append({&second, 1}).has_value(), whole) << operations;
    EXPECT_EQ(store.durable().hard_state.current_term, operations >= 1 ? Term(2) : Term())
        << operations;
    EXPECT_EQ(store.durable().last(), whole ? Index(3) : Index(1)) << operations;
    for (std::size_t saved = 0; saved <= store.unsynced(); ++saved) {
      EXPECT_EQ(store.torn(saved).last(), whole ? Index(3) : Index(1) + saved);
    }
    EXPECT_EQ(store.checkpoint().has_value(), operations > 4) << "a failed disk stays failed";
  }
}

TEST(MemoryLogStore, RecoversTermsAndTail) {
  LogImage image;
  image.entries = {entry(1, 1), entry(2, 1), entry(3, 4)};
  StateMeta meta;
  meta.applied = Index(2);
  const raft::Recovered recovered = recover(image, meta);
  EXPECT_EQ(recovered.terms,
            (std::vector<raft::TermRun>{{Term(1), Index(1)}, {Term(4), Index(3)}}));
  EXPECT_EQ(recovered.tail.size(), 1u);
  EXPECT_EQ(recovered.last, Index(3));
  EXPECT_FALSE(recovered.promise_lost);
  image.through = Index(4);
  EXPECT_TRUE(recover(image, meta).promise_lost);
}

}  // namespace
}  // namespace raftkv::replica
