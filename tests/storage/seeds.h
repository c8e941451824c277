// A state to make backups of, and new clusters from.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/replica/backup.h"
#include "src/replica/state_store.h"
#include "src/storage/data_directory.h"

namespace raftkv::storage {

inline constexpr raft::ClusterId kOldCluster(7);

// Of three voters, in term 4; entry 1 is the configuration, each further one sets a key.
class OldState {
 public:
  explicit OldState(std::uint64_t last, std::size_t value_size = 100) {
    EXPECT_TRUE(store_.load());
    log_ = {configuration()};
    for (std::uint64_t index = 2; index <= last; ++index) log_.push_back(entry(index, value_size));
    EXPECT_TRUE(store_.apply(log_));
  }

  [[nodiscard]] static raft::Entry entry(std::uint64_t index, std::size_t value_size = 100) {
    const std::string value = std::to_string(index) + std::string(value_size, 'v');
    return raft::Entry::seal(
        raft::EntryDraft(raft::EntryKind::command,
                         kv::encode_set("key" + std::to_string(index % 40), value)),
        raft::Term(4), raft::Index(index));
  }
  [[nodiscard]] static raft::Entry configuration() {
    raft::Configuration three;
    for (const std::uint64_t id : {1u, 3u, 5u}) {
      const std::string name = "old" + std::to_string(id);
      three.members.push_back({.id = raft::MemberId(id),
                               .instance = raft::InstanceId(100 + id),
                               .name = name,
                               .http_address = name + ":1",
                               .raft_address = name + ":2",
                               .replaces = {}});
      three.voters.push_back(raft::MemberId(id));
    }
    std::string payload;
    three.encode(payload);
    return raft::Entry::seal(raft::EntryDraft::copy_of(raft::EntryKind::configuration, payload),
                             raft::Term(3), raft::Index(1));
  }

  [[nodiscard]] replica::StateStore& store() { return store_; }
  [[nodiscard]] const kv::MemoryStore::Contents& contents() const { return contents_.contents(); }

  [[nodiscard]] std::string backup() {
    replica::BackupEncoder encoder(kOldCluster, store_.open_snapshot().value());
    std::string file;
    for (std::string piece; !(piece = encoder.next(500).value()).empty();) file += piece;
    return file;
  }
  // Its chunks, one after the other.
  [[nodiscard]] std::function<Result<replica::StateChunk>()> chunks() {
    std::shared_ptr<replica::SnapshotReader> reader = store_.open_snapshot().value();
    return [reader] { return reader->next(500); };
  }

 private:
  kv::MemoryStore contents_;
  replica::StateStore store_{contents_};
  std::vector<raft::Entry> log_;
};

}  // namespace raftkv::storage
