#include "src/http/json_input.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <limits>

namespace raftkv::http {
namespace {

namespace json = boost::json;

// Called by Boost.JSON's parser for each part of the text. Its parse() would keep duplicate members
// silently.
class Handler {
 public:
  static constexpr std::size_t max_object_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_array_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_key_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_string_size = std::numeric_limits<std::size_t>::max();

  JsonMembers members;
  std::string refusal;

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code& error) {
    if (in_object_) return refuse(error, "a member is an object: every value must be a string");
    in_object_ = true;
    return true;
  }
  bool on_object_end(std::size_t, json::error_code&) { return true; }
  bool on_array_begin(json::error_code& error) { return refuse_value(error, "an array"); }
  bool on_array_end(std::size_t, json::error_code&) { return true; }
  bool on_key_part(json::string_view part, std::size_t, json::error_code&) { return append(part); }
  bool on_key(json::string_view part, std::size_t, json::error_code&) {
    append(part);
    key_ = std::move(text_);
    text_.clear();
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t, json::error_code&) {
    return append(part);
  }
  bool on_string(json::string_view part, std::size_t, json::error_code& error) {
    append(part);
    if (!in_object_) return refuse_value(error, "a string");
    members.emplace_back(std::move(key_), std::move(text_));
    text_.clear();
    return true;
  }
  bool on_number_part(json::string_view, json::error_code& error) { return on_number(error); }
  bool on_int64(std::int64_t, json::string_view, json::error_code& error) {
    return on_number(error);
  }
  bool on_uint64(std::uint64_t, json::string_view, json::error_code& error) {
    return on_number(error);
  }
  bool on_double(double, json::string_view, json::error_code& error) { return on_number(error); }
  bool on_bool(bool, json::error_code& error) { return refuse_value(error, "true or false"); }
  bool on_null(json::error_code& error) { return refuse_value(error, "null"); }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  bool append(json::string_view part) {
    text_.append(part.data(), part.size());
    return true;
  }
  bool on_number(json::error_code& error) { return refuse_value(error, "a number"); }
  bool refuse_value(json::error_code& error, std::string_view what) {
    if (!in_object_) {
      return refuse(error, "the body is " + std::string(what) + ": it must be an object");
    }
    return refuse(error, "a member is " + std::string(what) + ": every value must be a string");
  }
  bool refuse(json::error_code& error, std::string why) {
    refusal = std::move(why);
    error = json::error::syntax;
    return false;
  }

  bool in_object_ = false;
  std::string key_;
  std::string text_;
};

bool has_duplicates(const JsonMembers& members) {
  std::vector<std::string_view> names;
  names.reserve(members.size());
  for (const auto& [name, value] : members) names.push_back(name);
  std::ranges::sort(names);
  return std::ranges::adjacent_find(names) != names.end();
}

}  // namespace

std::expected<JsonMembers, std::string> parse_json_members(std::string_view text) {
  json::parse_options
      options;            // strict but for the depth: no comments, no trailing commas, valid UTF-8
  options.max_depth = 2;  // one more than is taken, so that the handler says what is wrong
  json::basic_parser<Handler> parser(options);
  json::error_code error;
  const std::size_t parsed = parser.write_some(false, text.data(), text.size(), error);
  if (!parser.handler().refusal.empty()) return std::unexpected(parser.handler().refusal);
  if (error) {
    return std::unexpected("no valid JSON at byte " + std::to_string(parsed) + ": " +
                           error.message());
  }
  if (parsed < text.size()) return std::unexpected("something follows the object");
  JsonMembers members = std::move(parser.handler().members);
  if (members.empty()) return std::unexpected("the object has no members");
  if (has_duplicates(members)) return std::unexpected("a member is there twice");
  return members;
}

}  // namespace raftkv::http
