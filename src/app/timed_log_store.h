// The LogStore of a real node with a clock beside it: how long durable writes take, and how many
// entries share one.
#pragma once

#include <chrono>

#include "src/app/metrics.h"
#include "src/replica/ports.h"

namespace raftkv::app {

class TimedLogStore final : public replica::LogStore {
 public:
  TimedLogStore(replica::LogStore& store, Metrics& metrics) : store_(store), metrics_(metrics) {}

  [[nodiscard]] Status append(std::span<const raft::LogWrite> writes) override {
    const auto began = std::chrono::steady_clock::now();
    auto written = store_.append(writes);
    std::size_t entries = 0;
    std::size_t bytes = 0;
    for (const raft::LogWrite& write : writes) {
      entries += write.entries.size();
      for (const raft::Entry& entry : write.entries) bytes += entry.size();
    }
    metrics_.log_written(entries, bytes, std::chrono::steady_clock::now() - began);
    return written;
  }
  [[nodiscard]] Result<std::vector<raft::Entry>> read(raft::Index from, raft::Index to,
                                                      std::size_t bytes_max) override {
    return store_.read(from, to, bytes_max);
  }
  [[nodiscard]] Status checkpoint() override { return store_.checkpoint(); }
  [[nodiscard]] Status promise_repaired() override { return store_.promise_repaired(); }
  [[nodiscard]] Status cut_before(raft::Index first, raft::Term prev_term) override {
    return store_.cut_before(first, prev_term);
  }
  [[nodiscard]] Status prepare_cut() override { return store_.prepare_cut(); }
  [[nodiscard]] Status free_cut() override { return store_.free_cut(); }

 private:
  replica::LogStore& store_;
  Metrics& metrics_;
};

}  // namespace raftkv::app
