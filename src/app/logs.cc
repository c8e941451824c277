#include "src/app/logs.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <memory>

namespace raftkv::app {
namespace {

// 2026-11-22T12:55:26.025Z
std::string utc(spdlog::log_clock::time_point time) {
  const auto since = time.time_since_epoch();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(since).count() % 1000;
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(spdlog::log_clock::to_time_t(time)),
                     ms);
}

std::string_view view(spdlog::string_view_t text) {
  return {text.data(), text.size()};
}

class LineFormatter final : public spdlog::formatter {
 public:
  explicit LineFormatter(bool json) : json_(json) {}

  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    const std::string time = utc(message.time);
    const std::string_view level = view(spdlog::level::to_string_view(message.level));
    const std::string line = json_ ? json_line(time, level, view(message.payload))
                                   : fmt::format("{} {:<7} {}", time, level, view(message.payload));
    out.append(line.data(), line.data() + line.size());
    out.push_back('\n');
  }
  [[nodiscard]] std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<LineFormatter>(json_);
  }

 private:
  bool json_;
};

void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out.push_back(c);
    }
  }
}

void append_member(std::string& out, std::string_view key, std::string_view value) {
  out += out.empty() ? "{\"" : ",\"";
  append_escaped(out, key);
  out += "\":\"";
  append_escaped(out, value);
  out += '"';
}

// Takes the value at the front of `rest`, with the blank behind it. Understands what quoted() made.
std::string take_value(std::string_view& rest) {
  if (!rest.starts_with('"')) {
    const std::string value(rest.substr(0, rest.find(' ')));
    rest.remove_prefix(std::min(rest.size(), value.size() + 1));
    return value;
  }
  std::string value;
  std::size_t at = 1;
  for (; at < rest.size() && rest[at] != '"'; ++at) {
    if (rest[at] == '\\' && at + 1 < rest.size()) ++at;
    value.push_back(rest[at]);
  }
  rest.remove_prefix(std::min(rest.size(), at + 2));
  return value;
}

}  // namespace

void set_up_logs(bool json, const std::string& level) {
  auto logger =
      std::make_shared<spdlog::logger>("raftkv", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_formatter(std::make_unique<LineFormatter>(json));
  logger->set_level(spdlog::level::from_str(level));
  spdlog::set_default_logger(std::move(logger));
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  append_escaped(out, text);
  return out + '"';
}

std::string json_line(std::string_view time, std::string_view level, std::string_view line) {
  std::string out;
  std::string message;
  append_member(out, "time", time);
  append_member(out, "level", level);
  while (!line.empty()) {
    const std::size_t blank = std::min(line.find(' '), line.size());
    const std::size_t equals = line.substr(0, blank).find('=');
    if (equals == std::string_view::npos || equals == 0) {
      message += (message.empty() ? "" : " ") + std::string(line.substr(0, blank));
      line.remove_prefix(std::min(line.size(), blank + 1));
      continue;
    }
    const std::string_view key = line.substr(0, equals);
    line.remove_prefix(equals + 1);
    append_member(out, key, take_value(line));
  }
  if (!message.empty()) append_member(out, "message", message);
  return out + '}';
}

}  // namespace raftkv::app
