// RequestParser: bytes of one connection to requests, one after the other (RFC 9112). Pure: it owns
// the bytes, but knows no socket. Beast parses the header; what Beast forgives and a proxy in front
// might read differently is refused here: a disagreement on where a request ends lets one client's
// bytes become another's request.
//
// Refused: lines that end in a bare LF, folded lines, anything before the request line; several
// Host fields, a malformed one, none on HTTP/1.1; several Content-Length fields, a list in one, one
// beside Transfer-Encoding; any Transfer-Encoding but one `chunked` on HTTP/1.1; a target that is
// no valid origin-form; in a chunked body sizes with spaces, controls in extensions, and trailer
// fields.
//
// Use: fill prepare(), commit(), advance() until it says what to do; request() when it is complete;
// next().
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/http/router.h"

namespace raftkv::http {

struct ParserLimits {
  std::size_t header_size_max = 16384;  // request line and fields; at least 2048
  std::size_t target_size_max = 8192;   // longer ones are left to the router's 414
};

class RequestParser {
 public:
  enum class State : std::uint8_t {
    header,    // not yet whole: read more
    body,      // header known (request(), without body), body not yet whole: read more
    complete,  // request() until next()
    refused,   // refusal(): answer it and close
  };
  struct Refused {
    std::string_view code;  // of problem_kinds()
    std::string detail;
  };

  explicit RequestParser(ParserLimits limits);

  // Room for more bytes, at least one. May move the bytes: views of request() taken before are
  // gone.
  [[nodiscard]] std::span<char> prepare();
  // So many bytes of it have been filled.
  void commit(std::size_t size) { size_ += size; }
  // Parses as far as the bytes reach. Does nothing in states complete and refused.
  State advance();
  // Forgets the complete request; bytes behind it are the next one's beginning.
  void next();

  [[nodiscard]] State state() const { return state_; }
  // In states body and complete. Valid until prepare() or next().
  [[nodiscard]] HttpRequest request() const;
  [[nodiscard]] const Refused& refusal() const { return refusal_; }
  // nullopt: chunked. From state body on.
  [[nodiscard]] std::optional<std::uint64_t> content_length() const;
  [[nodiscard]] bool keep_alive() const { return keep_alive_; }
  [[nodiscard]] bool http10() const { return http10_; }
  [[nodiscard]] bool expects_continue() const { return expects_continue_; }
  // A body above this is refused with body_too_large, at once or as soon as a chunk announces it.
  // In state body only.
  void limit_body(std::size_t size_max);
  // Nothing of a next request has arrived.
  [[nodiscard]] bool idle() const { return state_ == State::header && size_ == 0; }
  // Bytes of memory that it holds for input.
  [[nodiscard]] std::size_t capacity() const { return capacity_; }

 private:
  class HeaderReader;

  State refuse(std::string_view code, std::string detail);
  void find_header_end();
  bool take_line(std::size_t end);
  void parse_header();
  bool check_message(const HeaderReader& reader, int version);
  bool check_length(int version);
  bool check_host(int version);
  bool check_expectation(int version);
  void advance_sized();
  void advance_chunked();
  bool take_chunk_line();
  bool take_chunk_data();
  bool take_chunk_end();
  void grow(std::size_t capacity);
  [[nodiscard]] std::size_t wanted() const;
  [[nodiscard]] std::string_view bytes() const { return {buffer_.get(), size_}; }

  enum class Chunk : std::uint8_t { size_line, data, data_end, last_end };

  ParserLimits limits_;
  std::unique_ptr<char[]> buffer_;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;  // bytes that have arrived

  State state_ = State::header;
  Refused refusal_;
  // While the header is incomplete.
  std::size_t scanned_ = 0;     // no line ends before this but those that were taken
  std::size_t line_begin_ = 0;  // of the line that is not yet whole
  // From then on.
  std::size_t header_size_ = 0;
  std::string_view method_;
  std::string_view target_;
  std::vector<Field> fields_;
  bool keep_alive_ = false;
  bool http10_ = false;
  bool expects_continue_ = false;
  bool chunked_ = false;
  std::uint64_t body_size_ =
      0;  // announced by Content-Length, or decoded so far; it starts behind the header
  std::size_t body_size_max_ = SIZE_MAX;
  // Chunked only.
  Chunk chunk_ = Chunk::size_line;
  std::uint64_t chunk_left_ = 0;  // bytes of data that the current chunk still has
  std::size_t raw_ = 0;           // where the bytes that are not yet decoded begin
};

}  // namespace raftkv::http
