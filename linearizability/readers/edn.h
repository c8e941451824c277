// A scanner of EDN (github.com/edn-format/edn): tokens of a text, comments, commas and `#_`
// discards left out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "linearizability/readers/token.h"

namespace raftkv::linearizability {

class EdnScanner {
 public:
  explicit EdnScanner(std::string_view text, std::uint32_t first_line = 1)
      : cursor_(text, first_line) {}

  [[nodiscard]] Token next();
  // The line of the next token's beginning, if called before next(); of the last one's end, after
  // it.
  [[nodiscard]] std::uint32_t line() const { return cursor_.line; }
  // Moves to the next token that is no comment, comma, space or discard. False: a discard that is
  // wrong.
  [[nodiscard]] bool skip_blank();
  // What is left, from the next token on.
  [[nodiscard]] std::string_view rest() const { return {cursor_.at, cursor_.left()}; }

  // Skips the rest of the value that begins with `first`. False if it does not end well.
  [[nodiscard]] bool skip(const Token& first, int depth = 0);
  // Appends the value that begins with `first`, spelled in one way only: single spaces, no commas,
  // members of sets and maps sorted, strings quoted by append_quoted. Two values are equal exactly
  // if their spellings are.
  [[nodiscard]] bool spell(std::string& out, const Token& first, int depth = 0);

 private:
  [[nodiscard]] Token dispatch();
  [[nodiscard]] Token word();
  [[nodiscard]] bool spell_sorted(std::string& out, const Token& first, int depth);
  [[nodiscard]] bool spell_sequence(std::string& out, const Token& first, int depth);

  Cursor cursor_;
  int discards_ = 0;
};

}  // namespace raftkv::linearizability
