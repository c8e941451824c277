#include "src/replica/join.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "src/base/check.h"

namespace raftkv::replica {
namespace {

constexpr Duration kPauseMin = 125ms;
constexpr Duration kPauseMax = 2s;
// Two nodes that name each other as the leader would send us back and forth for ever.
constexpr int kRedirectsMax = 4;

}  // namespace

Joining::Joining(JoinOptions options) : options_(std::move(options)) {
  CHECK(!options_.endpoints.empty());
}

JoinStep Joining::next(Time now) {
  if (final_) return *final_;
  if (!deadline_) deadline_ = now + options_.deadline;
  if (now >= *deadline_) {
    final_ = JoinFailed{Error{
        ErrorCode::unavailable,
        fmt::format(
            "no member let {} join before the deadline; the last one asked: {}; check that --join "
            "names running members and that they have a leader",
            options_.request.name, last_failure_.empty() ? "no answer" : last_failure_)}};
    return *final_;
  }
  if (wait_until_ && now < *wait_until_) return JoinWait{std::min(*wait_until_, *deadline_)};
  wait_until_.reset();
  return JoinSend{redirect_ ? *redirect_ : options_.endpoints[next_endpoint_]};
}

void Joining::answer(const JoinAnswer& answer, Time now) {
  if (final_) return;  // the deadline came first
  const std::string asked = redirect_ ? *redirect_ : options_.endpoints[next_endpoint_];
  if (const auto* accepted = std::get_if<JoinAccepted>(&answer)) {
    final_ = JoinDone{accepted->cluster, accepted->member};
    return;
  }
  if (const auto* refused = std::get_if<JoinRefused>(&answer)) {
    final_ =
        JoinFailed{Error{ErrorCode::invalid, fmt::format("{} refused {}: {}", asked,
                                                         options_.request.name, refused->reason)}};
    return;
  }
  const auto* redirected = std::get_if<JoinRedirected>(&answer);
  if (redirected != nullptr && redirects_in_a_row_ < kRedirectsMax) {
    ++redirects_in_a_row_;
    redirect_ = redirected->endpoint;
    return;
  }
  last_failure_ = fmt::format("{}: {}", asked,
                              redirected != nullptr ? "its redirects lead in a circle"
                                                    : std::get<JoinRetry>(answer).reason);
  // A leader that does not answer is asked about among the others: they may know a new one by then.
  if (!redirect_ || options_.endpoints[next_endpoint_] == *redirect_) {
    next_endpoint_ = (next_endpoint_ + 1) % options_.endpoints.size();
  }
  redirect_.reset();
  redirects_in_a_row_ = 0;
  pause_ = std::clamp(pause_ * 2, kPauseMin, kPauseMax);
  wait_until_ = now + pause_;
}

}  // namespace raftkv::replica
