// A node that has lived for a while on a TestDisk, in the directory /a/d: several runs, so that its
// log and its state are in tables and in WALs. And what it has promised.
#pragma once

#include <fmt/format.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/storage/data_directory.h"
#include "tests/storage/log_fixture.h"

namespace raftkv::storage {

struct LivedNode {
  std::unique_ptr<TestDisk> disk;  // as the loss of power at the end leaves it
  std::vector<raft::Entry> log;    // from index 1; all of it was acknowledged
  raft::HardState hard_state;
  std::uint64_t incarnation = 0;  // of the last run
};

inline constexpr int kLivedRuns = 4;
inline constexpr std::uint64_t kEntriesARun = 120;

// What the state holds once the entries 1 to `last` are applied.
[[nodiscard]] inline std::map<std::string, std::string> contents_through(std::uint64_t last) {
  std::map<std::string, std::string> contents;
  for (std::uint64_t index = 2; index <= last; ++index) {
    contents[fmt::format("key{}", index % 50)] = fmt::format("{}{}", index, std::string(500, 'v'));
  }
  return contents;
}

[[nodiscard]] inline raft::LogWrite lived_write(std::uint64_t term, std::uint64_t index) {
  raft::LogWrite write;
  const std::string value = fmt::format("{}{}", index, std::string(500, 'v'));
  write.entries.push_back(
      raft::Entry::seal(raft::EntryDraft(raft::EntryKind::command,
                                         kv::encode_set(fmt::format("key{}", index % 50), value)),
                        raft::Term(term), raft::Index(index)));
  return write;
}

// One run: applies what is behind, writes and applies a number of entries in a term of its own.
inline void live(LivedNode& lived, OpenedNode& node, std::uint64_t term) {
  if (!node.recovered.tail.empty()) {
    CHECK(node.state_store->apply(node.recovered.tail).has_value());
  }
  for (std::uint64_t i = 0; i < kEntriesARun; ++i) {
    raft::LogWrite write = lived_write(term, lived.log.size() + 1);
    if (i == 0) {
      lived.hard_state = {.current_term = raft::Term(term), .voted_for = raft::MemberId(term + 5)};
      write.hard_state = lived.hard_state;
    }
    CHECK(node.log_store->append({&write, 1}).has_value());
    CHECK(node.state_store->apply(write.entries).has_value());
    lived.log.push_back(write.entries.front());
    if (i == kEntriesARun / 2) CHECK(node.state_store->sync().has_value());
    if (i % 16 == 0) CHECK(node.log_store->checkpoint().has_value());
  }
  CHECK(node.log_store->checkpoint().has_value());
}

[[nodiscard]] inline LivedNode lived_node() {
  LivedNode lived;
  auto disk = std::make_unique<TestDisk>();
  const NodeNames names{.name = "node01", .http_address = "h:1", .raft_address = "h:2"};
  for (int run = 0; run < kLivedRuns; ++run) {
    std::unique_ptr<TestDisk> image;
    {
      auto directory = DataDirectory::take(*disk, "/a/d", true);
      CHECK(directory.has_value());
      if (run == 0) {
        CHECK((*directory)
                  ->create_cluster(raft::ClusterId(21), raft::InstanceId(22), names)
                  .has_value());
        disk->run_background_work();
      }
      auto node = (*directory)->open();
      CHECK(node.has_value());
      CHECK(!node->recovered.promise_lost);
      if (run == 0) lived.log = node->recovered.tail;
      lived.incarnation = node->identity.incarnation.value;
      live(lived, *node, 2 + static_cast<std::uint64_t>(run));
      image = disk->after_power_loss();
      disk->run_background_work();
    }
    disk = std::move(image);
  }
  lived.disk = std::move(disk);
  return lived;
}

}  // namespace raftkv::storage
