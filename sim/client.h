// A client: takes operations one after the other, sends them as HTTP requests over the simulated
// network, follows redirects, tries again what was certainly not applied, and gives up when its
// time is over. An administrator is a client, too, whose requests are in no history.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>

#include "sim/kernel.h"
#include "src/base/prng.h"

namespace raftkv::sim {

// The node that a Who names now, from 0; nullopt if none is there.
using Resolve = std::function<std::optional<std::size_t>(const Who&)>;

// Numbers of processes in histories, shared by all clients.
struct ProcessNumbers {
  std::uint32_t next = 0;
};

class Client {
 public:
  Client(Kernel& kernel, Requester number, ProcessNumbers& processes, Prng prng,
         const Resolve& resolve);

  // The action must outlive the run.
  void enqueue(const Action& action);
  // Ends after the operation under way; drops what waits.
  void stop() { waiting_.clear(); }
  void on_next(std::uint32_t attempt);
  void on_response(const Exchange& exchange);
  void on_timeout(std::uint32_t serial);

  [[nodiscard]] bool idle() const { return action_ == nullptr && waiting_.empty(); }
  // How its last operation ended; for the second phase.
  [[nodiscard]] Outcome last_outcome() const { return last_outcome_; }

 private:
  void begin();
  void send(std::size_t node);
  void choose_and_send();
  void try_again();
  void end(Outcome outcome);
  void take_answer(const Exchange& exchange);
  [[nodiscard]] Exchange request() const;

  Kernel& kernel_;
  Requester number_;
  ProcessNumbers& processes_;
  Prng prng_;
  const Resolve& resolve_;
  std::uint32_t process_;
  std::deque<const Action*> waiting_;
  const Action* action_ = nullptr;  // under way
  std::size_t to_remove_ = 0;       // by a `remove`: the node that it meant when it was asked
  std::uint32_t operation_ = kNoOperation;
  std::uint32_t serial_ = 0;   // of the action under way, for its timeout
  std::uint32_t attempt_ = 0;  // of requests, over all actions
  int redirects_ = 0;
  bool attempt_unknown_ = false;       // an attempt of this operation may have happened
  std::optional<std::size_t> leader_;  // who answered well last
  Outcome last_outcome_ = Outcome::open;
};

}  // namespace raftkv::sim
