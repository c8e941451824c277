#include "src/app/leader_call.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

namespace raftkv::app {
namespace {

namespace json = boost::json;

constexpr int kRedirectsInARow = 5;
constexpr Duration kPauseMin = 20ms;
constexpr Duration kPauseMax = 500ms;

// Where to ask next, and how patient to be.
class Attempts {
 public:
  Attempts(const ClientOptions& options, const ClientWorld& world)
      : options_(options), world_(world), deadline_(world.now() + options.timeout) {}

  const std::string& address() const {
    return redirect_.empty() ? options_.endpoints[next_] : redirect_;
  }
  Duration left() const { return deadline_ - world_.now(); }
  bool over() const { return left() <= Duration(0); }

  // The leader is said to be there.
  bool redirect(std::string_view location) {
    const std::string to = address_of_location(location);
    if (to.empty() || ++redirects_ > kRedirectsInARow) return false;
    redirect_ = to;
    return true;
  }
  // This one is of no use now: the next endpoint. After each whole round, wait a little.
  void next(bool answered) {
    answered_in_round_ |= answered;
    redirects_ = 0;
    if (!redirect_.empty()) {  // the endpoint that sent us there may know better soon
      redirect_.clear();
      answered_in_round_ = true;
      return pause();
    }
    next_ = (next_ + 1) % options_.endpoints.size();
    if (next_ != 0) return;
    nobody_ = !answered_in_round_;
    answered_in_round_ = false;
    if (!nobody_) pause();
  }
  // In a whole round no endpoint answered at all: there is nothing to wait for.
  bool nobody() const { return nobody_; }

 private:
  void pause() {
    pause_ = std::clamp(pause_ * 2, kPauseMin, kPauseMax);
    world_.pause(std::min(pause_, std::max(left(), Duration(0))));
  }

  const ClientOptions& options_;
  const ClientWorld& world_;
  const Time deadline_;
  std::size_t next_ = 0;
  std::string redirect_;
  int redirects_ = 0;
  bool answered_in_round_ = false;
  bool nobody_ = false;
  Duration pause_{};
};

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

bool is_redirect(int status) {
  return status == 307 || status == 308;
}

}  // namespace

ProblemText problem_of(const http::ClientResponse& response) {
  boost::system::error_code error;
  const json::value parsed = json::parse(response.body, error);
  if (error || !parsed.is_object())
    return {.code = {}, .detail = response.body.substr(0, 500), .outcome = {}};
  const json::object& object = parsed.as_object();
  return {.code = text_of(object, "code"),
          .detail = text_of(object, "detail"),
          .outcome = text_of(object, "outcome")};
}

std::string address_of_location(std::string_view location) {
  constexpr std::string_view kScheme = "http://";
  if (!location.starts_with(kScheme)) return {};
  location.remove_prefix(kScheme.size());
  const auto parsed = parse_endpoint(location.substr(0, location.find_first_of("/?#")));
  return parsed ? *parsed : std::string();
}

CallResult call_leader(const ClientOptions& options, const ClientWorld& world,
                       const http::ClientRequest& request, Repeatable repeatable) {
  Attempts attempts(options, world);
  std::string why = "no endpoint is given";
  while (!attempts.over() && !attempts.nobody()) {
    const std::string address = attempts.address();
    const auto response = world.send(address, request, attempts.left());
    if (!response) {
      why = response.error().error.message;
      const bool perhaps = response.error().sent == http::Sent::perhaps;
      if (perhaps && repeatable == Repeatable::no) return NoAnswer{why};
      attempts.next(perhaps);
    } else if (is_redirect(response->status)) {
      why = fmt::format("{} sends to a leader that does not answer", address);
      if (!attempts.redirect(response->field("Location"))) attempts.next(true);
    } else if (response->status == 503) {
      const ProblemText problem = problem_of(*response);
      why = fmt::format("{}: {}", address, problem.detail);
      if (problem.outcome == "unknown" && repeatable == Repeatable::no) return NoAnswer{why};
      attempts.next(true);
    } else {
      return *response;
    }
  }
  return Unreachable{why};
}

}  // namespace raftkv::app
