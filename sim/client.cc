#include "sim/client.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>

#include "sim/transport.h"
#include "src/base/check.h"

namespace raftkv::sim {
namespace {

constexpr int kRedirectsMax = 5;
constexpr std::string_view kKeyPath = "/key/";
constexpr Duration kRetryMin = 5ms;
constexpr Duration kRetryMax = 80ms;

// The first number behind `name` in a text: {"index":17} or "17" in quotes.
std::uint64_t number_behind(std::string_view text, std::string_view name) {
  std::size_t at = text.find(name);
  if (at == std::string_view::npos) return 0;
  at += name.size();
  std::uint64_t number = 0;
  std::from_chars(text.data() + at, text.data() + text.size(), number);
  return number;
}

bool is_read(Verb verb) {
  return verb == Verb::get;
}

std::string_view level_text(Level level) {
  switch (level) {
    case Level::consistent:
      return "?level=consistent&raw";
    case Level::stale:
      return "?level=stale&raw";
    case Level::default_:
      return "?raw";
  }
  return {};
}

}  // namespace

Client::Client(Kernel& kernel, Requester number, ProcessNumbers& processes, Prng prng,
               const Resolve& resolve)
    : kernel_(kernel),
      number_(number),
      processes_(processes),
      prng_(prng),
      resolve_(resolve),
      process_(processes.next++) {}

void Client::enqueue(const Action& action) {
  waiting_.push_back(&action);
  if (action_ == nullptr) begin();
}

void Client::begin() {
  action_ = waiting_.front();
  waiting_.pop_front();
  ++serial_;
  redirects_ = 0;
  attempt_unknown_ = false;
  last_outcome_ = Outcome::open;
  operation_ = kNoOperation;
  // Who leads may be another when it is tried again; only this one may be removed (World::operate).
  if (action_->verb == Verb::remove) to_remove_ = resolve_(action_->who).value_or(0);
  if (is_operation(action_->verb)) {
    operation_ = kernel_.client_checks.invoked(process_, *action_, kernel_.now);
    if (kernel_.trace.on()) {
      kernel_.trace.line(kernel_.now, "c{} invokes {}", process_, print(*action_));
    }
  }
  kernel_.queue.push({.at = kernel_.now + kernel_.options.client_timeout,
                      .payload = number_,
                      .epoch = serial_,
                      .kind = EventKind::client_timeout});
  choose_and_send();
}

void Client::choose_and_send() {
  if (const auto through = resolve_(action_->other)) return send(*through);
  // Stale reads go anywhere; all else to whoever answered last, with a look elsewhere now and then.
  const bool stale = is_read(action_->verb) && action_->level == Level::stale;
  const bool elsewhere = !leader_ || stale || prng_.chance(1, 20);
  const std::size_t any = prng_.below(kernel_.ghost.nodes.size());
  send(elsewhere ? any : *leader_);
}

Exchange Client::request() const {
  Exchange out;
  out.requester = number_;
  out.attempt = attempt_;
  out.operation = operation_;
  const Action& action = *action_;
  const auto key_target = [&](std::string_view query = {}) {
    const std::string& key = action.pairs.front().first;
    std::string target;
    target.reserve(kKeyPath.size() + key.size() + query.size());
    target.append(kKeyPath).append(key).append(query);
    return target;
  };
  switch (action.verb) {
    case Verb::put:
      if (action.pairs.size() == 1 && serial_ % 4 != 0) {
        out.method = "PUT";
        out.target = key_target();
        out.body = action.pairs.front().second;
      } else {
        out.method = "POST";
        out.target = "/key";
        for (const auto& [key, value] : action.pairs) {
          out.body += fmt::format("{}\"{}\":\"{}\"", out.body.empty() ? "{" : ",", key, value);
        }
        out.body += "}";
      }
      break;
    case Verb::get:
      out.method = "GET";
      out.target = key_target(level_text(action.level));
      break;
    case Verb::del:
      out.method = "DELETE";
      out.target = key_target();
      break;
    case Verb::remove:
      out.method = "DELETE";
      out.target = fmt::format("/members/n{}", to_remove_ + 1);
      break;
    case Verb::transfer:
      out.method = "POST";
      out.target = "/leader";
      out.body = fmt::format(R"({{"id":"n{}"}})", resolve_(action.who).value_or(0) + 1);
      break;
    default:
      CHECK(false, "no request");
  }
  return out;
}

void Client::send(std::size_t node) {
  ++attempt_;
  Exchange exchange = request();
  exchange.node = static_cast<Endpoint>(node);
  if (operation_ != kNoOperation) ++kernel_.client_checks.operation(operation_).attempts;
  kernel_.trace.line(kernel_.now, "c{} -> n{} {} {}", process_, node + 1, exchange.method,
                     exchange.target);
  send_request(kernel_, kernel_.network.clients(), std::move(exchange));
}

void Client::try_again() {
  redirects_ = 0;
  leader_.reset();
  kernel_.queue.push({.at = kernel_.now + prng_.between(kRetryMin, kRetryMax),
                      .payload = number_,
                      .epoch = attempt_,
                      .kind = EventKind::client_next});
}

void Client::on_next(std::uint32_t attempt) {
  if (action_ != nullptr && attempt == attempt_) choose_and_send();
}

void Client::on_timeout(std::uint32_t serial) {
  if (action_ == nullptr || serial != serial_) return;
  end(is_read(action_->verb) ? Outcome::fail : Outcome::info);
}

void Client::on_response(const Exchange& exchange) {
  if (action_ == nullptr || exchange.attempt != attempt_) return;
  kernel_.trace.line(kernel_.now, "c{} <- n{} {} {}", process_, exchange.node + 1, exchange.status,
                     exchange.response_body);
  const bool read = is_read(action_->verb);
  const bool absent = exchange.status == 404 && read;
  if (exchange.status == 200 || absent) {
    leader_ = exchange.node;
    take_answer(exchange);
    return end(Outcome::ok);
  }
  if (is_administration(action_->verb) && exchange.status != 307 && exchange.status != 503)
    return end(Outcome::ok);
  const std::string_view body = exchange.response_body;
  const bool nothing_happened = read || exchange.status == kRefused ||
                                body.find("\"outcome\":\"not_applied\"") != std::string_view::npos;
  if (!nothing_happened) return end(Outcome::info);
  if (operation_ != kNoOperation) kernel_.client_checks.refused(operation_);
  if (exchange.status == 307 && ++redirects_ <= kRedirectsMax) {
    std::string_view location = field(exchange.fields, "Location");
    if (location.starts_with("http://")) location.remove_prefix(7);
    if (const auto to = node_of_address(location); to && *to < kernel_.ghost.nodes.size()) {
      leader_ = *to;
      return send(*to);
    }
  }
  if (exchange.status >= 400 && exchange.status < 500) return end(Outcome::fail);
  try_again();
}

void Client::take_answer(const Exchange& exchange) {
  if (operation_ == kNoOperation) return;
  Operation& operation = kernel_.client_checks.operation(operation_);
  if (!is_read(action_->verb)) {
    operation.index = number_behind(exchange.response_body, "\"index\":");
    operation.deleted = exchange.response_body.find("\"deleted\":true") != std::string::npos;
  } else if (exchange.status == 200) {
    operation.index = number_behind(field(exchange.fields, "ETag"), "\"");
    operation.value = exchange.response_body;
  }
}

void Client::end(Outcome outcome) {
  last_outcome_ = outcome;
  if (operation_ != kNoOperation) {
    kernel_.client_checks.returned(operation_, outcome, kernel_.now);
    kernel_.trace.mix(static_cast<std::uint64_t>(outcome) + (std::uint64_t{operation_} << 8));
    if (kernel_.trace.on()) {
      kernel_.trace.line(kernel_.now, "c{} {} {}", process_,
                         outcome == Outcome::ok     ? "ok"
                         : outcome == Outcome::fail ? "fail"
                                                    : "info",
                         print(*action_));
    }
    // Nobody knows whether it is still under way: the process of the history never comes back.
    if (outcome == Outcome::info) process_ = processes_.next++;
  }
  action_ = nullptr;
  ++attempt_;
  if (!waiting_.empty()) begin();
}

}  // namespace raftkv::sim
