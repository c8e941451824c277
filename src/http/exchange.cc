#include "src/http/exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "src/base/check.h"
#include "src/http/resource.h"
#include "src/http/text.h"

namespace raftkv::http {
namespace {

constexpr std::size_t kSmallBody = 64u << 10;

}  // namespace

void append_response(Output& out, HttpResponse&& response, std::string_view connection,
                     std::string_view date_line, bool chunked) {
  std::string head = "HTTP/1.1 ";
  head.reserve(256 + response.fields.size());
  append_number(head, static_cast<std::uint64_t>(response.status));
  head += ' ';
  head += reason_phrase(response.status);
  head += "\r\n";
  head += date_line;
  head += response.fields;
  if (!response.body_follows) {
    head += "Content-Length: ";
    append_number(head, response.content_length);
    head += "\r\n";
  } else if (chunked) {
    head += "Transfer-Encoding: chunked\r\n";
  }
  if (!connection.empty()) {
    head += "Connection: ";
    head += connection;
    head += "\r\n";
  }
  head += "\r\n";
  out.append(head);
  out.append_body(std::move(response.body));
}

Exchange::Exchange(const Router& router, const ExchangeLimits& limits, Submitter& submitter,
                   const std::string& date_line)
    : router_(router),
      limits_(limits),
      submitter_(submitter),
      date_line_(date_line),
      parser_(limits.parser) {}

// --- events ---

void Exchange::received(std::size_t size) {
  parser_.commit(size);
  pump();
}

// Input is read only while the last request has not arrived whole: what is there of it is lost.
void Exchange::end_of_input() {
  closing_ = true;
}

void Exchange::answer(std::uint64_t number, replica::Reply&& reply) {
  CHECK(number >= first_number_ && number - first_number_ < pending_.size());
  Pending& pending = pending_[number - first_number_];
  CHECK(!pending.done, "a request is answered once");
  pending.response = router_.respond(pending.context, std::move(reply));
  pending.done = true;
  waiting_bytes_ += pending.response.body.size();
  flush_done();
  pump();
}

void Exchange::body(std::string&& piece) {
  CHECK(wants_body());
  body_follows_ = !piece.empty();
  if (chunked_) output_.append(fmt::format("{:x}\r\n", piece.size()));
  output_.append_body(std::move(piece));
  if (chunked_) output_.append("\r\n");
}

void Exchange::refuse(std::string_view code, std::string_view detail) {
  if (closing_) return;
  ++refusals_;
  finish_with(router_.refuse(code, detail));
}

void Exchange::sent(std::size_t size) {
  output_.consume(size);
  pump();
}

void Exchange::finish() {
  if (closing_) return;
  if (!parser_.idle()) return refuse("stopping", "the node is on its way out");
  closing_ = true;
  if (!pending_.empty()) pending_.back().close = true;
}

// --- what it waits for ---

bool Exchange::has_room() const {
  return pending_.size() < limits_.pipelined_max && output_.size() < limits_.output_bytes_max;
}

bool Exchange::reads() const {
  const bool incomplete = parser_.state() == RequestParser::State::header ||
                          parser_.state() == RequestParser::State::body;
  return !closing_ && incomplete && has_room();
}

Exchange::Phase Exchange::phase() const {
  if (!output_.empty()) return Phase::output;
  if (!pending_.empty() || body_follows_) return Phase::node;
  if (closing_) return Phase::closed;
  if (parser_.idle()) return Phase::idle;
  return parser_.state() == RequestParser::State::body ? Phase::body : Phase::header;
}

// --- starting requests ---

// Starts as many requests as may be started now. A node that answers at once calls answer() from
// within.
void Exchange::pump() {
  if (std::exchange(pumping_, true)) return;
  bool more = true;
  while (more && !closing_ && has_room()) {
    switch (parser_.advance()) {
      case RequestParser::State::header:
        more = false;
        break;
      case RequestParser::State::body:
        admit_body();
        more = parser_.state() == RequestParser::State::refused;
        break;
      case RequestParser::State::complete:
        more = start_whole_request();
        break;
      case RequestParser::State::refused:
        refuse(parser_.refusal().code, parser_.refusal().detail);
        break;
    }
  }
  pumping_ = false;
}

bool Exchange::start_whole_request() {
  const HttpRequest request = parser_.request();
  const bool read = is_read(request.method);
  if (!pending_.empty() && (writing_ || !read)) return false;
  ++requests_;
  Pending pending;
  pending.close = !parser_.keep_alive();
  pending.http10 = parser_.http10();
  closing_ = pending.close;
  auto routed = router_.route(request);
  if (auto* response = std::get_if<HttpResponse>(&routed)) {
    pending.response = std::move(*response);
    parser_.next();
    push_done(std::move(pending));
  } else {
    auto& [to_node, context] = std::get<Routed>(routed);
    // What is long takes a connection of its own: nothing waits behind it.
    if (context.kind == Context::Kind::backup) closing_ = pending.close = true;
    pending.context = std::move(context);
    writing_ = !read;
    parser_.next();
    pending_.push_back(std::move(pending));
    submitter_.submit(first_number_ + pending_.size() - 1, std::move(to_node));
  }
  admitted_ = false;
  return true;
}

// Decides once, when the header is known and the body is still to come. A small body of a request
// that fails is read all the same: then the connection stays usable.
void Exchange::admit_body() {
  if (std::exchange(admitted_, true)) return;
  const HttpRequest request = parser_.request();
  const auto length = parser_.content_length();
  if (parser_.expects_continue() || length.value_or(0) > kSmallBody) {
    if (auto refused = router_.refuse_early(request, length)) {
      ++refusals_;
      return finish_with(std::move(*refused));
    }
  }
  parser_.limit_body(std::max(router_.body_size_max(request), kSmallBody));
  if (parser_.state() != RequestParser::State::body || !parser_.expects_continue()) return;
  Pending proceed;
  proceed.interim = true;
  push_done(std::move(proceed));
}

// --- answers, in order ---

void Exchange::finish_with(HttpResponse&& response) {
  closing_ = true;
  Pending last;
  last.close = true;
  last.response = std::move(response);
  push_done(std::move(last));
}

void Exchange::push_done(Pending&& pending) {
  pending.done = true;
  waiting_bytes_ += pending.response.body.size();
  pending_.push_back(std::move(pending));
  flush_done();
}

void Exchange::flush_done() {
  std::size_t done = 0;
  for (; done < pending_.size() && pending_[done].done; ++done) write(pending_[done]);
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(done));
  first_number_ += done;
  if (pending_.empty()) writing_ = false;
}

void Exchange::write(Pending& pending) {
  if (pending.interim) return output_.append("HTTP/1.1 100 Continue\r\n\r\n");
  waiting_bytes_ -= pending.response.body.size();
  std::string_view connection;
  if (pending.close) {
    connection = "close";
  } else if (pending.http10) {
    connection = "keep-alive";
  }
  body_follows_ = pending.response.body_follows;
  chunked_ = !pending.http10;
  append_response(output_, std::move(pending.response), connection, date_line_, chunked_);
}

}  // namespace raftkv::http
