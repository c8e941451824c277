#include "src/raft/log.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "src/raft/options.h"
#include "src/raft/progress.h"
#include "src/raft/read_index.h"
#include "src/raft/stable.h"

namespace raftkv::raft {
namespace {

Entry entry(std::uint64_t index, std::uint64_t term, std::size_t size = 3) {
  return Entry::seal(EntryDraft::copy_of(EntryKind::command, std::string(size, 'x')), Term(term),
                     Index(index));
}

// The log against the obvious model: a vector of terms, and which of them are in memory.
TEST(RaftLog, BehavesAsAVectorOfTerms) {
  EXPECT_TRUE(rc::check("random appends, truncations and evictions", [] {
    RaftLog log;
    std::vector<std::uint64_t> model;
    std::uint64_t applied = 0;
    const int steps = *rc::gen::inRange(0, 80);
    for (int i = 0; i < steps; ++i) {
      const int kind = *rc::gen::inRange(0, 10);
      if (kind < 7) {
        const std::uint64_t last = model.empty() ? 1 : model.back();
        model.push_back(last + static_cast<std::uint64_t>(*rc::gen::inRange(0, 3)) / 2);
        log.append(
            entry(model.size(), model.back(), static_cast<std::size_t>(*rc::gen::inRange(0, 40))));
      } else if (kind < 8 && model.size() > applied) {
        const auto from = static_cast<std::uint64_t>(
            *rc::gen::inRange<int>(static_cast<int>(applied), static_cast<int>(model.size())));
        model.resize(from);
        log.truncate_from(Index(from + 1));
      } else if (!model.empty()) {
        applied = static_cast<std::uint64_t>(
            *rc::gen::inRange<int>(static_cast<int>(applied), static_cast<int>(model.size()) + 1));
        log.evict(Index(applied), static_cast<std::size_t>(*rc::gen::inRange(0, 300)));
      }
      RC_ASSERT(log.last_index().value == model.size());
      RC_ASSERT(log.last_term().value == (model.empty() ? 0 : model.back()));
      RC_ASSERT(log.cached_from() <= Index(applied + 1));
      for (std::uint64_t n = 1; n <= model.size(); ++n)
        RC_ASSERT(log.term(Index(n))->value == model[n - 1]);
      RC_ASSERT(!log.term(Index(model.size() + 1)).has_value());
      const auto at_most = static_cast<std::uint64_t>(*rc::gen::inRange(0, 90));
      const auto term = static_cast<std::uint64_t>(*rc::gen::inRange(0, 40));
      std::uint64_t expected = std::min<std::uint64_t>(at_most, model.size());
      while (expected > 0 && model[expected - 1] > term) --expected;
      RC_ASSERT(log.last_index_not_above(Index(at_most), Term(term)).value == expected);
    }
  }));
}

TEST(RaftLog, CollectsWithinItsLimitsButAtLeastOne) {
  RaftLog log;
  for (std::uint64_t i = 1; i <= 10; ++i) log.append(entry(i, 1, 68));  // 100 bytes each
  std::vector<Entry> out;
  log.collect(Index(2), Index(9), 100, 250, out);
  EXPECT_EQ(out.size(), 2u);
  out.clear();
  log.collect(Index(2), Index(9), 3, 100000, out);
  EXPECT_EQ(out.size(), 3u);
  out.clear();
  log.collect(Index(2), Index(9), 100, 1, out);
  EXPECT_EQ(out.size(), 1u);
  EXPECT_EQ(log.bytes_between(Index(2), Index(5)), 300u);
}

TEST(RaftLog, ComparesLogsAsThePaperDoes) {  // §5.4.1
  RaftLog log({.first = Index(1),
               .prev_term = Term(),
               .last = Index(4),
               .terms = {{Term(1), Index(1)}, {Term(3), Index(3)}},
               .tail = {entry(4, 3)},
               .bytes_before_tail = 0});
  EXPECT_TRUE(log.is_up_to_date(Index(4), Term(3)));
  EXPECT_TRUE(log.is_up_to_date(Index(1), Term(4)));
  EXPECT_TRUE(log.is_up_to_date(Index(5), Term(3)));
  EXPECT_FALSE(log.is_up_to_date(Index(3), Term(3)));
  EXPECT_FALSE(log.is_up_to_date(Index(9), Term(2)));
}

TEST(Stable, AWriteThatWasOverwrittenMakesNothingNewerStable) {
  Stable stable(Index(2));
  const WriteId first = stable.begin(Index(5), Time());
  stable.truncated(Index(4));
  const WriteId second = stable.begin(Index(6), Time());
  stable.written(first);
  EXPECT_EQ(stable.index(), Index(3));
  EXPECT_FALSE(stable.done(second));
  stable.written(second);
  EXPECT_EQ(stable.index(), Index(6));
  EXPECT_FALSE(stable.oldest_pending().has_value());
}

TEST(Stable, FallsWhenWhatIsDurableIsTruncated) {
  Stable stable(Index(7));
  stable.truncated(Index(5));
  EXPECT_EQ(stable.index(), Index(4));
}

Progress replicating(std::uint64_t match) {
  Progress p(Index(match + 1));
  EXPECT_TRUE(p.acknowledged(Index(match)));
  EXPECT_EQ(p.state(), Progress::State::replicate);
  return p;
}

TEST(Progress, ProbesOneMessageAtATime) {
  Options options;
  Progress p(Index(10));
  EXPECT_TRUE(p.window_open(options));
  p.sent(Index(12), 100);
  EXPECT_FALSE(p.window_open(options));
  EXPECT_EQ(p.next_index(), Index(10));
  p.heartbeat_due();
  EXPECT_TRUE(p.window_open(options));
  EXPECT_TRUE(p.refused(Index(9), Index(4)));
  EXPECT_EQ(p.next_index(), Index(5));
  EXPECT_FALSE(p.refused(Index(9), Index(2))) << "the same refusal again is stale";
  EXPECT_EQ(p.next_index(), Index(5));
}

TEST(Progress, BoundsWhatIsInFlight) {
  Options options;
  options.inflight_messages_max = 2;
  Progress p = replicating(3);
  p.sent(Index(4), 10);
  p.sent(Index(5), 10);
  EXPECT_FALSE(p.window_open(options));
  EXPECT_TRUE(p.acknowledged(Index(4)));
  EXPECT_TRUE(p.window_open(options));
  options.inflight_bytes_max = 10;
  EXPECT_FALSE(p.window_open(options));
  EXPECT_TRUE(p.acknowledged(Index(5)));
  EXPECT_TRUE(p.window_open(options));
}

TEST(Progress, NeverLowersMatch) {
  Progress p = replicating(7);
  EXPECT_FALSE(p.acknowledged(Index(5)));
  EXPECT_EQ(p.match_index(), Index(7));
  EXPECT_FALSE(p.refused(Index(6), Index(2)));
  p.sent(Index(9), 1);
  EXPECT_TRUE(p.refused(Index(9), Index(2)));
  EXPECT_EQ(p.match_index(), Index(7));
  EXPECT_EQ(p.next_index(), Index(8));
  EXPECT_EQ(p.inflight_messages(), 0u);
}

TEST(Progress, ForgetsWhatAnEarlierIncarnationAcknowledged) {
  Progress p = replicating(7);
  p.restarted();
  EXPECT_EQ(p.match_index(), Index(0));
  EXPECT_EQ(p.next_index(), Index(8));
  EXPECT_EQ(p.state(), Progress::State::probe);
}

TEST(ReadIndexQueue, SharesRoundsAndKeepsOrder) {
  ReadIndexQueue queue;
  std::vector<ReadGranted> granted;
  queue.add(Ticket(1));
  queue.add(Ticket(2));
  queue.start_round(Index(10));
  queue.add(Ticket(3));
  EXPECT_TRUE(queue.waiting());
  queue.start_round(Index(12));
  queue.confirm(ReadRound(1), granted);
  ASSERT_EQ(granted.size(), 2u);
  EXPECT_EQ(granted[1].ticket, Ticket(2));
  EXPECT_EQ(granted[1].read_index, Index(10));
  queue.confirm(ReadRound(2), granted);
  ASSERT_EQ(granted.size(), 3u);
  EXPECT_EQ(granted[2].read_index, Index(12));
  std::vector<ReadRefused> refused;
  queue.add(Ticket(4));
  queue.refuse_all(refused);
  EXPECT_EQ(refused.size(), 1u);
  EXPECT_EQ(queue.size(), 0u);
}

}  // namespace
}  // namespace raftkv::raft
