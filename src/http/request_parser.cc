#include "src/http/request_parser.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <charconv>
#include <cstring>

#include "src/base/check.h"
#include "src/http/text.h"

namespace raftkv::http {
namespace {

namespace beast = boost::beast;

constexpr std::size_t kCapacityMin = 2048;          // of a connection that waits for a request
constexpr std::size_t kCapacityKept = 16384;        // more is given back after a request
constexpr std::size_t kCapacityBody = 64u << 10;    // least growth within a body
constexpr std::size_t kChunkLineMax = 256;          // size and extensions
constexpr std::uint64_t kBodySizeMax = 1ull << 40;  // no sum of these overflows
constexpr std::string_view kHostChars = "-._~!$&'()*+;=:[]%";

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// 1*DIGIT that fits; a sign, a list or a space is no number.
std::optional<std::uint64_t> parse_length(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || !is_digit(text[0]) || error != std::errc() ||
      end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

bool is_host(std::string_view host) {
  return std::ranges::all_of(host, [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kHostChars.find(c) != std::string_view::npos;
  });
}

// HTTP-version at the end of the request line, whatever its numbers.
bool ends_with_version(std::string_view line) {
  if (line.size() < 9) return false;
  const std::string_view version = line.substr(line.size() - 9);
  return version.starts_with(" HTTP/") && is_digit(version[6]) && version[7] == '.' &&
         is_digit(version[8]);
}

bool can_begin_method(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

// 1*HEXDIG [ ";" extensions ]. Extensions mean nothing here, but may not hide a line end.
std::optional<std::uint64_t> parse_chunk_line(std::string_view line) {
  std::uint64_t size = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), size, 16);
  if (error != std::errc() || line.starts_with('-') || size > kBodySizeMax) return std::nullopt;
  const std::string_view rest = line.substr(static_cast<std::size_t>(end - line.data()));
  if (!rest.empty() && rest.front() != ';') return std::nullopt;
  const bool controls = std::ranges::any_of(rest, [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  });
  return controls ? std::nullopt : std::optional(size);
}

}  // namespace

// Beast's parser over one whole header; keeps views of its parts.
class RequestParser::HeaderReader final : public beast::http::basic_parser<true> {
 public:
  explicit HeaderReader(RequestParser& parser) : parser_(parser) {
    header_limit(static_cast<std::uint32_t>(parser.limits_.header_size_max));
    body_limit(boost::none);
    skip(true);  // the body is read by the RequestParser
  }
  [[nodiscard]] int version() const { return version_; }

 private:
  using error_code = beast::error_code;
  using string_view = beast::string_view;

  void on_request_impl(beast::http::verb, string_view method, string_view target, int version,
                       error_code&) override {
    parser_.method_ = view(method);
    parser_.target_ = view(target);
    version_ = version;
  }
  void on_response_impl(int, string_view, int, error_code&) override {}
  void on_field_impl(beast::http::field, string_view name, string_view value,
                     error_code&) override {
    parser_.fields_.push_back({view(name), view(value)});
  }
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(string_view body, error_code&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, string_view body, error_code&) override {
    return body.size();
  }
  void on_finish_impl(error_code&) override {}

