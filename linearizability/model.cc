#include "linearizability/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "linearizability/flat_map.h"
#include "linearizability/models/models.h"

namespace raftkv::linearizability {

namespace {

constexpr std::array<std::string_view, 7> kNames = {
    "register", "cas-register", "multi-register", "mutex", "append-kv", "set", "kv"};

// Disjoint sets of small numbers, with path halving.
class Unions {
 public:
  std::uint32_t add() {
    parent_.push_back(static_cast<std::uint32_t>(parent_.size()));
    return parent_.back();
  }
  std::uint32_t root(std::uint32_t x) {
    while (parent_[x] != x) x = parent_[x] = parent_[parent_[x]];
    return x;
  }
  // The smaller number becomes the root, so that roots do not depend on the order of calls.
  void join(std::uint32_t a, std::uint32_t b) {
    a = root(a);
    b = root(b);
    parent_[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<std::uint32_t> parent_;
};

}  // namespace

const Model* find_model(std::string_view name) {
  if (name == "register") return &register_model();
  if (name == "cas-register") return &cas_register_model();
  if (name == "multi-register") return &multi_register_model();
  if (name == "mutex") return &mutex_model();
  if (name == "append-kv") return &append_kv_model();
  if (name == "set") return &set_model();
  if (name == "kv") return &kv_model();
  return nullptr;
}

std::span<const std::string_view> model_names() {
  return kNames;
}

Status accept_functions(const History& history, std::string_view model,
                        std::span<const Function> known) {
  for (OperationId id = 0; id < history.size(); ++id) {
    if (std::ranges::find(known, history[id].function) == known.end()) {
      return failure(ErrorCode::invalid,
                     fmt::format("model {} knows no {}: \"{}\"", model,
                                 to_string(history[id].function), history.print(id)));
    }
  }
  return {};
}

bool is_void(const Operation& op) {
  if (op.end == End::fail) return true;
  return op.end == End::info &&
         (op.function == Function::read || op.function == Function::contains ||
          op.function == Function::read_all);
}

bool replaces_register(const Operation& op) {
  if (op.end != End::ok) return false;
  return op.function == Function::write ||
         (op.function == Function::cas && op.result != Value::boolean(false)) ||
         (op.function == Function::remove && op.result == Value::boolean(true));
}

std::vector<Part> part_by_key(const History& history) {
  std::vector<Part> parts;
  FlatMap part_of_key;
  for (OperationId id = 0; id < history.size(); ++id) {
    if (is_void(history[id])) continue;
    const auto [part, is_new] =
        part_of_key.insert(history[id].key.id, static_cast<std::uint32_t>(parts.size()));
    if (is_new) parts.emplace_back();
    parts[part].push_back(id);
  }
  return parts;
}

std::vector<Part> part_by_tied_keys(const History& history) {
  if (std::ranges::none_of(history.operations(),
                           [](const Operation& op) { return op.has_steps(); })) {
    return part_by_key(history);
  }
  FlatMap number_of_key;
  Unions ties;
  const auto number = [&](Value key) {
    const auto [n, is_new] =
        number_of_key.insert(key.id, static_cast<std::uint32_t>(number_of_key.size()));
    if (is_new) ties.add();
    return n;
  };
  // An empty transaction belongs nowhere: it neither does nor says anything.
  const auto first_key = [&](const Operation& op) -> std::optional<Value> {
    if (!op.has_steps()) return op.key;
    if (history.steps(op).empty()) return std::nullopt;
    return history.steps(op).front().key;
  };
  for (const Operation& op : history.operations()) {
    if (is_void(op) || !first_key(op)) continue;
    const std::uint32_t first = number(*first_key(op));
    if (!op.has_steps()) continue;
    for (const Step& step : history.steps(op)) ties.join(first, number(step.key));
  }
  std::vector<Part> parts;
  FlatMap part_of_root;
  std::optional<std::size_t> homeless;
  for (OperationId id = 0; id < history.size(); ++id) {
    const Operation& op = history[id];
    if (is_void(op)) continue;
    const std::optional<Value> key = first_key(op);
    if (!key) {  // still needs a place in the witness
      if (!homeless) homeless = parts.size(), parts.emplace_back();
      parts[*homeless].push_back(id);
      continue;
    }
    const std::uint32_t root = ties.root(number(*key));
    const auto [part, is_new] = part_of_root.insert(root, static_cast<std::uint32_t>(parts.size()));
    if (is_new) parts.emplace_back();
    parts[part].push_back(id);
  }
  return parts;
}

std::vector<Part> part_whole(const History& history) {
  Part part;
  for (OperationId id = 0; id < history.size(); ++id) {
    if (!is_void(history[id])) part.push_back(id);
  }
  if (part.empty()) return {};
  return {std::move(part)};
}

}  // namespace raftkv::linearizability
