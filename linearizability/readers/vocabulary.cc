#include "linearizability/readers/vocabulary.h"

#include <algorithm>
#include <array>
#include <utility>

namespace raftkv::linearizability {

std::optional<Verb> find_verb(std::string_view word) {
  static constexpr std::array<std::pair<std::string_view, Verb>, 21> kWords{{
      {"read", Verb::read},
      {"write", Verb::write},
      {"cas", Verb::cas},
      {"get", Verb::get},
      {"put", Verb::put},
      {"set", Verb::pairs},
      {"append", Verb::append},
      {"delete", Verb::erase},
      {"remove", Verb::remove},
      {"add", Verb::add},
      {"contains", Verb::contains},
      {"acquire", Verb::acquire},
      {"release", Verb::release},
      {"lock", Verb::acquire},
      {"unlock", Verb::release},
      {"txn", Verb::transaction},
      {"transaction", Verb::transaction},
      {"compare-and-set", Verb::cas},
      {"del", Verb::erase},
      {"r", Verb::read},
      {"w", Verb::write},
  }};
  for (const auto& [name, verb] : kWords) {
    if (name == word) return verb;
  }
  return std::nullopt;
}

std::string_view known_words() {
  return "read, write, cas, get, put, set, append, delete, add, remove, contains, acquire, "
         "release, txn";
}

bool Vocabulary::speaks_of_sets() const {
  return used(Verb::add) || used(Verb::contains) || used(Verb::remove);
}

std::string_view Vocabulary::model() const {
  if (used(Verb::acquire) || used(Verb::release)) return "mutex";
  if (used(Verb::append)) return "append-kv";
  if (speaks_of_sets()) return "set";
  if (used(Verb::get) || used(Verb::put) || used(Verb::pairs) || used(Verb::erase)) return "kv";
  if (used(Verb::transaction)) return "multi-register";
  return used(Verb::cas) ? "cas-register" : "register";
}

}  // namespace raftkv::linearizability
