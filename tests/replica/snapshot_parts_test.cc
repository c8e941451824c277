// The parts of a Host that move snapshots, with a worker that a test turns by hand.

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "src/replica/log_cuts.h"
#include "src/replica/memory_log_store.h"
#include "src/replica/snapshot_intake.h"
#include "src/replica/snapshot_streams.h"
#include "tests/replica/hand_worker.h"

namespace raftkv::replica {
namespace {

using raft::StreamId;

raft::Entry set_entry(std::uint64_t index, const std::string& key) {
  return raft::Entry::seal(
      raft::EntryDraft(raft::EntryKind::command, kv::encode(kv::Command(kv::Set{{{key, "v"}}}))),
      Term(1), Index(index));
}

// A sender and a receiver, and everything that was reported.
class SnapshotParts : public testing::Test {
 protected:
  SnapshotParts() {
    EXPECT_TRUE(sender_.load());
    EXPECT_TRUE(receiver_.load());
    const std::vector entries = {set_entry(1, "a"), set_entry(2, "b"), set_entry(3, "c")};
    EXPECT_TRUE(sender_.apply(entries));
  }
  void pump() {
    do {
      streams_.start();
      intake_.start();
    } while (worker_.pump());
  }
  void send(std::uint64_t stream, std::uint64_t chunk) {
    streams_.push(raft::SnapshotRead{StreamId(stream), chunk, 1});
    pump();
  }
  void receive(const raft::SnapshotChunk& chunk) {
    intake_.push(raft::SnapshotReceive{.stream = StreamId(7),
                                       .snapshot = *opened_.snapshot,
                                       .chunk = chunk.chunk,
                                       .last = chunk.last,
                                       .contents_digest = chunk.contents_digest,
                                       .data = chunk.data});
    pump();
  }
  std::vector<raft::SnapshotChunk> send_all() {
    streams_.push(raft::SnapshotOpen{StreamId(7), raft::MemberId(2)});
    pump();
    std::vector<raft::SnapshotChunk> all;
    do {
      send(7, all.size());
      all.push_back(*read_.chunk);
    } while (!all.back().last);
    return all;
  }

  kv::MemoryStore from_;
  kv::MemoryStore to_;
  StateStore sender_{from_};
  StateStore receiver_{to_};
  HandWorker worker_;
  Status status_;
  SnapshotStreams::Opened opened_;
  SnapshotStreams::Read read_;
  SnapshotIntake::Received received_;
  Result<StateMeta> adopted_;
  SnapshotStreams streams_{sender_, worker_,
                           [this](const Status& status, SnapshotStreams::Opened opened) {
                             status_ = status;
                             opened_ = std::move(opened);
                           },
                           [this](const Status& status, SnapshotStreams::Read read) {
                             status_ = status;
                             read_ = std::move(read);
                           }};
  SnapshotIntake intake_{receiver_, worker_,
                         [this](const Status& status, const SnapshotIntake::Received& received) {
                           status_ = status;
                           received_ = received;
                         },
                         [this](const Result<StateMeta>& meta) { adopted_ = meta; }};
};

TEST_F(SnapshotParts, AStreamSaysWhatItIsAndReadsChunkAfterChunk) {
  const auto all = send_all();
  EXPECT_EQ(opened_.stream, StreamId(7));
  EXPECT_EQ(opened_.snapshot->last_included_index, Index(3));
  EXPECT_EQ(opened_.snapshot->last_included_term, Term(1));
  ASSERT_EQ(all.size(), 4u);  // three keys and the record
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i].chunk, i);
  EXPECT_EQ(all.back().contents_digest, kv::contents_digest(from_).value());
}

TEST_F(SnapshotParts, AStreamThatIsClosedOrWasNeverOpenIsDead) {
  (void)send_all();
  streams_.push(raft::SnapshotClose{StreamId(7)});
  send(7, 0);
  EXPECT_FALSE(read_.chunk);
  EXPECT_FALSE(status_);
  send(9, 0);
  EXPECT_EQ(read_.stream, StreamId(9));
  EXPECT_FALSE(read_.chunk);
}

TEST_F(SnapshotParts, NothingCanBeSentOfAStateWithoutEntries) {
  SnapshotStreams streams(
      receiver_, worker_,
      [this](const Status& status, SnapshotStreams::Opened opened) {
        status_ = status;
        opened_ = std::move(opened);
      },
      [](const Status&, const SnapshotStreams::Read&) {});
  streams.push(raft::SnapshotOpen{StreamId(1), raft::MemberId(2)});
  streams.start();
  EXPECT_TRUE(worker_.pump());
  EXPECT_FALSE(opened_.snapshot);
  EXPECT_EQ(status_.error().code, ErrorCode::not_found);
}