  RequestParser& parser_;
  int version_ = 0;
};

RequestParser::RequestParser(ParserLimits limits) : limits_(limits) {
  CHECK(limits_.header_size_max >= kCapacityMin);
}

RequestParser::State RequestParser::refuse(std::string_view code, std::string detail) {
  refusal_ = {code, std::move(detail)};
  return state_ = State::refused;
}

// --- memory ---

std::size_t RequestParser::wanted() const {
  if (state_ == State::header) {
    return std::clamp(2 * capacity_, kCapacityMin, std::max(limits_.header_size_max, size_ + 1));
  }
  // Grow with what has arrived, not with what was announced.
  const std::size_t doubled = std::max(2 * capacity_, capacity_ + kCapacityBody);
  if (chunked_) return doubled;
  return static_cast<std::size_t>(std::min<std::uint64_t>(doubled, header_size_ + body_size_));
}

std::span<char> RequestParser::prepare() {
  if (size_ == capacity_) grow(std::max(wanted(), size_ + 1));
  return {buffer_.get() + size_, capacity_ - size_};
}

void RequestParser::grow(std::size_t capacity) {
  auto larger = std::make_unique_for_overwrite<char[]>(capacity);
  if (size_ > 0) std::memcpy(larger.get(), buffer_.get(), size_);
  const auto moved = [&](std::string_view part) {
    return part.empty()
               ? part
               : std::string_view(larger.get() + (part.data() - buffer_.get()), part.size());
  };
  if (header_size_ > 0) {
    method_ = moved(method_);
    target_ = moved(target_);
    for (Field& field : fields_) field = {moved(field.name), moved(field.value)};
  }
  buffer_ = std::move(larger);
  capacity_ = capacity;
}

void RequestParser::next() {
  CHECK(state_ == State::complete);
  const std::size_t end = chunked_ ? raw_ : header_size_ + static_cast<std::size_t>(body_size_);
  const std::string_view rest = bytes().substr(end);
  if (capacity_ > kCapacityKept && rest.size() <= kCapacityKept) {
    auto smaller = std::make_unique_for_overwrite<char[]>(std::max(kCapacityMin, rest.size()));
    if (!rest.empty()) std::memcpy(smaller.get(), rest.data(), rest.size());
    capacity_ = std::max(kCapacityMin, rest.size());
    size_ = rest.size();
    buffer_ = std::move(smaller);
  } else {
    if (!rest.empty()) std::memmove(buffer_.get(), rest.data(), rest.size());
    size_ = rest.size();
  }
  state_ = State::header;
  scanned_ = line_begin_ = header_size_ = raw_ = 0;
  fields_.clear();
  keep_alive_ = http10_ = expects_continue_ = chunked_ = false;
  body_size_ = chunk_left_ = 0;
  body_size_max_ = SIZE_MAX;
  chunk_ = Chunk::size_line;
}

// --- parsing ---

RequestParser::State RequestParser::advance() {
  if (state_ == State::header) find_header_end();
  if (state_ == State::body) {
    if (chunked_) {
      advance_chunked();
    } else {
      advance_sized();
    }
  }
  return state_;
}

HttpRequest RequestParser::request() const {
  CHECK(header_size_ > 0);
  const auto body = state_ == State::complete
                        ? bytes().substr(header_size_, static_cast<std::size_t>(body_size_))
                        : std::string_view();
  return {method_, target_, fields_, body};
}

std::optional<std::uint64_t> RequestParser::content_length() const {
  return chunked_ ? std::nullopt : std::optional(body_size_);
}

void RequestParser::find_header_end() {
  if (size_ > 0 && !can_begin_method(buffer_[0])) {
    refuse("bad_request", "this is no HTTP request: it must begin with a method (no TLS here)");
    return;
  }
  while (state_ == State::header) {
    const std::size_t end = bytes().substr(0, limits_.header_size_max).find('\n', scanned_);
    if (end == std::string_view::npos) {
      scanned_ = std::min(size_, limits_.header_size_max);
      if (size_ < limits_.header_size_max) return;
      if (line_begin_ == 0) {
        refuse("target_too_long", "the request line is too long");
      } else {
        refuse("header_too_large", "the header must have at most " +
                                       std::to_string(limits_.header_size_max) + " bytes");
      }
      return;
    }
    if (take_line(end)) return parse_header();
  }
}

// Takes the line that the LF at `end` finishes. True: it was the empty one that finishes the
// header.
bool RequestParser::take_line(std::size_t end) {
  if (end == line_begin_ || buffer_[end - 1] != '\r') {
    refuse("bad_request", "a line ends in LF alone: it must end in CR LF");
    return false;
  }
  const std::size_t begin = line_begin_;
  line_begin_ = scanned_ = end + 1;
  if (end - begin == 1) {  // CR LF alone; the first line cannot be: it begins with a method
    header_size_ = end + 1;
    return true;
  }
  if (buffer_[begin] == ' ' || buffer_[begin] == '\t') {
    refuse("bad_request", "a field is folded over several lines");
  }
  return false;
}

void RequestParser::parse_header() {
  HeaderReader reader(*this);
  beast::error_code error;
  reader.put(boost::asio::const_buffer(buffer_.get(), header_size_), error);
  if (error == beast::http::error::bad_version) {
    std::string_view rest = bytes();
    const std::string_view line = cut(rest, '\r');
    refuse(ends_with_version(line) ? "unsupported_version" : "bad_request",
           "the request line must end in HTTP/1.0 or HTTP/1.1");
    return;
  }
  if (error) {
    refuse("bad_request", "the header is malformed: " + error.message());
    return;
  }
  if (!reader.is_header_done()) {
    refuse("bad_request", "the header is malformed");
    return;
  }
  if (check_message(reader, reader.version())) state_ = State::body;
}

bool RequestParser::check_message(const HeaderReader& reader, int version) {
  keep_alive_ = reader.keep_alive();
  http10_ = version == 10;
  if (!check_length(version) || !check_host(version) || !check_expectation(version)) return false;
  if (target_.size() <= limits_.target_size_max && !is_origin_form(target_)) {
    refuse("bad_target",
           "the target must start with / and have every other byte than letters, digits and "
           "-._~!$&'()*+,;=:@/? escaped as %XX");
    return false;
  }
  raw_ = header_size_;
  return true;
}

// What decides where the request ends.
bool RequestParser::check_length(int version) {
  int lengths = 0;
  int encodings = 0;
  for (const Field& field : fields_) {
    if (equals_ignoring_case(field.name, "Content-Length")) {
      ++lengths;
      const auto length = parse_length(field.value);
      if (!length || lengths > 1) {
        refuse("bad_request", "there must be one Content-Length, and it must be a number");
        return false;
      }
      if (*length > kBodySizeMax) {
        refuse("body_too_large", "the body is too large for any limit");
        return false;
      }
      body_size_ = *length;
    } else if (equals_ignoring_case(field.name, "Transfer-Encoding")) {
      ++encodings;
      if (version != 11 || encodings > 1 || !equals_ignoring_case(field.value, "chunked")) {
        refuse("bad_request",
               "the only Transfer-Encoding is a single chunked, and only on HTTP/1.1");
        return false;
      }
    }
  }
  if (lengths > 0 && encodings > 0) {
    refuse("bad_request", "Content-Length and Transfer-Encoding exclude each other");
    return false;
  }
  chunked_ = encodings > 0;
  return true;
}

bool RequestParser::check_host(int version) {
  const auto is_host_field = [](const Field& field) {
    return equals_ignoring_case(field.name, "Host");
  };
  const auto hosts = std::ranges::count_if(fields_, is_host_field);
  if (hosts > 1 || (hosts == 0 && version == 11)) {
    refuse("bad_request", "there must be one Host field");
    return false;
  }
  if (hosts == 1 && !is_host(std::ranges::find_if(fields_, is_host_field)->value)) {
    refuse("bad_request", "the Host field is malformed");
    return false;
  }
  return true;
}

bool RequestParser::check_expectation(int version) {
  for (const Field& field : fields_) {
    if (!equals_ignoring_case(field.name, "Expect")) continue;
    if (!equals_ignoring_case(field.value, "100-continue")) {
      refuse("expectation_failed", "the only expectation that can be met is 100-continue");
      return false;
    }
    expects_continue_ = version == 11;  // HTTP/1.0 knows no 100 (RFC 9110, 10.1.1)
  }
  return true;
}

void RequestParser::limit_body(std::size_t size_max) {
  CHECK(state_ == State::body);
  body_size_max_ = size_max;
  if (body_size_ + chunk_left_ > body_size_max_) {
    refuse("body_too_large", "the body must have at most " + std::to_string(size_max) + " bytes");
  }
}

void RequestParser::advance_sized() {
  if (size_ - header_size_ >= body_size_) state_ = State::complete;
}

// Decodes in place: the data moves down over the framing, and what is not decoded yet behind it.
void RequestParser::advance_chunked() {
  bool more = true;
  while (more && state_ == State::body) {
    switch (chunk_) {
      case Chunk::size_line:
        more = take_chunk_line();
        break;
      case Chunk::data:
        more = take_chunk_data();
        break;
      case Chunk::data_end:
      case Chunk::last_end:
        more = take_chunk_end();
        break;
    }
  }
  if (state_ != State::body) return;
  const std::size_t decoded = header_size_ + static_cast<std::size_t>(body_size_);
  std::memmove(buffer_.get() + decoded, buffer_.get() + raw_, size_ - raw_);
  size_ -= raw_ - decoded;
  raw_ = decoded;
}

bool RequestParser::take_chunk_line() {
  const std::string_view rest = bytes().substr(raw_, kChunkLineMax);
  const std::size_t end = rest.find('\n');
  if (end == std::string_view::npos) {
    if (rest.size() == kChunkLineMax) refuse("bad_request", "the line of a chunk is too long");
    return false;
  }
  const bool crlf = end > 0 && rest[end - 1] == '\r';
  const auto size = crlf ? parse_chunk_line(rest.substr(0, end - 1)) : std::nullopt;
  if (!size) {
    refuse("bad_request", "a chunk must begin with its size in hexadecimal digits and CR LF");
    return false;
  }
  raw_ += end + 1;
  chunk_left_ = *size;
  limit_body(body_size_max_);
  chunk_ = *size == 0 ? Chunk::last_end : Chunk::data;
  return state_ == State::body;
}

bool RequestParser::take_chunk_data() {
  const auto here = static_cast<std::size_t>(std::min<std::uint64_t>(chunk_left_, size_ - raw_));
  std::memmove(buffer_.get() + header_size_ + body_size_, buffer_.get() + raw_, here);
  raw_ += here;
  body_size_ += here;
  chunk_left_ -= here;
  if (chunk_left_ == 0) chunk_ = Chunk::data_end;
  return chunk_left_ == 0;
}

// The CR LF behind a chunk's data, or the empty trailer section behind the last chunk.
bool RequestParser::take_chunk_end() {
  const std::string_view rest = bytes().substr(raw_, 2);
  if (rest != std::string_view("\r\n").substr(0, rest.size())) {
    refuse("bad_request", chunk_ == Chunk::last_end
                              ? "trailer fields are not taken"
                              : "the data of a chunk must be followed by CR LF");
    return false;
  }
  if (rest.size() < 2) return false;
  raw_ += 2;
  if (chunk_ == Chunk::last_end) state_ = State::complete;
  chunk_ = Chunk::size_line;
  return true;
}

}  // namespace raftkv::http
