// What the core costs: nanoseconds and allocations per input in steady state, quorums, frames,
// entries.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "bench/allocations.h"
#include "src/raft/quorum.h"
#include "src/raft/raft.h"
#include "src/raft/wire.h"

namespace raftkv::raft {
namespace {

constexpr std::uint64_t kVoters = 3;

Entry entry(std::uint64_t index, std::size_t size) {
  return Entry::seal(EntryDraft::copy_of(EntryKind::command, std::string(size, 'v')), Term(2),
                     Index(index));
}

// Three cores whose messages and disks take no time: one round of the loop per call.
class Trio {
 public:
  Trio() {
    Configuration configuration;
    for (std::uint64_t id = 1; id <= kVoters; ++id) {
      configuration.members.push_back({.id = MemberId(id),
                                       .instance = InstanceId(id),
                                       .name = "n",
                                       .http_address = "h",
                                       .raft_address = "r",
                                       .replaces = MemberId()});
      configuration.voters.push_back(MemberId(id));
    }
    std::string payload;
    configuration.encode(payload);
    const Entry first =
        Entry::seal(EntryDraft::copy_of(EntryKind::configuration, payload), Term(1), Index(1));
    for (std::uint64_t id = 1; id <= kVoters; ++id) {
      Recovered recovered;
      recovered.hard_state = {Term(1), MemberId()};
      recovered.last = Index(1);
      recovered.terms = {{Term(1), Index(1)}};
      recovered.tail = {first};
      nodes_.push_back(std::make_unique<Raft>(
          Options(), Identity{ClusterId(1), MemberId(id), InstanceId(id), Incarnation(1)},
          std::move(recovered), Prng(id), Time()));
    }
    nodes_[0]->expire(Time(10s));
    while (pump()) {
    }
  }

  Raft& leader() { return *nodes_[0]; }
  Raft& follower() { return *nodes_[1]; }

  // Carries out what is to be done, once round all nodes; false: nothing was.
  bool pump() {
    bool moved = false;
    for (auto& node : nodes_) {
      node->take_effects(now_, effects_);
      moved |= !effects_.empty();
      if (!effects_.apply.empty()) node->applied(effects_.apply.back().index(), now_);
      if (!effects_.log_writes.empty()) node->log_written(effects_.log_writes.back().id, now_);
      for (Envelope& e : effects_.messages)
        nodes_[e.route.to.value - 1]->receive(std::move(e), now_);
    }
    return moved;
  }

  Time now_ = Time(10s);

 private:
  std::vector<std::unique_ptr<Raft>> nodes_;
  Effects effects_;
};

void count_allocations(benchmark::State& state, std::uint64_t before, double inputs) {
  state.counters["allocs/input"] = static_cast<double>(bench::allocations() - before) / inputs;
}

// A round as under load: `range` proposals in one turn, through to everybody's apply.
void CommitRound(benchmark::State& state) {
  Trio trio;
  const auto proposals = static_cast<std::size_t>(state.range(0));
  std::vector<EntryDraft> drafts;
  const auto prepare = [&] {
    drafts.clear();
    for (std::size_t i = 0; i < proposals; ++i) {
      drafts.push_back(EntryDraft::copy_of(EntryKind::command, std::string(256, 'v')));
    }
  };
  std::uint64_t spent = 0;
  double inputs = 0;
  for (auto _ : state) {
    state.PauseTiming();
    prepare();
    const std::uint64_t before = bench::allocations();
    state.ResumeTiming();
    for (EntryDraft& draft : drafts)
      benchmark::DoNotOptimize(trio.leader().propose(std::move(draft), trio.now_));
    while (trio.pump()) {
    }
    spent += bench::allocations() - before;
    inputs += static_cast<double>(proposals);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.counters["allocs/proposal"] = static_cast<double>(spent) / inputs;
}
BENCHMARK(CommitRound)->Arg(1)->Arg(16)->Arg(64)->Arg(256);

void ReadRound(benchmark::State& state) {
  Trio trio;
  const std::uint64_t before = bench::allocations();
  std::uint64_t ticket = 0;
  for (auto _ : state) {
    for (std::int64_t i = 0; i < state.range(0); ++i)
      trio.leader().read(Ticket(++ticket), trio.now_);
    while (trio.pump()) {
    }
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  count_allocations(state, before, static_cast<double>(ticket));
}
BENCHMARK(ReadRound)->Arg(1)->Arg(64)->Arg(256);

void Heartbeat(benchmark::State& state) {
  Trio trio;
  const std::uint64_t before = bench::allocations();
  for (auto _ : state) {
    trio.now_ += 100ms;
    trio.leader().expire(trio.now_);
    while (trio.pump()) {
    }
  }
  count_allocations(state, before, static_cast<double>(state.iterations()));
}
BENCHMARK(Heartbeat);

void Quorum(benchmark::State& state) {
  Configuration configuration;
  for (std::int64_t id = 1; id <= state.range(0); ++id) {
    configuration.voters.push_back(MemberId(static_cast<std::uint64_t>(id)));
  }
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        quorum_reached(configuration, [](MemberId id) { return id.value * 7 % 5; }));
  }
}
BENCHMARK(Quorum)->Arg(3)->Arg(5)->Arg(7);

void SealEntry(benchmark::State& state) {
  const std::string payload(static_cast<std::size_t>(state.range(0)), 'v');
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        Entry::seal(EntryDraft::copy_of(EntryKind::command, payload), Term(1), Index(1)));
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(SealEntry)->Arg(256)->Arg(65536);

Envelope append_of(std::int64_t entries) {
  AppendEntries request;
  request.prev_log_index = Index(10);
  request.prev_log_term = Term(2);
  for (std::int64_t i = 0; i < entries; ++i)
    request.entries.push_back(entry(static_cast<std::uint64_t>(11 + i), 256));
  return {{ClusterId(1), MemberId(1), Incarnation(1), MemberId(2), Incarnation()},
          Term(2),
          std::move(request)};
}

void EncodeFrame(benchmark::State& state) {
  const Envelope envelope = append_of(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(encode(envelope));
}
BENCHMARK(EncodeFrame)->Arg(0)->Arg(1)->Arg(64);

void ParseFrame(benchmark::State& state) {
  const SharedBytes bytes = SharedBytes::from(encode(append_of(state.range(0))).flatten());
  for (auto _ : state) benchmark::DoNotOptimize(decode(std::move(*parse_frame(bytes))));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes.size()));
}
BENCHMARK(ParseFrame)->Arg(0)->Arg(1)->Arg(64);

}  // namespace
}  // namespace raftkv::raft
