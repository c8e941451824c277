#include "tests/structure/rules.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <regex>

namespace raftkv::structure {
namespace {

// A row of the table of floors. An entry of `project` or `libraries` is a prefix of the included
// path.
struct Floor {
  std::string_view folder;
  std::vector<std::string_view> project;
  std::vector<std::string_view> libraries;
  bool posix = false;  // headers of the operating system: where the outside world is
};

const std::vector<Floor>& floors() {
  static const std::vector<Floor> kFloors = {
      {"src/base", {}, {"xxhash.h"}, false},
      {"src/raft", {"src/base/"}, {}, false},
      {"src/kv", {"src/base/"}, {}, false},
      {"src/replica", {"src/base/", "src/raft/", "src/kv/"}, {}, false},
      {"src/storage",
       {"src/base/", "src/raft/", "src/kv/", "src/replica/backup.h", "src/replica/ports.h",
        "src/replica/state_store.h"},
       {"leveldb/"},
       true},
      {"src/net",
       {"src/base/", "src/raft/", "src/replica/ports.h"},
       {"boost/asio", "boost/system/", "spdlog/"},
       true},
      {"src/http",
       {"src/base/", "src/raft/types.h", "src/kv/", "src/replica/"},
       {"boost/asio", "boost/system/", "boost/beast", "boost/json", "boost/url", "spdlog/"},
       true},
      {"src/app",
       {"src/"},
       {"boost/asio", "boost/system/", "boost/beast", "boost/json", "boost/url", "leveldb/", "CLI/",
        "spdlog/", "prometheus/"},
       true},
      {"sim",
       {"src/base/", "src/raft/", "src/kv/", "src/replica/", "src/storage/", "src/http/",
        "linearizability/"},
       {"leveldb/", "boost/json", "boost/url"},
       false},
      {"linearizability", {"src/base/"}, {"boost/json"}, false},
  };
  return kFloors;
}

// main.cc and cli/ of sim and linearizability: programs, which may use clocks, processes, files and
// CLI11.
bool is_program_part(std::string_view path) {
  for (const std::string_view folder : {"sim/", "linearizability/"}) {
    if (path.starts_with(folder)) {
      const std::string_view rest = path.substr(folder.size());
      return rest == "main.cc" || rest.starts_with("cli/");
    }
  }
  return false;
}

bool starts_with_any(std::string_view path, const std::vector<std::string_view>& prefixes) {
  return std::ranges::any_of(prefixes, [&](auto prefix) { return path.starts_with(prefix); });
}

bool is_inside(std::string_view path, std::string_view folder) {
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

const Floor* floor_of(std::string_view path) {
  for (const Floor& floor : floors()) {
    if (is_inside(path, floor.folder)) return &floor;
  }
  return nullptr;
}

struct Include {
  int line = 0;
  bool quoted = false;
  std::string target;
};

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::vector<Include> includes_of(std::string_view text) {
  static const std::regex kInclude(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"].*)");
  const std::string code = without_comments_and_literals(text);
  std::vector<Include> includes;
  int number = 0;
  for (const std::string_view line : lines_of(code)) {
    ++number;
    std::match_results<std::string_view::const_iterator> match;
    if (std::regex_match(line.begin(), line.end(), match, kInclude)) {
      includes.push_back({number, match[1] == "\"", match[2]});
    }
  }
  return includes;
}

bool is_standard_library(std::string_view target) {
  return target.find('.') == std::string_view::npos && target.find('/') == std::string_view::npos;
}

bool is_posix(std::string_view target) {
  return target.ends_with(".h") &&
         (target.find('/') == std::string_view::npos ||
          starts_with_any(target, {"sys/", "netinet/", "arpa/", "linux/", "net/"}));
}

bool is_project_path(std::string_view target) {
  return starts_with_any(target, {"src/", "sim/", "linearizability/", "tests/", "bench/"});
}

// Why the file `path` on this floor may not have this include; nullopt if it may.
std::optional<std::string> refusal(const Floor& floor, std::string_view path,
                                   const Include& include) {
  const std::string& target = include.target;
  const std::string folder(floor.folder);
  if (is_project_path(target)) {
    if (is_inside(target, floor.folder) || starts_with_any(target, floor.project)) return {};
    return folder + " may not include " + target;
  }
  if (include.quoted) return "write the path from the root, not " + target;
  if (is_standard_library(target) || target.starts_with("fmt/")) return {};
  if (starts_with_any(target, floor.libraries)) return {};
  if (is_program_part(path) && (target.starts_with("CLI/") || is_posix(target))) return {};
  if (floor.posix && is_posix(target)) return {};
  return folder + " may not use the library of <" + target + ">";
}

struct Ban {
  std::string_view what;
  std::regex pattern;
};

const std::vector<Ban>& bans() {
  static const auto pattern = [](const char* text) {
    return std::regex(text, std::regex::ECMAScript | std::regex::optimize);
  };
  static const std::vector<Ban> kBans = {
      {"a clock",
       pattern(R"(\b(steady_clock|system_clock|high_resolution_clock|utc_clock|file_clock)\b)")},
      {"a clock", pattern(R"(\b(clock_gettime|gettimeofday|localtime|gmtime|mktime|ftime)\b)")},
      {"a clock", pattern(R"(\b(std\s*::\s*|::\s*)(time|clock)\s*\()")},
      {"a clock", pattern(R"(#\s*include\s*<(ctime|time\.h|sys/time\.h)>)")},
      {"a thread",
       pattern(
           R"(\bstd\s*::\s*(thread|jthread|async|future|promise|this_thread|packaged_task)\b)")},
      {"a thread", pattern(R"(\b(pthread_\w+|thread_local|usleep|nanosleep)\b)")},
      {"a thread", pattern(R"(#\s*include\s*<(thread|future|stop_token|pthread\.h)>)")},
      {"a lock",
       pattern(
           R"(\bstd\s*::\s*(\w*mutex|lock_guard|unique_lock|shared_lock|scoped_lock|condition_variable\w*|call_once|once_flag|latch|barrier|counting_semaphore|binary_semaphore)\b)")},
      {"a lock",
       pattern(
           R"(#\s*include\s*<(mutex|shared_mutex|condition_variable|semaphore|latch|barrier)>)")},
      {"an atomic", pattern(R"(\bstd\s*::\s*atomic\w*|\b(__atomic|__sync)_\w+)")},
      {"an atomic", pattern(R"(#\s*include\s*<(atomic|stdatomic\.h)>)")},
      {"<random>",
       pattern(
           R"(\b(random_device|mt19937\w*|minstd_rand\w*|default_random_engine|\w+_distribution)\b)")},
      {"<random>", pattern(R"(#\s*include\s*<random>)")},
      {"<random>",
       pattern(
           R"(\bstd\s*::\s*(shuffle|sample)\b|\b(rand|srand|drand48|getrandom|getentropy)\s*\()")},
      {"<filesystem>", pattern(R"(\bstd\s*::\s*filesystem\b|#\s*include\s*<filesystem>)")},
      {"iostream",
       pattern(R"(\bstd\s*::\s*(cout|cerr|clog|cin)\b|#\s*include\s*<(iostream|fstream)>)")},
      {"the environment", pattern(R"(\b(secure_)?getenv\b)")},
      {"a container without a fixed order", pattern(R"(\bunordered_(multi)?(map|set)\b)")},
      {"std::hash", pattern(R"(\bstd\s*::\s*hash\b)")},
  };
  return kBans;
}

// Scans C++ text and blanks what is no code. The states are those of a tokenizer that knows only
// comments, literals and line ends.
class Blanker {
 public:
  explicit Blanker(std::string_view text) : text_(text), out_(text) {}

  std::string run() && {
    while (at_ < text_.size()) step();
    return std::move(out_);
  }

 private:
  void step() {
    if (line_starts() && skip_include()) return;
    if (looking_at("//")) return blank_until("\n", /*keep_end=*/true);
    if (looking_at("/*")) return blank_until("*/", /*keep_end=*/false);
    if (looking_at("R\"") && !after_word()) return blank_raw_string();
    if (text_[at_] == '"') return blank_literal('"');
    if (text_[at_] == '\'' && !after_digit()) return blank_literal('\'');
    ++at_;
  }

  [[nodiscard]] bool looking_at(std::string_view what) const {
    return text_.substr(at_).starts_with(what);
  }
  [[nodiscard]] bool line_starts() const { return at_ == 0 || text_[at_ - 1] == '\n'; }
  [[nodiscard]] bool after_word() const {
    return at_ > 0 &&
           (std::isalnum(static_cast<unsigned char>(text_[at_ - 1])) != 0 || text_[at_ - 1] == '_');
  }
  // 1'000'000: the quote separates digits.
  [[nodiscard]] bool after_digit() const {
    return at_ > 0 && std::isxdigit(static_cast<unsigned char>(text_[at_ - 1])) != 0 &&
           at_ + 1 < text_.size() && std::isxdigit(static_cast<unsigned char>(text_[at_ + 1])) != 0;
  }

  // An include's path is between quotes, but it is no literal.
  bool skip_include() {
    static const std::regex kStart(R"(^[ \t]*#[ \t]*include[ \t]*[<"][^>"\n]*[>"])");
    std::match_results<std::string_view::const_iterator> match;
    if (!std::regex_search(text_.begin() + static_cast<std::ptrdiff_t>(at_), text_.end(), match,
                           kStart, std::regex_constants::match_continuous)) {
      return false;
    }
    at_ += static_cast<std::size_t>(match.length());
    return true;
  }

  void blank_to(std::size_t end) {
    for (; at_ < end; ++at_) {
      if (text_[at_] != '\n') out_[at_] = ' ';
    }
  }
  void blank_until(std::string_view end, bool keep_end) {
    const std::size_t found = text_.find(end, at_ + 2);
    if (found == std::string_view::npos) return blank_to(text_.size());
    blank_to(keep_end ? found : found + end.size());
  }
  void blank_raw_string() {
    const std::size_t open = text_.find('(', at_);
    if (open == std::string_view::npos) return blank_to(text_.size());
    const std::string close = ")" + std::string(text_.substr(at_ + 2, open - at_ - 2)) + "\"";
    const std::size_t end = text_.find(close, open);
    blank_to(end == std::string_view::npos ? text_.size() : end + close.size());
  }
  void blank_literal(char quote) {
    std::size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != quote && text_[end] != '\n') {
      end += text_[end] == '\\' ? 2 : 1;
    }
    blank_to(std::min(end + 1, text_.size()));
  }

