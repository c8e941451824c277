// What comes of a damaged log: the promise is lost, and the node goes on with what it has.

#include "src/storage/log_recovery.h"

#include <gtest/gtest.h>

#include "src/storage/log_format.h"
#include "tests/storage/damaged_node.h"

namespace raftkv::storage {
namespace {

using raft::Index;

class LogRecoveryTest : public testing::Test {
 protected:
  // Opens the node, looks at it, and closes it.
  void open(const std::function<void(OpenedNode&)>& look) { open(*lived_.disk, look); }
  static void open(TestDisk& disk, const std::function<void(OpenedNode&)>& look) {
    {
      auto directory = DataDirectory::take(disk, "/a/d", false);
      ASSERT_TRUE(directory) << directory.error().message;
      auto node = (*directory)->open();
      ASSERT_TRUE(node) << node.error().message;
      look(*node);
      disk.run_background_work();
    }
    disk.run_background_work();
  }
  [[nodiscard]] std::string newest(std::string_view suffix) const {
    std::string newest;
    for (const std::string& path : lived_.disk->files()) {
      if (path.starts_with("/a/d/log/") && path.ends_with(suffix)) newest = path;
    }
    return newest;
  }
  void change(const std::string& path, const std::function<void(std::string&)>& how) {
    std::string bytes = lived_.disk->contents(path);
    how(bytes);
    lived_.disk->set_contents(path, std::move(bytes));
  }
  [[nodiscard]] Index last() const { return Index(lived_.log.size()); }

