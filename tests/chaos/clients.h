// Concurrent clients over HTTP. Each sends one request after the other, follows redirects, counts
// what has no certain answer as unknown, and never repeats it: after an unknown outcome it goes on
// as another process, as the checker demands.
//
// Workloads: registers (writes, deletes, consistent reads; also default and stale reads), sets of
// three keys written at once, and keys that are written once and must all be there at the end. A
// register or a set is used for some hundred operations, then a fresh one takes its place: this
// keeps the checker's parts small.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/chaos/record.h"
#include "tests/process/http.h"

namespace raftkv::chaos {

using process::Address;
using process::milliseconds;

inline constexpr int kNodesMost = 9;

// How often each node's process has been ended or started. Shared by the clients' threads and the
// one that does it.
using Epochs = std::array<std::atomic<std::uint32_t>, kNodesMost>;

// What makes a run fail on purpose: a check that cannot fail checks nothing.
enum class Control : std::uint8_t {
  none,
  stale_as_consistent,  // stale reads are recorded as consistent ones
  unknown_as_failed,    // writes of unknown outcome are recorded as not applied
};

struct ClientsOptions {
  std::vector<Address> endpoints = {};  // by node
  int clients = 16;
  std::uint64_t seed = 1;
  Control control = Control::none;
  milliseconds request_limit{1000};  // each client a little longer than the one before it
  milliseconds connect_limit{200};
};

class Clients {
 public:
  // They start at once. `epochs` must outlive them.
  Clients(ClientsOptions options, const Epochs& epochs);
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;
  ~Clients();

  // Ends the threads after their current request. Then the record is whole: by time of invocation.
  void stop();
  [[nodiscard]] std::vector<Operation> take_record();

  [[nodiscard]] Nanos now() const;
  [[nodiscard]] std::uint64_t acknowledged_writes() const { return acknowledged_writes_; }

  // After stop(): reads the key at this level through one node (redirects are followed), as a
  // process of its own, into `record`. False if there was no answer. Threads may do this at once
  // for different nodes.
  bool read_finally(int node, const std::string& key, Level level, std::vector<Operation>& record);

 private:
  class Client;

  ClientsOptions options_;
  const Epochs& epochs_;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint64_t> acknowledged_writes_ = 0;
  std::atomic<std::uint64_t> next_value_ = 1;
  std::array<std::atomic<std::uint64_t>, 16> register_uses_ = {};
  std::array<std::atomic<std::uint64_t>, 4> set_uses_ = {};
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::thread> threads_;
};

}  // namespace raftkv::chaos
