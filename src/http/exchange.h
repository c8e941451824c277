// Exchange: what happens on one connection. Bytes come in, requests go to the node, its replies
// become responses in the order of the requests. Pure: the server adds the socket and the timeouts,
// tests and the fuzzer add nothing.
//
// Pipelining: a request that changes something is started only when all before it are answered, and
// none is started before it is answered; reads run side by side (RFC 9112, 9.3.2). After an answer
// that closes nothing more is read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/http/output.h"
#include "src/http/request_parser.h"
#include "src/http/router.h"
#include "src/replica/request.h"

namespace raftkv::http {

struct ExchangeLimits {
  ParserLimits parser;
  std::size_t pipelined_max = 64;  // requests that wait for the node
  std::size_t output_bytes_max = 64u
                                 << 10;  // waiting for the client: above it no request is started
};

// Takes the requests of an exchange. The reply comes to Exchange::answer with the same number,
// later or within.
struct Submitter {
  virtual ~Submitter() = default;
  virtual void submit(std::uint64_t number, replica::Request request) = 0;
};

// The status line, the fields, the framing and the body. `date_line`: "Date: …\r\n" or empty. A
// body that follows is chunked if the client understands that; else the connection's end is its
// end.
void append_response(Output& out, HttpResponse&& response, std::string_view connection,
                     std::string_view date_line, bool chunked = true);

class Exchange {
 public:
  // What the connection is waiting for; each has its timeout.
  enum class Phase : std::uint8_t {
    idle,    // for a request
    header,  // for the rest of a header
    body,    // for the rest of a body
    node,    // for the node
    output,  // for the client to take what it asked for
    closed,  // nothing more comes: close once the output is sent
  };

  // All must outlive it. `date_line` may change between calls.
  Exchange(const Router& router, const ExchangeLimits& limits, Submitter& submitter,
           const std::string& date_line);

  // Room for input, and then how much of it was filled. Only while reads().
  [[nodiscard]] std::span<char> prepare() { return parser_.prepare(); }
  void received(std::size_t size);
  // The client will send nothing more: answers what came whole, then closes.
  void end_of_input();
  // The node's reply to a submitted request.
  void answer(std::uint64_t number, replica::Reply&& reply);
  // Answers what has begun to arrive with this problem, behind all earlier answers, and closes.
  void refuse(std::string_view code, std::string_view detail);
  // A body that follows its head: the next piece, empty behind the last. Only while wants_body().
  void body(std::string&& piece);
  // Some output was sent: there may be room to go on.
  void sent(std::size_t size);
  // Closes after the requests that have been started; an idle one at once.
  void finish();

  [[nodiscard]] Output& output() { return output_; }
  [[nodiscard]] bool reads() const;
  // A body is being sent, and all of it that was there is gone.
  [[nodiscard]] bool wants_body() const { return body_follows_ && output_.empty(); }
  [[nodiscard]] Phase phase() const;
  // Bytes of memory that its input and output hold.
  [[nodiscard]] std::size_t memory() const {
    return parser_.capacity() + output_.size() + waiting_bytes_;
  }
  // Whole requests so far, and refusals by the exchange itself.
  [[nodiscard]] std::uint64_t requests() const { return requests_; }
  [[nodiscard]] std::uint64_t refusals() const { return refusals_; }

 private:
  // A request that has been started, or something to send in its place.
  struct Pending {
    Context context;
    bool done = false;
    bool close = false;
    bool http10 = false;
    bool interim = false;  // 100 Continue: no answer of its own
    HttpResponse response;
  };

  void pump();
  bool start_whole_request();
  void admit_body();
  void finish_with(HttpResponse&& response);
  void push_done(Pending&& pending);
  void flush_done();
  void write(Pending& pending);
  [[nodiscard]] bool has_room() const;

  const Router& router_;
  const ExchangeLimits& limits_;
  Submitter& submitter_;
  const std::string& date_line_;

  RequestParser parser_;
  Output output_;
  std::vector<Pending> pending_;    // in the order of their requests
  std::uint64_t first_number_ = 0;  // of pending_.front()
  std::size_t waiting_bytes_ = 0;   // of responses that wait for earlier ones
  bool writing_ = false;            // the request under way changes something: it goes alone
  bool admitted_ = false;           // the body that is arriving has been admitted
  bool closing_ = false;            // starts nothing more
  bool body_follows_ = false;       // of the answer before, which is the last
  bool chunked_ = false;            // that body
  bool pumping_ = false;
  std::uint64_t requests_ = 0;
  std::uint64_t refusals_ = 0;
};

}  // namespace raftkv::http