  LivedNode lived_ = lived_node();
};

TEST_F(LogRecoveryTest, AWholeLogHasLostNothing) {
  open([&](OpenedNode& node) {
    EXPECT_FALSE(node.recovered.promise_lost);
    EXPECT_EQ(node.loss, "");
    EXPECT_EQ(node.recovered.last, last());
    EXPECT_EQ(node.recovered.hard_state, lived_.hard_state);
  });
}

TEST_F(LogRecoveryTest, AWriteThatACrashCutShortIsCutOffAndNothingIsLost) {
  open([&](OpenedNode& node) {
    const raft::LogWrite write = lived_write(9, last().value + 1);
    ASSERT_TRUE(node.log_store->append({&write, 1}));
    const std::string wal = newest(".log");
    const std::string whole = lived_.disk->contents(wal);
    for (std::size_t cut = 1; cut < whole.size(); cut += 5) {
      const auto image = lived_.disk->after_kill();
      image->set_contents(wal, whole.substr(0, whole.size() - cut));
      open(*image, [&](OpenedNode& again) {
        EXPECT_FALSE(again.recovered.promise_lost) << cut;
        EXPECT_EQ(again.recovered.last, last()) << cut;
      });
    }
  });
}

TEST_F(LogRecoveryTest, AHoleInTheWalEndsTheLogAndThePromiseIsLost) {
  change(newest(".log"), [](std::string& bytes) {
    ASSERT_GT(bytes.size(), 2 * kLogBlockSize);
    std::fill_n(bytes.begin() + kLogBlockSize, 4096, '\0');
  });
  for (int start = 0; start < 3; ++start) {
    open([&](OpenedNode& node) {
      EXPECT_TRUE(node.recovered.promise_lost) << start;
      EXPECT_EQ(node.loss.empty(), start > 0) << "said once: " << node.loss;
      EXPECT_EQ(node.recovered.hard_state, lived_.hard_state);
      EXPECT_LT(node.recovered.last, last());
      EXPECT_GE(node.recovered.last, node.recovered.applied);
    });
  }
}

// Acknowledged in the last 50 ms before a crash: `through` does not know of it yet.
TEST_F(LogRecoveryTest, DamageBehindThroughShowsByWhatWasWrittenLater) {
  std::string wal;
  std::vector<std::size_t> ends;
  open([&](OpenedNode& node) {
    for (std::uint64_t i = 1; i <= 3; ++i) {
      const raft::LogWrite write =
          lived_write(lived_.hard_state.current_term.value, last().value + i);
      ASSERT_TRUE(node.log_store->append({&write, 1}));
      wal = newest(".log");
      ends.push_back(lived_.disk->contents(wal).size());
    }
    const auto damaged = [&](std::size_t at) {
      auto image = lived_.disk->after_kill();
      std::string bytes = image->contents(wal);
      bytes[at] = static_cast<char>(bytes[at] ^ 1);
      image->set_contents(wal, bytes);
      return image;
    };
    open(*damaged(ends[0] + 100), [&](OpenedNode& again) {
      EXPECT_TRUE(again.recovered.promise_lost);
      EXPECT_NE(again.loss.find("more was written later"), std::string::npos) << again.loss;
      EXPECT_EQ(again.recovered.last, last() + 1);
    });
    // The one thing that stays open (docs/storage.md): nothing stands behind it.
    open(*damaged(ends[1] + 100), [&](OpenedNode& again) {
      EXPECT_FALSE(again.recovered.promise_lost);
      EXPECT_EQ(again.recovered.last, last() + 2);
    });
  });
}

TEST_F(LogRecoveryTest, ALogThatCannotBeUsedBeginsAnewBehindTheState) {
  const auto damages = std::map<std::string, std::function<void()>>{
      {"CURRENT is missing",
       [&] { ASSERT_TRUE(lived_.disk->RemoveFile("/a/d/log/CURRENT").ok()); }},
      {"write-ahead log", [&] { ASSERT_TRUE(lived_.disk->RemoveFile(newest(".log")).ok()); }},
      {"table", [&] { ASSERT_TRUE(lived_.disk->RemoveFile(newest(".ldb")).ok()); }},
      {"MANIFEST",
       [&] {
         for (const std::string& path : lived_.disk->files()) {
           if (path.starts_with("/a/d/log/MANIFEST")) change(path, [](auto& b) { b[20] ^= 1; });
         }
       }},
      {"missing", [&] { lived_.disk->restore("/a/d/log", TestDisk()); }},
  };
  for (const auto& [word, damage] : damages) {
    lived_ = lived_node();
    damage();
    Index applied;
    open([&](OpenedNode& node) {
      EXPECT_TRUE(node.recovered.promise_lost) << word;
      EXPECT_NE(node.loss.find(word), std::string::npos) << node.loss;
      EXPECT_EQ(node.recovered.hard_state, lived_.hard_state);
      applied = node.recovered.applied;
      EXPECT_EQ(node.log_store->first(), applied.next());
      const std::uint64_t term = lived_.hard_state.current_term.value;
      const raft::LogWrite write = lived_write(term, applied.value + 1);
      ASSERT_TRUE(node.log_store->append({&write, 1}));
      ASSERT_TRUE(node.log_store->promise_repaired());
      ASSERT_TRUE(node.log_store->checkpoint());
    });
    open([&](OpenedNode& node) {
      EXPECT_FALSE(node.recovered.promise_lost) << word << node.loss;
      EXPECT_EQ(node.recovered.last, applied.next()) << word;
    });
  }
}

TEST_F(LogRecoveryTest, WhatCouldNotBeUsedIsKept) {
  const std::string wal = newest(".log");
  const std::string bytes = lived_.disk->contents(wal);
  ASSERT_TRUE(lived_.disk->RemoveFile("/a/d/log/CURRENT").ok());
  open([](OpenedNode&) {});
  EXPECT_EQ(lived_.disk->contents("/a/d/log.damaged/" + wal.substr(wal.rfind('/') + 1)), bytes);
}

TEST_F(LogRecoveryTest, ALossOfPowerWhileItBeginsAnewForgetsNothing) {
  ASSERT_TRUE(lived_.disk->RemoveFile("/a/d/log/CURRENT").ok());
  ASSERT_TRUE(lived_.disk->sync_directory("/a/d/log").ok());
  int images = 0;
  lived_.disk->on_operation([&] {
    for (const bool power : {false, true}) {
      ++images;
      const auto image = power ? lived_.disk->after_power_loss() : lived_.disk->after_kill();
      open(*image, [&](OpenedNode& node) {
        EXPECT_TRUE(node.recovered.promise_lost) << images;
        EXPECT_EQ(node.recovered.hard_state, lived_.hard_state);
        EXPECT_LE(node.recovered.applied, node.recovered.last);
      });
    }
  });
  open([&](OpenedNode& node) {
    lived_.disk->on_operation({});
    EXPECT_TRUE(node.recovered.promise_lost);
  });
  EXPECT_GT(images, 100);
}

TEST_F(LogRecoveryTest, ALossOfPowerWhileItIsCutForgetsNothing) {
  change(newest(".log"), [](std::string& bytes) { bytes[kLogBlockSize + 100] ^= 1; });
  int images = 0;
  lived_.disk->on_operation([&] {
    ++images;
    const auto image = lived_.disk->after_power_loss();
    open(*image, [&](OpenedNode& node) { EXPECT_TRUE(node.recovered.promise_lost) << images; });
  });
  open([&](OpenedNode& node) {
    lived_.disk->on_operation({});
    EXPECT_TRUE(node.recovered.promise_lost);
  });
  EXPECT_GT(images, 30);
}

}  // namespace
}  // namespace raftkv::storage
