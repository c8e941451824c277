// A scanner of JSON (RFC 8259) for lines of histories: tokens of a text. Values are spelled as EDN
// values are, so that the same history has the same values in either form.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "linearizability/readers/token.h"

namespace raftkv::linearizability {

class JsonScanner {
 public:
  explicit JsonScanner(std::string_view text, std::uint32_t first_line = 1)
      : cursor_(text, first_line) {}

  [[nodiscard]] Token next();
  [[nodiscard]] std::uint32_t line() const { return cursor_.line; }
  [[nodiscard]] std::string_view rest() const { return {cursor_.at, cursor_.left()}; }

  // Skips the rest of the value that begins with `first`. False if it does not end well.
  [[nodiscard]] bool skip(const Token& first, int depth = 0);
  // Appends the value that begins with `first` as EdnScanner::spell does: arrays as vectors, null
  // as nil.
  [[nodiscard]] bool spell(std::string& out, const Token& first, int depth = 0);

  // The members of an object or array whose bracket was just read: the token of the next key or
  // element, or `close`. `first` says whether none was read before. Of a key the colon is read,
  // too.
  [[nodiscard]] Token next_key(bool first);
  [[nodiscard]] Token next_element(bool first);

 private:
  [[nodiscard]] Token word();

  Cursor cursor_;
};

}  // namespace raftkv::linearizability
