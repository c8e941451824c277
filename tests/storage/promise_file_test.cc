#include "src/storage/promise_file.h"

#include <gtest/gtest.h>

#include "src/base/bytes.h"
#include "src/base/checksum.h"
#include "tests/storage/test_disk.h"

namespace raftkv::storage {
namespace {

Promise sample(std::uint64_t term) {
  Promise promise;
  promise.identity = {.cluster = raft::ClusterId(11),
                      .member = raft::MemberId(12),
                      .instance = raft::InstanceId(13),
                      .incarnation = raft::Incarnation(14)};
  promise.hard_state = {.current_term = raft::Term(term), .voted_for = raft::MemberId(16)};
  promise.through = {.index = raft::Index(17), .term = raft::Term(18), .sequence = 19};
  promise.state_directory = "state-1";
  promise.names = {.name = "node01", .http_address = "h:1", .raft_address = "h:2"};
  return promise;
}

// A directory /d with a promise file.
class PromiseFileTest : public testing::Test {
 protected:
  PromiseFileTest() {
    EXPECT_TRUE(disk_.CreateDir("/d").ok());
    EXPECT_TRUE(disk_.sync_directory("/").ok());
  }
  void create(std::uint64_t term) { ASSERT_TRUE(PromiseFile::create(env_, "/d", sample(term))); }
  Result<PromiseFile> open() { return PromiseFile::open(env_, "/d"); }
  void save(std::uint64_t term) {
    auto file = open();
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->save(sample(term)));
  }
  // What a start on this image of the disk reads.
  static Result<Promise> read(TestDisk& disk) {
    FailFlag flag;
    FailStopEnv env(disk, flag);
    const auto file = PromiseFile::open(env, "/d");
    if (!file) return failure(file);
    return file->get();
  }

