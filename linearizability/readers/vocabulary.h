// The words that histories use for functions, and what they give away about the model.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "linearizability/history.h"

namespace raftkv::linearizability {

// What a word asks for. `pairs` is a write of one key, or of several at once.
enum class Verb : std::uint8_t {
  read,
  get,
  write,
  put,
  pairs,
  cas,
  append,
  erase,
  remove,
  add,
  contains,
  acquire,
  release,
  transaction,
};

// read, get, write, put, set, cas, append, delete, remove, add, contains, acquire, lock, release,
// unlock, txn, …
[[nodiscard]] std::optional<Verb> find_verb(std::string_view word);

// The words above, for messages.
[[nodiscard]] std::string_view known_words();

// The verbs of a history so far.
class Vocabulary {
 public:
  void use(Verb verb) { seen_ |= 1u << static_cast<unsigned>(verb); }
  [[nodiscard]] bool used(Verb verb) const {
    return (seen_ >> static_cast<unsigned>(verb) & 1u) != 0;
  }
  // A set's reads answer with all elements: whether this is the history of a set.
  [[nodiscard]] bool speaks_of_sets() const;
  // The model that is meant if nobody says.
  [[nodiscard]] std::string_view model() const;

 private:
  std::uint32_t seen_ = 0;
};

}  // namespace raftkv::linearizability
