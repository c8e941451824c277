// One changed byte, one zeroed page, one truncation, one lost file, anywhere in the directory of a
// node that has stopped: the next start recovers all of it, or knows that a promise is lost, or
// refuses with a reason. It never takes less than was promised for whole.

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>

#include "src/base/prng.h"
#include "tests/storage/damaged_node.h"

namespace raftkv::storage {
namespace {

using raft::Index;

enum class Damage { changed_byte, zeroed_page, truncation, lost_file };
constexpr std::array kDamages = {Damage::changed_byte, Damage::zeroed_page, Damage::truncation,
                                 Damage::lost_file};
constexpr std::array kNames = {"one changed byte", "one zeroed page", "one truncation",
                               "one lost file"};

enum Outcome : std::size_t { kRecovered, kLossNoticed, kRefused, kOutcomes };
using Table = std::array<std::array<int, kOutcomes>, kDamages.size()>;

// A file of the node, each byte of all of them as likely as any other.
std::pair<std::string, std::size_t> random_place(const TestDisk& disk, Prng& prng) {
  std::uint64_t bytes = 0;
  for (const std::string& path : disk.files()) bytes += disk.contents(path).size();
  std::uint64_t at = prng.below(bytes);
  for (const std::string& path : disk.files()) {
    const std::uint64_t size = disk.contents(path).size();
    if (at < size) return {path, at};
    at -= size;
  }
  return {};
}

std::string random_file(const TestDisk& disk, Prng& prng) {
  const auto files = disk.files();
  return files[prng.below(files.size())];
}

// Small files are as likely as large ones every other time.
std::pair<std::string, std::size_t> place(const TestDisk& disk, Prng& prng) {
  if (prng.below(2) == 0) return random_place(disk, prng);
  const std::string path = random_file(disk, prng);
  const std::size_t size = disk.contents(path).size();
  return {path, size == 0 ? 0 : prng.below(size)};
}

std::string inflict(Damage damage, TestDisk& disk, Prng& prng) {
  const auto [path, at] = place(disk, prng);
  std::string bytes = disk.contents(path);
  const std::string what =
      fmt::format("{} in {} at {}", kNames[static_cast<std::size_t>(damage)], path, at);
  if (damage == Damage::lost_file) {
    EXPECT_TRUE(disk.RemoveFile(path).ok());
    return what;
  }
  if (bytes.empty()) return what;
  if (damage == Damage::changed_byte) {
    bytes[at] = static_cast<char>(bytes[at] ^ (1 + prng.below(255)));
  } else if (damage == Damage::truncation) {
    bytes.resize(at);
  } else {
    const std::size_t page = at / 4096 * 4096;
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(page),
                std::min<std::size_t>(4096, bytes.size() - page), '\0');
  }
  disk.set_contents(path, bytes);
  return what;
}

// All entries that the store says it has are those that were written, or reading them says that
// they cannot be read. True: all could be read.
bool log_is_true(OpenedNode& node, const LivedNode& lived, const std::string& what) {
  LevelDbLogStore& log = *node.log_store;
  for (Index at = log.first(); at <= log.last(); ++at) {
    const auto entries = log.read(at, at, 1 << 20);
    if (!entries) {
      EXPECT_EQ(entries.error().code, ErrorCode::corrupt) << what << entries.error().message;
      return false;
    }
    EXPECT_LE(at.value, lived.log.size()) << what;
    if (at.value > lived.log.size()) return false;
    EXPECT_EQ(entries->front().bytes().view(), lived.log[at.value - 1].bytes().view()) << what;
  }
  return true;
}

bool state_is_true(OpenedNode& node, const std::string& what) {
  Index applied = node.recovered.applied;
  if (!node.recovered.tail.empty()) {
    if (!node.state_store->apply(node.recovered.tail)) return false;
    applied = node.recovered.last;
  }
  const auto contents = contents_through(applied.value);
  for (const auto& [key, value] : contents) {
    const auto found = node.state_store->get(key);
    if (!found) return false;
    EXPECT_EQ(found->value_or(kv::Value{}).bytes, value) << what;
  }
  return true;
}

Outcome outcome_of(OpenedNode& node, const LivedNode& lived, const std::string& what) {
  EXPECT_EQ(node.identity.member, raft::MemberId(1)) << what;
  EXPECT_EQ(node.identity.instance, raft::InstanceId(22)) << what;
  EXPECT_EQ(node.identity.incarnation.value, lived.incarnation + 1) << what;
  EXPECT_EQ(node.recovered.hard_state, lived.hard_state) << what;
  const bool readable = log_is_true(node, lived, what) && state_is_true(node, what);
  if (node.recovered.promise_lost) return kLossNoticed;
  EXPECT_EQ(node.recovered.last.value, lived.log.size()) << what;
  return readable ? kRecovered : kRefused;
}

Outcome start(TestDisk& disk, const LivedNode& lived, const std::string& what) {
  Outcome outcome = kRefused;
  {
    auto directory = DataDirectory::take(disk, "/a/d", false);
    if (!directory) {
      EXPECT_FALSE(directory.error().message.empty()) << what;
      return kRefused;
    }
    auto node = (*directory)->open();
    if (node) {
      outcome = outcome_of(*node, lived, what);
      disk.run_background_work();
    } else {
      EXPECT_NE(node.error().message.find("/a/d"), std::string::npos) << what;
      disk.run_background_work();
    }
  }
  disk.run_background_work();
  return outcome;
}

int places() {
  const char* wanted = std::getenv("RAFTKV_DAMAGE_PLACES");  // NOLINT(concurrency-mt-unsafe)
  return wanted == nullptr ? 400 : std::atoi(wanted);
}

TEST(Damage, IsRecoveredNoticedOrRefusedButNeverSilent) {
  const LivedNode lived = lived_node();
  Prng prng(17);
  Table table{};
  for (int i = 0; i < places(); ++i) {
    const std::size_t kind = static_cast<std::size_t>(i) % kDamages.size();
    const auto disk = lived.disk->after_kill();
    const std::string what = inflict(kDamages[kind], *disk, prng);
    ++table[kind][start(*disk, lived, what)];
    if (HasFailure()) break;
  }
  fmt::print("{:<18}{:>11}{:>14}{:>9}\n", "", "recovered", "loss noticed", "refused");
  for (std::size_t kind = 0; kind < kDamages.size(); ++kind) {
    fmt::print("{:<18}{:>11}{:>14}{:>9}\n", kNames[kind], table[kind][kRecovered],
               table[kind][kLossNoticed], table[kind][kRefused]);
    EXPECT_GT(table[kind][kRecovered], 0);
    EXPECT_GT(table[kind][kLossNoticed], 0);
  }
}

}  // namespace
}  // namespace raftkv::storage
