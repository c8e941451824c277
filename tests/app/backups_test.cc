// What GET /backup sends, with the real thread that reads it.
#include "src/app/backups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace raftkv::app {
namespace {

using ::testing::HasSubstr;

struct HandClock final : replica::Clock {
  Time now() override { return time; }
  void wake_at(Time) override {}
  void turn_soon() override {}
  Time time;
};

class BackupsTest : public testing::Test {
 protected:
  BackupsTest() {
    loop_.attach([] {}, [] {});
    EXPECT_TRUE(states_.load());
  }

  void fill(int keys) {
    std::vector<raft::Entry> entries;
    for (int i = 1; i <= keys; ++i) {
      entries.push_back(raft::Entry::seal(
          raft::EntryDraft(raft::EntryKind::command,
                           kv::encode_set("key" + std::to_string(i), std::string(1000, 'v'))),
          raft::Term(1), raft::Index(static_cast<std::uint64_t>(i))));
    }
    EXPECT_TRUE(states_.apply(entries));
  }
  void start(BackupLimits limits = {.piece_bytes = 4000}) {
    backups_.emplace(loop_, clock_, states_, raft::ClusterId(7), metrics_, limits);
  }
  // Lets the loop run until something has been told.
  template <typename T>
  T wait_for(std::optional<T>& told) {
    while (!told) {
      context_.restart();
      loop_.run();
    }
    return std::move(*std::exchange(told, std::nullopt));
  }
  Result<Backups::Opened> open() {
    std::optional<Result<Backups::Opened>> told;
    backups_->open([&](Result<Backups::Opened> opened) {
      told = std::move(opened);
      context_.stop();
    });
    return wait_for(told);
  }
  Result<std::string> next(http::BodySource& body) {
    std::optional<Result<std::string>> told;
    body.next([&](Result<std::string> piece) {
      told = std::move(piece);
      context_.stop();
    });
    return wait_for(told);
  }
  std::string metrics() { return metrics_.text({}); }

  boost::asio::io_context context_{1};
  Loop loop_{context_};
  // A thread reports: the loop has something to wait for.
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_ =
      boost::asio::make_work_guard(context_);
  HandClock clock_;
  kv::MemoryStore contents_;
  replica::StateStore states_{contents_};
  Metrics metrics_;
  std::optional<Backups> backups_;
};

TEST_F(BackupsTest, ABackupIsTheStateInPieces) {
  fill(50);
  start();
  auto opened = open();
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->applied, raft::Index(50));
  replica::BackupDecoder decoder;
  for (;;) {
    const auto piece = next(*opened->body);
    ASSERT_TRUE(piece) << piece.error().message;
    EXPECT_LT(piece->size(), 6000u);
    if (piece->empty()) break;
    for (std::string_view bytes = *piece; !bytes.empty();) ASSERT_TRUE(decoder.take(bytes));
  }
  EXPECT_TRUE(decoder.whole());
  opened->body.reset();
  EXPECT_THAT(metrics(), HasSubstr("raftkv_backups_total{outcome=\"whole\"} 1"));
  EXPECT_THAT(metrics(), HasSubstr("raftkv_backups_total{outcome=\"broken\"} 0"));
}

TEST_F(BackupsTest, OfNothingThereIsNone) {
  start();
  const auto opened = open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::not_found);
  fill(1);
  EXPECT_TRUE(open()) << "it took no place";
}

TEST_F(BackupsTest, ThereAreFewAtOnce) {
  fill(5);
  start({.open_max = 2});
  auto one = open();
  auto two = open();
  ASSERT_TRUE(one && two);
  const auto three = open();
  ASSERT_FALSE(three);
  EXPECT_EQ(three.error().code, ErrorCode::exhausted);
  one->body.reset();
  EXPECT_TRUE(open());
  EXPECT_THAT(metrics(), HasSubstr("raftkv_backups_total{outcome=\"broken\"} 2"));
}

TEST_F(BackupsTest, NoneLastsForEver) {
  fill(50);
  start({.piece_bytes = 4000, .time_max = 10s});
  const auto opened = open();
  ASSERT_TRUE(opened);
  clock_.time += 10s;
  EXPECT_TRUE(next(*opened->body));
  clock_.time += 1ms;
  const auto late = next(*opened->body);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::exhausted);
}

TEST_F(BackupsTest, OneThatIsGivenUpWhileItIsReadTellsNothing) {
  fill(50);
  start();
  for (int round = 0; round < 100; ++round) {
    auto opened = open();
    ASSERT_TRUE(opened);
    opened->body->next([](const Result<std::string>&) { ADD_FAILURE() << "nobody wants it"; });
    opened->body.reset();
  }
  ASSERT_TRUE(open());
}

TEST_F(BackupsTest, TheEndWaitsForWhatIsBeingRead) {
  fill(50);
  start();
  auto opened = open();
  ASSERT_TRUE(opened);
  opened->body->next([](const Result<std::string>&) { ADD_FAILURE() << "the loop has ended"; });
  opened->body.reset();
  backups_.reset();
}

}  // namespace
}  // namespace raftkv::app
