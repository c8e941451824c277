#include "src/raft/log.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <numeric>

#include "src/raft/options.h"
#include "src/raft/progress.h"
#include "src/raft/read_index.h"
#include "src/raft/snapshot_stream.h"
#include "src/raft/stable.h"

namespace raftkv::raft {
namespace {

Entry entry(std::uint64_t index, std::uint64_t term, std::size_t size = 3) {
  return Entry::seal(EntryDraft::copy_of(EntryKind::command, std::string(size, 'x')), Term(term),
                     Index(index));
}

// The log against the obvious model: the terms and sizes of all entries that ever were, and where
// the log begins.
struct LogModel {
  std::vector<std::uint64_t> terms;  // [0] is index 1
  std::vector<std::size_t> sizes;
  std::uint64_t applied = 0;
  std::uint64_t prev = 0;  // the log begins behind it

  [[nodiscard]] std::uint64_t last() const { return terms.size(); }
  [[nodiscard]] std::uint64_t term(std::uint64_t index) const {
    return index == 0 ? 0 : terms[index - 1];
  }
  [[nodiscard]] std::size_t bytes_behind(std::uint64_t index) const {
    return std::accumulate(sizes.begin() + static_cast<std::ptrdiff_t>(index), sizes.end(),
                           std::size_t{0});
  }
  [[nodiscard]] std::uint64_t last_not_above(std::uint64_t at_most, std::uint64_t wanted) const {
    std::uint64_t index = std::min(at_most, last());
    if (index < prev) return index;
    while (index > prev && term(index) > wanted) --index;
    return term(index) > wanted ? 0 : index;
  }
};

std::uint64_t any_between(std::uint64_t low, std::uint64_t high) {
  return *rc::gen::inRange<std::uint64_t>(low, high + 1);
}

void append_any(RaftLog& log, LogModel& model) {
  const std::uint64_t term = std::max<std::uint64_t>(1, model.term(model.last())) +
                             static_cast<std::uint64_t>(*rc::gen::inRange(0, 3)) / 2;
  Entry next = entry(model.last() + 1, term, static_cast<std::size_t>(*rc::gen::inRange(0, 40)));
  model.terms.push_back(term);
  model.sizes.push_back(next.size());
  log.append(std::move(next));
}

void truncate_any(RaftLog& log, LogModel& model) {
  if (model.last() == model.applied) return;
  const std::uint64_t from = any_between(model.applied, model.last() - 1);
  model.terms.resize(from);
  model.sizes.resize(from);
  log.truncate_from(Index(from + 1));
}

// A snapshot that the log does not have: everything before it counts as one entry more.
void restart_any(RaftLog& log, LogModel& model) {
  const std::uint64_t index = model.last() + any_between(1, 3);
  const std::uint64_t term = std::max<std::uint64_t>(1, model.term(model.last()));
  while (model.last() < index) {
    model.terms.push_back(term);
    model.sizes.push_back(0);
  }
  model.applied = model.prev = index;
  log.restart_behind(Index(index), Term(term));
}

void check_log(const RaftLog& log, const LogModel& model) {
  RC_ASSERT(log.last_index().value == model.last());
  RC_ASSERT(log.prev_index().value == model.prev);
  RC_ASSERT(log.prev_term().value == model.term(model.prev));
  RC_ASSERT(log.last_term().value == model.term(model.last()));
  RC_ASSERT(log.cached_from() <= Index(model.applied + 1));
  RC_ASSERT(log.cached_from() >= log.first_index());
  for (std::uint64_t n = 0; n < model.prev; ++n) {
    RC_ASSERT(!log.term(Index(n)).has_value());
    RC_ASSERT(log.matches(Index(n), Term(77)));
  }
  for (std::uint64_t n = model.prev; n <= model.last(); ++n) {
    RC_ASSERT(log.term(Index(n))->value == model.term(n));
    RC_ASSERT(!log.matches(Index(n), Term(model.term(n) + 1)));
  }
  RC_ASSERT(!log.term(Index(model.last() + 1)).has_value());
}

TEST(RaftLog, BehavesAsAVectorOfTerms) {
  EXPECT_TRUE(rc::check("random appends, truncations, evictions, cuts and snapshots", [] {
    RaftLog log;
    LogModel model;
    const int steps = *rc::gen::inRange(0, 80);
    for (int i = 0; i < steps; ++i) {
      const int kind = *rc::gen::inRange(0, 20);
      if (kind < 12) {
        append_any(log, model);
      } else if (kind < 14) {
        truncate_any(log, model);
      } else if (kind < 17) {
        model.applied = any_between(model.applied, model.last());
        log.evict(Index(model.applied), static_cast<std::size_t>(*rc::gen::inRange(0, 300)));
      } else if (kind < 19) {
        model.prev = any_between(model.prev, model.applied);
        log.cut_before(Index(model.prev + 1));
      } else {
        restart_any(log, model);
      }
      check_log(log, model);
      const auto at_most = static_cast<std::uint64_t>(*rc::gen::inRange(0, 90));
      const auto term = static_cast<std::uint64_t>(*rc::gen::inRange(0, 40));
      RC_ASSERT(log.last_index_not_above(Index(at_most), Term(term)).value ==
                model.last_not_above(at_most, term));
    }
  }));
}

// What is in memory is measured exactly; of the rest the sum is, and what lies between is
// estimated.
TEST(RaftLog, KnowsTheSizeOfWhatItHas) {
  EXPECT_TRUE(rc::check("sizes", [] {
    RaftLog log;
    LogModel model;
    const int count = *rc::gen::inRange(1, 60);
    for (int i = 0; i < count; ++i) append_any(log, model);
    model.applied = any_between(0, model.last());
    log.evict(Index(model.applied), static_cast<std::size_t>(*rc::gen::inRange(0, 500)));
    const std::uint64_t from = any_between(log.cached_from().value - 1, model.last());
    RC_ASSERT(log.bytes_between(Index(from), log.last_index()) == model.bytes_behind(from));
    RC_ASSERT(log.bytes_between(Index(0), log.last_index()) == model.bytes_behind(0));
    const auto wanted = static_cast<std::size_t>(*rc::gen::inRange(0, 4000));
    const Index before = log.index_before_last(wanted);
    if (wanted > model.bytes_behind(0)) {
      RC_ASSERT(before == log.prev_index());
    } else {
      RC_ASSERT(log.bytes_between(before, log.last_index()) >= wanted);
      if (before < log.last_index()) {
        // Where it is estimated, a byte is lost to rounding.
        const std::size_t less = log.bytes_between(before.next(), log.last_index());
        const bool exact = before.next() >= log.cached_from();
        RC_ASSERT(less < wanted + (exact ? 0 : 1));
      }
    }
  }));
}

TEST(RaftLog, MeasuresALogThatIsOnDiskByWhatItWasTold) {
  const RaftLog log({.first = Index(11),
                     .prev_term = Term(1),
                     .last = Index(111),
                     .terms = {{Term(2), Index(11)}},
                     .tail = {entry(111, 2, 68)},
                     .bytes_before_tail = 5000});
  EXPECT_EQ(log.bytes_between(Index(10), Index(111)), 5100u);
  EXPECT_EQ(log.bytes_between(Index(60), Index(111)), 2600u) << "half of what is on disk, and 111";
  EXPECT_EQ(log.index_before_last(2600), Index(60));
  EXPECT_EQ(log.index_before_last(100), Index(110));
  EXPECT_EQ(log.index_before_last(6000), Index(10));
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

TEST(Progress, AwaitsASnapshotUntilItMatchesTheEntryBeforeTheLog) {
  Options options;
  Progress p = replicating(3);
  p.sent(Index(5), 10);
  p.await_snapshot(Index(9));
  EXPECT_EQ(p.state(), Progress::State::snapshot);
  EXPECT_EQ(p.next_index(), Index(9));
  EXPECT_FALSE(p.window_open(options));
  EXPECT_EQ(p.inflight_messages(), 0u);
  EXPECT_FALSE(p.refused(Index(8), Index(3))) << "known";
  p.probe_again();
  EXPECT_FALSE(p.acknowledged(Index(3)));
  EXPECT_EQ(p.state(), Progress::State::snapshot);
  p.await_snapshot(Index(12));
  EXPECT_TRUE(p.acknowledged(Index(11)));
  EXPECT_EQ(p.state(), Progress::State::replicate);
  EXPECT_EQ(p.next_index(), Index(12));
}

SnapshotChunk chunk(std::uint64_t number, bool last = false) {
  return {.chunk = number, .data = {}, .last = last, .contents_digest = 0};
}

SnapshotStream opened_stream() {
  SnapshotStream stream(StreamId(1), Index(5), Time());
  SnapshotMeta meta;
  meta.last_included_index = Index(7);
  stream.opened(meta, Time());
  return stream;
}

TEST(SnapshotStream, ReadsAWindowAndSendsAgainWhatIsNotAcknowledged) {
  Options options;
  options.snapshot_window_chunks = 2;
  SnapshotStream stream = opened_stream();
  EXPECT_EQ(stream.next_to_read(options), 0u);
  EXPECT_FALSE(stream.next_to_read(options)) << "one read at a time";
  EXPECT_TRUE(stream.read(chunk(0)));
  EXPECT_EQ(stream.next_to_read(options), 1u);
  EXPECT_TRUE(stream.read(chunk(1)));
  EXPECT_FALSE(stream.next_to_read(options)) << "the window is full";
  EXPECT_EQ(stream.next_to_send(Time())->chunk, 0u);
  EXPECT_EQ(stream.next_to_send(Time())->chunk, 1u);
  EXPECT_EQ(stream.next_to_send(Time()), nullptr);
  stream.resend_after(200ms, Time(199ms));
  EXPECT_EQ(stream.next_to_send(Time(199ms)), nullptr);
  stream.resend_after(200ms, Time(200ms));
  EXPECT_EQ(stream.next_to_send(Time(200ms))->chunk, 0u);
  stream.acknowledged(2, Time(200ms));  // the first time they had only been slow
  EXPECT_EQ(stream.next_to_send(Time(200ms)), nullptr);
  EXPECT_EQ(stream.next_to_read(options), 2u);
}

TEST(SnapshotStream, IgnoresAnswersThatAreLateOrImpossible) {
  Options options;
  SnapshotStream stream = opened_stream();
  for (std::uint64_t n = 0; n < 3; ++n) {
    EXPECT_EQ(stream.next_to_read(options), n);
    EXPECT_TRUE(stream.read(chunk(n, n == 2)));
    (void)stream.next_to_send(Time());
  }
  EXPECT_FALSE(stream.next_to_read(options)) << "that was the last";
  stream.acknowledged(2, Time(1s));
  stream.acknowledged(1, Time(2s));
  stream.acknowledged(9, Time(2s));
  stream.resend_after(1s, Time(3s));
  EXPECT_EQ(stream.next_to_send(Time(3s))->chunk, 2u);
}

TEST(SnapshotStream, IsOverWhenNothingMovesOrItsViewIsOld) {
  Options options;
  SnapshotStream stream = opened_stream();
  EXPECT_FALSE(stream.over(options, Time(options.snapshot_stall_max - 1ms)));
  EXPECT_TRUE(stream.over(options, Time(options.snapshot_stall_max)));
  EXPECT_EQ(stream.next_to_read(options), 0u);
  EXPECT_TRUE(stream.read(chunk(0)));
  (void)stream.next_to_send(Time());
  stream.acknowledged(1, Time(options.snapshot_life_max - 1ms));
  EXPECT_FALSE(stream.over(options, Time(options.snapshot_life_max - 1ms)));
  EXPECT_TRUE(stream.over(options, Time(options.snapshot_life_max)));
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