  TestDisk disk_;
  FailFlag flag_;
  FailStopEnv env_{disk_, flag_};
};

TEST_F(PromiseFileTest, IsNotFoundBeforeItIsCreated) {
  EXPECT_FALSE(PromiseFile::exists(disk_, "/d"));
  EXPECT_EQ(open().error().code, ErrorCode::not_found);
}

TEST_F(PromiseFileTest, ReadsBackWhatWasCreatedAndSaved) {
  create(1);
  EXPECT_EQ(open()->get(), sample(1));
  EXPECT_FALSE(open()->was_torn());
  for (std::uint64_t term = 2; term < 7; ++term) {
    save(term);
    EXPECT_EQ(open()->get(), sample(term));
    EXPECT_FALSE(open()->was_torn());
  }
}

TEST_F(PromiseFileTest, KeepsThatThePromiseIsLost) {
  create(1);
  Promise promise = sample(2);
  promise.lost = true;
  ASSERT_TRUE(open()->save(promise));
  EXPECT_TRUE(open()->get().lost);
}

TEST_F(PromiseFileTest, SurvivesALossOfPowerAsSoonAsASaveReturns) {
  create(1);
  EXPECT_EQ(read(*disk_.after_power_loss()).value(), sample(1));
  save(2);
  EXPECT_EQ(read(*disk_.after_power_loss()).value(), sample(2));
  save(3);
  EXPECT_EQ(read(*disk_.after_power_loss()).value(), sample(3));
}

TEST_F(PromiseFileTest, ALossOfPowerDuringASaveLeavesTheOldOrTheNew) {
  create(1);
  save(2);
  int images = 0;
  disk_.on_operation([&] {
    ++images;
    for (const auto& image : {disk_.after_power_loss().release(), disk_.after_kill().release()}) {
      const std::unique_ptr<TestDisk> owned(image);
      const auto promise = read(*owned);
      ASSERT_TRUE(promise);
      EXPECT_TRUE(*promise == sample(2) || *promise == sample(3));
    }
  });
  save(3);
  EXPECT_GE(images, 4);
}

TEST_F(PromiseFileTest, ALossOfPowerDuringCreationLeavesNoneOrAWholeOne) {
  int images = 0;
  disk_.on_operation([&] {
    ++images;
    const auto promise = read(*disk_.after_power_loss());
    if (promise) {
      EXPECT_EQ(*promise, sample(1));
    } else {
      EXPECT_EQ(promise.error().code, ErrorCode::not_found);
    }
  });
  create(1);
  EXPECT_GE(images, 5);
}

TEST_F(PromiseFileTest, EitherFileCanBeLostOrDamaged) {
  create(1);
  save(2);
  for (const std::string name : {"/d/promise.0", "/d/promise.1"}) {
    const std::string good = disk_.contents(name);
    const auto expect_recovered = [&](std::size_t at) {
      const auto file = open();
      ASSERT_TRUE(file) << name << at << file.error().message;
      EXPECT_EQ(file->get(), sample(2)) << name << at;
      EXPECT_TRUE(file->was_torn()) << name << at;
    };
    for (std::size_t at = 0; at < good.size(); ++at) {
      std::string changed = good;
      changed[at] = static_cast<char>(changed[at] ^ 0x40);
      disk_.set_contents(name, changed);
      expect_recovered(at);
      disk_.set_contents(name, good.substr(0, at));
      expect_recovered(at);
    }
    ASSERT_TRUE(disk_.RemoveFile(name).ok());
    expect_recovered(0);
    disk_.set_contents(name, good);
  }
  EXPECT_FALSE(open()->was_torn());
}

TEST_F(PromiseFileTest, WhatIsLeftIsInBothFilesAgainAfterTheNextSave) {
  create(1);
  save(2);
  for (const std::string name : {"/d/promise.0", "/d/promise.1"}) {
    ASSERT_TRUE(disk_.RemoveFile(name).ok());
    save(3);
    EXPECT_EQ(disk_.contents("/d/promise.0"), disk_.contents("/d/promise.1"));
    EXPECT_EQ(open()->get(), sample(3));
  }
}

// All of one run: the slots stand one behind the other.
class PromiseRunTest : public PromiseFileTest {
 protected:
  // Saves the terms 2 to `last` in one run.
  void run(std::uint64_t last) {
    create(1);
    auto file = open();
    ASSERT_TRUE(file);
    for (std::uint64_t term = 2; term <= last; ++term) {
      ASSERT_TRUE(file->save(sample(term)));
      ASSERT_EQ(file->get(), sample(term));
    }
  }
  std::string slots() { return disk_.contents("/d/promise.1"); }
};

TEST_F(PromiseRunTest, TheLastSlotHolds) {
  run(9);
  EXPECT_EQ(slots().size(), 8 * kPromiseSlotSize);
  EXPECT_EQ(open()->get(), sample(9));
  EXPECT_FALSE(open()->was_torn());
  save(10);  // a new run begins the other file
  EXPECT_EQ(disk_.contents("/d/promise.0").size(), kPromiseSlotSize);
  EXPECT_EQ(open()->get(), sample(10));
}

// Raises `through` and nothing else.
Promise raised(std::uint64_t index) {
  Promise promise = sample(2);
  promise.through.index = raft::Index(index);
  return promise;
}

TEST_F(PromiseRunTest, ThroughAloneIsSavedOnceAndEverythingElseTwice) {
  create(1);
  auto file = open();
  ASSERT_TRUE(file->save(raised(20)));
  const std::uint64_t before = disk_.operations();
  ASSERT_TRUE(file->save(raised(21)));
  const std::uint64_t once = disk_.operations() - before;
  ASSERT_TRUE(file->save(sample(3)));
  EXPECT_EQ(disk_.operations() - before, 3 * once);
  ASSERT_TRUE(file->save(raised(22)));
  EXPECT_EQ(disk_.operations() - before, 5 * once) << "the term changed";
  ASSERT_TRUE(file->save(raised(19)));
  EXPECT_EQ(disk_.operations() - before, 7 * once) << "it was lowered: what is truncated next must "
                                                      "not look lost";
  EXPECT_EQ(open()->get(), raised(19));
}

TEST_F(PromiseRunTest, WhatCountsIsInBothFilesHoweverOftenThroughIsRaised) {
  create(1);
  auto file = open();
  ASSERT_TRUE(file->save(sample(2)));
  for (std::uint64_t index = 20; index < 20 + 3 * kPromiseSlotsMax; ++index) {
    ASSERT_TRUE(file->save(raised(index)));
    ASSERT_EQ(open()->get(), raised(index));
    for (const std::string name : {"/d/promise.0", "/d/promise.1"}) {
      const auto image = disk_.after_power_loss();
      ASSERT_TRUE(image->RemoveFile(name).ok());
      ASSERT_EQ(read(*image)->hard_state, sample(2).hard_state) << index;
    }
  }
}

TEST_F(PromiseRunTest, AFullFileIsBegunAnew) {
  const std::uint64_t last = 2 * kPromiseSlotsMax + 10;
  run(last);
  EXPECT_EQ(open()->get(), sample(last));
  EXPECT_LT(disk_.contents("/d/promise.0").size(), kPromiseSlotsMax * kPromiseSlotSize);
  EXPECT_LT(slots().size(), kPromiseSlotsMax * kPromiseSlotSize);
}

TEST_F(PromiseRunTest, ATornEndLeavesTheSlotBefore) {
  run(5);
  const std::string whole = slots();
  ASSERT_TRUE(disk_.RemoveFile("/d/promise.0").ok());
  for (std::size_t cut = 1; cut < kPromiseSlotSize; cut += 7) {
    disk_.set_contents("/d/promise.1", whole.substr(0, whole.size() - cut));
    EXPECT_EQ(open()->get(), sample(4));
    EXPECT_TRUE(open()->was_torn());
  }
}

TEST_F(PromiseRunTest, DamageInTheMiddleHarmsNothing) {
  run(5);
  std::string damaged = slots();
  damaged[kPromiseSlotSize + 100] = 'x';
  disk_.set_contents("/d/promise.1", damaged);
  EXPECT_EQ(open()->get(), sample(5));
  EXPECT_TRUE(open()->was_torn());
}

TEST_F(PromiseRunTest, ALossOfPowerAtAnyMomentLeavesTheLastSavedOrTheNext) {
  create(1);
  auto file = open();
  std::uint64_t saved = 1;
  int images = 0;
  disk_.on_operation([&] {
    ++images;
    for (const bool power : {false, true}) {
      const auto promise = read(power ? *disk_.after_power_loss() : *disk_.after_kill());
      ASSERT_TRUE(promise);
      EXPECT_TRUE(*promise == sample(saved) || *promise == sample(saved + 1)) << saved;
    }
  });
  for (std::uint64_t term = 2; term < kPromiseSlotsMax + 5; ++term) {
    ASSERT_TRUE(file->save(sample(term)));
    saved = term;
  }
  EXPECT_GT(images, 3 * static_cast<int>(kPromiseSlotsMax));
}

TEST_F(PromiseFileTest, ASlotThatWasTornIsWrittenAnew) {
  create(1);
  save(2);
  disk_.set_contents("/d/promise.1", "torn");
  save(3);
  EXPECT_EQ(open()->get(), sample(3));
  EXPECT_FALSE(open()->was_torn());
}

TEST_F(PromiseFileTest, IsRefusedWhenNoSlotIsWhole) {
  create(1);
  save(2);
  disk_.set_contents("/d/promise.1", "");
  disk_.set_contents("/d/promise.0", "");
  EXPECT_EQ(open().error().code, ErrorCode::corrupt);
}

TEST_F(PromiseFileTest, IsRefusedWhenTheSlotsContradictEachOther) {
  create(1);
  save(2);
  const std::string second = disk_.contents("/d/promise.1");
  std::string other = second;  // the same generation, of another term
  other[56] = static_cast<char>(other[56] ^ 1);
  put_u64(other.data(), checksum64(std::string_view(other).substr(8)));
  disk_.set_contents("/d/promise.0", other);
  EXPECT_EQ(open().error().code, ErrorCode::corrupt);
  disk_.set_contents("/d/promise.0", "");
  disk_.set_contents("/d/promise.1", second + second);
  EXPECT_EQ(open().error().code, ErrorCode::corrupt);
}

TEST_F(PromiseFileTest, IsRefusedWhenItIsOfANewerVersion) {
  create(1);
  save(2);
  std::string newest = disk_.contents("/d/promise.1");
  newest[12] = 2;
  put_u64(newest.data(), checksum64(std::string_view(newest).substr(8)));
  disk_.set_contents("/d/promise.1", newest);
  EXPECT_EQ(open().error().code, ErrorCode::unsupported);
}

TEST_F(PromiseFileTest, HasTheDocumentedBytes) {
  create(15);
  const std::string slot = disk_.contents("/d/promise.0");
  EXPECT_EQ(slot.size(), 1024u);
  ByteReader reader(slot);
  EXPECT_EQ(reader.u64(), checksum64(std::string_view(slot).substr(8)));
  EXPECT_EQ(reader.u32(), 1024u);
  EXPECT_EQ(reader.u32(), 1u);  // version, no flags, zero
  EXPECT_EQ(reader.u64(), 1u);  // generation
  for (std::uint64_t field = 11; field <= 19; ++field) EXPECT_EQ(reader.u64(), field);
  for (const char* text : {"state-1", "node01", "h:1", "h:2"}) EXPECT_EQ(reader.sized(), text);
  EXPECT_EQ(reader.raw(reader.left()).find_first_not_of('\0'), std::string_view::npos);
}

TEST_F(PromiseFileTest, EveryFailureOfTheDiskIsFatalAndIsNotTriedAgain) {
  create(1);
  save(2);
  for (std::uint64_t n = 1;; ++n) {
    const auto disk = disk_.after_kill();
    FailFlag flag;
    FailStopEnv env(*disk, flag);
    auto file = PromiseFile::open(env, "/d");
    ASSERT_TRUE(file);
    disk->fail_at(n);
    const Status saved = file->save(sample(3));
    if (disk->failures() == 0) {
      EXPECT_TRUE(saved);
      EXPECT_GE(n, 4u);
      break;
    }
    EXPECT_EQ(saved.error().code, ErrorCode::fatal) << n;
    EXPECT_EQ(file->save(sample(4)).error().code, ErrorCode::fatal) << n;
    EXPECT_EQ(file->get(), sample(2)) << n;
    const auto found = read(*disk->after_kill());
    ASSERT_TRUE(found) << n;
    EXPECT_TRUE(*found == sample(2) || *found == sample(3)) << n;
  }
}

}  // namespace
}  // namespace raftkv::storage
