#include "src/app/joining.h"

#include <chrono>
#include <thread>
#include <utility>

#include "src/http/client.h"
#include "src/http/join_http.h"

namespace raftkv::app {
namespace {

// A member answers a join once the change has committed, at latest after its own request timeout.
constexpr Duration kAnswerTimeout = 10s;

Time now() {
  return Time(
      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

replica::JoinAnswer ask(const std::string& endpoint, const std::string& body) {
  http::ClientOptions options;
  options.timeout = kAnswerTimeout;
  const http::ClientRequest request = {.method = "POST",
                                       .target = std::string(http::kJoinTarget),
                                       .fields = {{"Content-Type", "application/json"}},
                                       .body = body};
  const auto response = http::send_request(endpoint, request, options);
  if (!response) return replica::JoinRetry{response.error().error.message};
  return http::join_answer(response->status, response->field("Location"), response->body);
}

}  // namespace

Result<replica::JoinDone> join_cluster(replica::JoinOptions options) {
  const std::string body = http::join_body(options.request);
  replica::Joining joining(std::move(options));
  for (;;) {
    const replica::JoinStep step = joining.next(now());
    if (const auto* done = std::get_if<replica::JoinDone>(&step)) return *done;
    if (const auto* failed = std::get_if<replica::JoinFailed>(&step))
      return std::unexpected(failed->error);
    if (const auto* wait = std::get_if<replica::JoinWait>(&step)) {
      std::this_thread::sleep_for(wait->until - now());
    } else {
      joining.answer(ask(std::get<replica::JoinSend>(step).endpoint, body), now());
    }
  }
}

}  // namespace raftkv::app
