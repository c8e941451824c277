// Clients that write all the time, remember what they were told, and can say afterwards whether the
// cluster kept its word.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/process/http.h"

namespace raftkv::process {

struct LoadOptions {
  std::vector<Address> endpoints = {};
  std::string prefix = "load";  // of the keys
  int clients = 8;
  // A request without an answer for so long is given up; its outcome is unknown. Each client waits
  // a little longer than the one before it (up to a third in all): clients that a silent node stops
  // together would otherwise go on together, and see the end of the silence only that often.
  milliseconds request_limit = 1000ms;
  // Each client waits so long after a refusal or a failed connection, before it tries the next
  // endpoint.
  milliseconds pause = 3ms;
};

class Load {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // What a key's writer was told.
  struct Told {
    std::string acknowledged;  // the last value with a 200; empty: none
    std::string perhaps;       // a later one of unknown outcome: the last write to this key
  };

  // The clients start at once.
  explicit Load(LoadOptions options);
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  ~Load();

  // Ends the clients after their current request.
  void stop();
  [[nodiscard]] bool running() const { return !threads_.empty(); }

  [[nodiscard]] std::uint64_t acknowledged() const { return acknowledged_; }
  [[nodiscard]] std::uint64_t unknown() const { return unknown_; }
  [[nodiscard]] std::uint64_t reads() const { return reads_; }

  // After stop(): when each write was acknowledged, in order.
  [[nodiscard]] std::vector<TimePoint> acknowledgements() const;
  // After stop(): what consistent reads answered that they must not have, in sentences.
  [[nodiscard]] std::vector<std::string> wrong_reads() const;
  // After stop(): reads every key through `node` (at level consistent) and returns the broken
  // promises: a key whose value is neither the last acknowledged one nor a later one of unknown
  // outcome.
  [[nodiscard]] std::vector<std::string> broken_promises(const Address& node) const;

 private:
  struct Client;

  void run(Client& client);
  [[nodiscard]] std::optional<Response> send(Client& client, const Request& request,
                                             HttpFailure& why);
  void read_own_key(Client& client);
  void write(Client& client, const std::string& key, const std::string& value);

  LoadOptions options_;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint64_t> acknowledged_ = 0;
  std::atomic<std::uint64_t> unknown_ = 0;
  std::atomic<std::uint64_t> reads_ = 0;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::thread> threads_;
};

// The longest time between two neighbours of `times` (sorted) of which the later is after `from`.
[[nodiscard]] milliseconds longest_gap(const std::vector<Load::TimePoint>& times,
                                       Load::TimePoint from);

}  // namespace raftkv::process
