// What the disk costs: appending to the log with its sync, by batch size; applying to the state;
// and reading from it. In a directory of its own under the working directory, so that it is the
// disk to be measured: TMPDIR may be memory.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/base/check.h"
#include "src/kv/command.h"
#include "src/storage/data_directory.h"

namespace raftkv::storage {
namespace {

constexpr std::size_t kKeys = 10'000;

// A node of its own, in a directory that goes with it.
class OpenNode {
 public:
  OpenNode() : path_(fmt::format("raftkv-bench-{}", ::getpid())) {
    auto taken = DataDirectory::take(posix_disk(), path_, /*make=*/true);
    CHECK(taken.has_value());
    directory_ = std::move(*taken);
    CHECK(directory_->create_cluster(raft::ClusterId(1), raft::InstanceId(2), {"n1", "h:1", "h:2"})
              .has_value());
    auto opened = directory_->open();
    CHECK(opened.has_value());
    node_ = std::make_unique<OpenedNode>(std::move(*opened));
  }
  ~OpenNode() {
    node_.reset();
    directory_.reset();
    std::filesystem::remove_all(path_);
  }
  OpenNode(const OpenNode&) = delete;
  OpenNode& operator=(const OpenNode&) = delete;

  // The next entries: each sets one of kKeys keys to 256 bytes.
  std::vector<raft::Entry> next(std::int64_t count) {
    std::vector<raft::Entry> entries;
    for (std::int64_t i = 0; i < count; ++i) {
      ++last_;
      const auto key = fmt::format("key-{:012}", last_.value * 7919 % kKeys);
      entries.push_back(raft::Entry::seal(
          raft::EntryDraft(raft::EntryKind::command, kv::encode_set(key, std::string(256, 'v'))),
          raft::Term(1), last_));
    }
    return entries;
  }
  // What is in the log already is applied first.
  void apply(std::span<const raft::Entry> entries) {
    CHECK(node_->state_store->apply(entries).has_value());
  }
  void apply_the_beginning() {
    const auto entries = node_->log_store->read(raft::Index(1), raft::Index(1), 1 << 20);
    CHECK(entries.has_value());
    apply(*entries);
  }
  [[nodiscard]] OpenedNode& operator*() { return *node_; }

 private:
  const std::string path_;
  std::unique_ptr<DataDirectory> directory_;
  std::unique_ptr<OpenedNode> node_;
  raft::Index last_{1};
};

void LogAppend(benchmark::State& state) {
  OpenNode node;
  std::uint64_t id = 0;
  for (auto _ : state) {
    state.PauseTiming();
    raft::LogWrite write;
    write.id = raft::WriteId(++id);
    write.entries = node.next(state.range(0));
    state.ResumeTiming();
    CHECK((*node).log_store->append({&write, 1}).has_value());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(LogAppend)->Arg(1)->Arg(16)->Arg(64)->Arg(256)->UseRealTime();

void Apply(benchmark::State& state) {
  OpenNode node;
  node.apply_the_beginning();
  for (auto _ : state) {
    state.PauseTiming();
    const auto entries = node.next(state.range(0));
    state.ResumeTiming();
    node.apply(entries);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(Apply)->Arg(1)->Arg(16)->Arg(64)->Arg(256)->UseRealTime();

void Read(benchmark::State& state) {
  OpenNode node;
  node.apply_the_beginning();
  for (std::size_t i = 0; i < kKeys / 100; ++i) node.apply(node.next(100));
  std::uint64_t i = 0;
  for (auto _ : state) {
    const auto value = (*node).state_store->get(fmt::format("key-{:012}", ++i * 7907 % kKeys));
    CHECK(value.has_value() && value->has_value());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(Read);

}  // namespace
}  // namespace raftkv::storage
