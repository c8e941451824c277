// Joining: a small pure state machine that runs before there is a Host. Requests out, answers in.
// Production sends its requests with Beast, the simulator over its client network;
// src/http/join_http.h turns requests and answers into HTTP and back for both.
//
// It asks each endpoint in turn, follows redirects to the leader, waits after failures (1/8 s,
// doubled up to 2 s), and gives up only when an answer is final (400, 409, 410) or the deadline has
// passed.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "src/base/result.h"
#include "src/base/time.h"
#include "src/raft/types.h"
#include "src/replica/request.h"

namespace raftkv::replica {

struct JoinOptions {
  std::vector<std::string> endpoints;  // HOST:PORT (HTTP) of members; at least one
  Join request;                        // with the instance of the data directory
  Duration deadline = 60s;             // from the first next()
};

// What the world has to do next.
struct JoinSend {  // POST /join to this endpoint (HOST:PORT); report with answer()
  std::string endpoint;
};
struct JoinWait {
  Time until;
};
struct JoinDone {
  raft::ClusterId cluster;
  raft::MemberId member;
};
struct JoinFailed {
  Error error;  // one sentence: whom it asked, what they said, what to do
};
using JoinStep = std::variant<JoinSend, JoinWait, JoinDone, JoinFailed>;

// What came back.
struct JoinAccepted {
  raft::ClusterId cluster;
  raft::MemberId member;
};
struct JoinRedirected {
  std::string endpoint;  // HOST:PORT of the leader
};
struct JoinRetry {  // refused, reset, timed out, 503, 504, anything that may pass
  std::string reason;
};
struct JoinRefused {  // final
  std::string reason;
};
using JoinAnswer = std::variant<JoinAccepted, JoinRedirected, JoinRetry, JoinRefused>;

class Joining {
 public:
  explicit Joining(JoinOptions options);

  // What to do now. After a JoinSend, the same again until answer() is called.
  [[nodiscard]] JoinStep next(Time now);
  void answer(const JoinAnswer& answer, Time now);

 private:
  JoinOptions options_;
  std::optional<Time> deadline_;
  std::optional<std::string> redirect_;  // ask this one next
  std::size_t next_endpoint_ = 0;
  int redirects_in_a_row_ = 0;
  Duration pause_{};
  std::optional<Time> wait_until_;
  std::optional<JoinStep> final_;
  std::string last_failure_;
};

}  // namespace raftkv::replica