  std::string_view text_;
  std::string out_;
  std::size_t at_ = 0;
};

bool is_identifier(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// | a | b | to {"a", "b"}.
std::vector<std::string_view> cells_of(std::string_view line) {
  std::vector<std::string_view> cells;
  if (!line.starts_with('|')) return cells;
  line.remove_prefix(1);
  while (!line.empty()) {
    const std::size_t end = std::min(line.find('|'), line.size());
    cells.push_back(trimmed(line.substr(0, end)));
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return cells;
}

std::vector<Claim> claims_of(std::string_view cell) {
  static const std::regex kClaim(R"(`([^`]+)` in `([^`]+)`)");
  std::vector<Claim> claims;
  const std::string text(cell);
  for (std::sregex_iterator it(text.begin(), text.end(), kClaim), end; it != end; ++it) {
    claims.push_back({(*it)[1], (*it)[2]});
  }
  return claims;
}

// The target of a relative link in the page `path`, relative to the root; empty for other links.
std::string linked_file(std::string_view path, std::string_view target) {
  target = target.substr(0, target.find('#'));
  if (target.empty() || target.contains("://")) return {};
  std::string_view folder = path.substr(0, path.find_last_of('/') + 1);
  while (target.starts_with("../") && !folder.empty()) {
    target.remove_prefix(3);
    folder.remove_suffix(1);
    folder = folder.substr(0, folder.find_last_of('/') + 1);
  }
  return std::string(folder) + std::string(target);
}

}  // namespace

std::string without_comments_and_literals(std::string_view text) {
  return Blanker(text).run();
}

std::vector<Breach> include_breaches(std::string_view path, std::string_view text) {
  const Floor* floor = floor_of(path);
  if (floor == nullptr) {
    if (!path.starts_with("src/")) return {};
    return {{std::string(path), 1, "this folder of src stands on no floor: give it a row"}};
  }
  std::vector<Breach> breaches;
  for (const Include& include : includes_of(text)) {
    if (auto why = refusal(*floor, path, include)) {
      breaches.push_back({std::string(path), include.line, *std::move(why)});
    }
  }
  return breaches;
}

bool must_be_deterministic(std::string_view path) {
  if (is_program_part(path)) return false;
  return starts_with_any(
      path, {"src/base/", "src/raft/", "src/kv/", "src/replica/", "sim/", "linearizability/"});
}

std::vector<Breach> determinism_breaches(std::string_view path, std::string_view text) {
  if (!must_be_deterministic(path)) return {};
  std::vector<Breach> breaches;
  const std::string code = without_comments_and_literals(text);
  int number = 0;
  for (const std::string_view line : lines_of(code)) {
    ++number;
    for (const Ban& ban : bans()) {
      if (std::regex_search(line.begin(), line.end(), ban.pattern)) {
        breaches.push_back(
            {std::string(path), number, "deterministic code may not use " + std::string(ban.what)});
        break;
      }
    }
  }
  return breaches;
}

std::vector<Mention> mentions(std::string_view path, std::string_view text) {
  static const std::regex kLink(R"(\]\(([^)\s]+)\))");
  static const std::regex kFile(R"(`((?:src|sim|tests|docs|scripts)/[^`\s*]*\.[a-z]+)`)");
  std::vector<Mention> found;
  int number = 0;
  for (const std::string_view view : lines_of(text)) {
    ++number;
    const std::string line(view);
    const std::sregex_iterator end;
    for (std::sregex_iterator it(line.begin(), line.end(), kLink); it != end; ++it) {
      const std::string file = linked_file(path, (*it)[1].str());
      if (!file.empty()) found.push_back({number, file, ""});
    }
    for (std::sregex_iterator it(line.begin(), line.end(), kFile); it != end; ++it) {
      found.push_back({number, (*it)[1], ""});
    }
    for (const Claim& claim : claims_of(line)) {
      if (claim.file.starts_with("src/")) found.push_back({number, claim.file, claim.name});
    }
  }
  return found;
}

std::vector<Breach> machine_path_breaches(std::string_view path, std::string_view text) {
  // Written apart, or this file would be the first to breach.
  static const std::regex kMachinePath(
      "(^|[^A-Za-z0-9_./})-])/("
      "work|root|home|Users|mnt|workspace)"
      "/[A-Za-z0-9_.-]");
  std::vector<Breach> breaches;
  int number = 0;
  for (const std::string_view line : lines_of(text)) {
    ++number;
    if (std::regex_search(line.begin(), line.end(), kMachinePath)) {
      breaches.push_back({std::string(path), number, "this path exists only on one machine"});
    }
  }
  return breaches;
}

std::vector<NotesRow> notes_rows(std::string_view text) {
  std::vector<NotesRow> rows;
  int number = 0;
  bool in_table = false;
  for (const std::string_view line : lines_of(text)) {
    ++number;
    const std::vector<std::string_view> cells = cells_of(line);
    if (cells.size() != 4) {
      in_table = false;
      continue;
    }
    if (cells[0].starts_with("--")) {
      in_table = true;  // the ruler: rows follow
    } else if (in_table) {
      rows.push_back({number, claims_of(cells[2]), claims_of(cells[3])});
    }
  }
  return rows;
}

bool has_function(std::string_view text, std::string_view name) {
  // `Election::start()` and `start` alike are looked for as start(
  if (name.ends_with("()")) name.remove_suffix(2);
  if (const std::size_t colons = name.rfind("::"); colons != std::string_view::npos) {
    name.remove_prefix(colons + 2);
  }
  const std::string code = without_comments_and_literals(text);
  const std::string call = std::string(name) + "(";
  for (std::size_t at = code.find(call); at != std::string::npos; at = code.find(call, at + 1)) {
    if (at == 0 || !is_identifier(code[at - 1])) return true;
  }
  return false;
}

bool has_test(std::string_view file, std::string_view text, std::string_view name) {
  if (file.ends_with(".txt")) return text.find(name) != std::string_view::npos;
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos) return false;
  const std::regex declaration(
      R"((^|\n)(TEST|TEST_F|TEST_P|TYPED_TEST|RC_GTEST_PROP|RC_GTEST_FIXTURE_PROP)\(\s*)" +
      std::string(name.substr(0, dot)) + R"(,\s*)" + std::string(name.substr(dot + 1)) +
      R"(\s*[,)])");
  return std::regex_search(text.begin(), text.end(), declaration);
}

}  // namespace raftkv::structure
