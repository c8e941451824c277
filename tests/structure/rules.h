// The two rules of the source tree that are enforced, as pure functions over a file's path and
// text: the floors (docs/architecture.md, design section 2) and determinism (section 10). A third
// keeps paths of somebody's machine out of the repository.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace raftkv::structure {

// One line that breaks a rule. `why` is a sentence for the person who wrote the line.
struct Breach {
  std::string path;
  int line = 0;  // from 1
  std::string why;

  bool operator==(const Breach&) const = default;
};

// The text with comments, and with the contents of string and character literals, replaced by
// spaces; lines stay where they are. Raw strings are understood. Include lines keep their path.
[[nodiscard]] std::string without_comments_and_literals(std::string_view text);

// Checks every #include line of the file `path` (relative to the root, '/' between folders) against
// the row of its folder. A file in src/ whose folder has no row breaches, too: a new folder needs a
// decision. Folders that may include anything (tests, bench) never breach.
[[nodiscard]] std::vector<Breach> include_breaches(std::string_view path, std::string_view text);

// True where design section 10 holds: floors 0 to 2, and sim and linearizability but for their
// main.cc and cli/.
[[nodiscard]] bool must_be_deterministic(std::string_view path);

// Finds what section 10 forbids: clocks, threads, locks, atomics, <random>, files, iostream, the
// environment, and containers whose order is not fixed. Empty if `path` need not be deterministic.
[[nodiscard]] std::vector<Breach> determinism_breaches(std::string_view path,
                                                       std::string_view text);

// Finds absolute paths that exist only on somebody's machine: home directories and work
// directories.
[[nodiscard]] std::vector<Breach> machine_path_breaches(std::string_view path,
                                                        std::string_view text);

// Checks the table of docs/raft-notes.md. A row is
//   | rule | where in the paper | `function` in `src/raft/file.cc` | `Suite.Name` in
//   `tests/raft/file.cc` |
// and a cell may name several such pairs, separated by commas. The third column's functions must
// occur in their files as a name followed by "(", the fourth's as a TEST, TEST_F, TEST_P,
// RC_GTEST_PROP or RC_GTEST_FIXTURE_PROP; a test in a .txt file must occur there as text. `read`
// returns a file's text, or an empty string if there is no such file. A table without rows
// breaches.
template <typename Read>
[[nodiscard]] std::vector<Breach> notes_breaches(std::string_view path, std::string_view text,
                                                 Read read);

// What one row of that table claims.
struct Claim {
  std::string name;
  std::string file;
};
struct NotesRow {
  int line = 0;
  std::vector<Claim> functions;
  std::vector<Claim> tests;
};

// The rows of all four-column tables in `text`, without header and ruler lines.
[[nodiscard]] std::vector<NotesRow> notes_rows(std::string_view text);

// Whether `name` is defined or called in a file with this text, as a function or as a test.
[[nodiscard]] bool has_function(std::string_view text, std::string_view name);
[[nodiscard]] bool has_test(std::string_view file, std::string_view text, std::string_view name);

// What a page of docs/ names: a file of the repository, as the target of a relative link or in
// backticks below one of its folders; or a function, as `name` in `src/raft/file.cc`.
struct Mention {
  int line = 0;
  std::string file;      // relative to the root
  std::string function;  // empty: only the file is named
};
[[nodiscard]] std::vector<Mention> mentions(std::string_view path, std::string_view text);

// Finds mentions of files and functions that are not there. `read` as above.
template <typename Read>
[[nodiscard]] std::vector<Breach> mention_breaches(std::string_view path, std::string_view text,
                                                   Read read) {
  std::vector<Breach> breaches;
  for (const Mention& mention : mentions(path, text)) {
    const std::string found = read(mention.file);
    if (found.empty()) {
      breaches.push_back({std::string(path), mention.line, "there is no " + mention.file});
    } else if (!mention.function.empty() && !has_function(found, mention.function)) {
      breaches.push_back({std::string(path), mention.line,
                          "there is no function " + mention.function + " in " + mention.file});
    }
  }
  return breaches;
}

template <typename Read>
std::vector<Breach> notes_breaches(std::string_view path, std::string_view text, Read read) {
  std::vector<Breach> breaches;
  const auto breach = [&](int line, std::string why) {
    breaches.push_back({std::string(path), line, std::move(why)});
  };
  const std::vector<NotesRow> rows = notes_rows(text);
  if (rows.empty()) breach(1, "has no rows");
  for (const NotesRow& row : rows) {
    if (row.functions.empty()) breach(row.line, "the row names no function and file");
    if (row.tests.empty()) breach(row.line, "the row names no test and file");
    for (const Claim& claim : row.functions) {
      if (!has_function(read(claim.file), claim.name)) {
        breach(row.line, "there is no function " + claim.name + " in " + claim.file);
      }
    }
    for (const Claim& claim : row.tests) {
      if (!has_test(claim.file, read(claim.file), claim.name)) {
        breach(row.line, "there is no test " + claim.name + " in " + claim.file);
      }
    }
  }
  return breaches;
}

}  // namespace raftkv::structure