TEST_F(SnapshotParts, WhatIsReceivedIsTheStateOnceItIsAdopted) {
  for (const raft::SnapshotChunk& chunk : send_all()) {
    receive(chunk);
    EXPECT_EQ(received_.chunk, chunk.chunk);
    EXPECT_EQ(received_.receipt,
              chunk.last ? raft::SnapshotReceipt::complete : raft::SnapshotReceipt::written);
  }
  EXPECT_TRUE(to_.contents().empty());
  intake_.hold();
  intake_.adopt();
  pump();
  EXPECT_EQ(adopted_->applied, Index(3));
  EXPECT_EQ(to_.contents(), from_.contents());
}

TEST_F(SnapshotParts, BetweenCompleteAndAdoptedNothingIsReceived) {
  const auto all = send_all();
  for (const raft::SnapshotChunk& chunk : all) receive(chunk);
  intake_.hold();
  receive(all.front());  // another leader's first chunk would discard what is being installed
  EXPECT_EQ(received_.receipt, raft::SnapshotReceipt::complete) << "not yet";
  intake_.adopt();
  pump();
  EXPECT_EQ(adopted_->applied, Index(3));
  EXPECT_EQ(received_.receipt, raft::SnapshotReceipt::written) << "then";
}

TEST_F(SnapshotParts, ASnapshotThatIsNotTheAnnouncedOneFails) {
  const auto all = send_all();
  opened_.snapshot->last_included_term = Term(2);
  for (const raft::SnapshotChunk& chunk : all) receive(chunk);
  EXPECT_EQ(received_.receipt, raft::SnapshotReceipt::failed);
  EXPECT_EQ(status_.error().code, ErrorCode::corrupt);
}

TEST_F(SnapshotParts, AfterADiscardOnlyAnotherBeginningWillDo) {
  const auto all = send_all();
  receive(all[0]);
  intake_.push(raft::SnapshotDiscard{});
  receive(all[1]);
  EXPECT_EQ(received_.receipt, raft::SnapshotReceipt::failed);
  for (const raft::SnapshotChunk& chunk : all) receive(chunk);
  EXPECT_EQ(received_.receipt, raft::SnapshotReceipt::complete);
}

// --- cuts ---

struct NoClock final : Clock {
  Time now() override { return {}; }
  void wake_at(Time) override {}
  void turn_soon() override {}
};

TEST(LogCuts, PrepareThenCutThenMakeRoom) {
  // Writes down what is asked of it.
  struct Store final : LogStore {
    std::string calls;
    Status append(std::span<const raft::LogWrite>) override {
      calls += "append ";
      return {};
    }
    Result<std::vector<raft::Entry>> read(Index, Index, std::size_t) override { return {}; }
    Status checkpoint() override { return {}; }
    Status promise_repaired() override { return {}; }
    Status cut_before(Index first, Term) override {
      calls += "cut" + std::to_string(first.value) + " ";
      return {};
    }
    Status prepare_cut() override {
      calls += "prepare ";
      return {};
    }
    Status free_cut() override {
      calls += "free ";
      return {};
    }
  } store;
  HandWorker log_worker;
  HandWorker upkeep;
  NoClock clock;
  LogPipeline log(store, log_worker, clock, {.batch_bytes_max = 100, .checkpoint_interval = 1s},
                  [](const Status&, raft::WriteId) {});
  LogCuts cuts(store, upkeep, log, [](const Error&) { FAIL(); });
  const auto turn = [&] {
    log.start(Time());
    cuts.start();
  };
  cuts.push({.first = Index(5), .prev_term = Term(1)});
  turn();
  EXPECT_TRUE(upkeep.pump());
  raft::LogWrite write;
  write.id = raft::WriteId(1);
  log.push(std::move(write));
  turn();
  EXPECT_TRUE(upkeep.jobs.empty()) << "the cut comes first";
  EXPECT_TRUE(log_worker.pump());
  turn();
  cuts.push({.first = Index(9), .prev_term = Term(1)});
  EXPECT_TRUE(upkeep.pump());
  for (int i = 0; i < 3; ++i) {
    turn();
    (void)log_worker.pump();
    (void)upkeep.pump();
  }
  EXPECT_EQ(store.calls, "prepare append cut5 free prepare cut9 free ");
  cuts.was_cut();
  turn();
  EXPECT_TRUE(upkeep.pump());
  turn();
  EXPECT_FALSE(upkeep.pump());
  EXPECT_EQ(store.calls, "prepare append cut5 free prepare cut9 free free ");
}

}  // namespace
}  // namespace raftkv::replica
