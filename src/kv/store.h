// The abstract ordered store under the state machine: LevelDB in production (src/storage), a map in tests and in
// most simulated runs (MemoryStore). Keys order as unsigned bytes.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/result.h"

namespace raftkv::kv {

// Writes to be done together. Reusable: clear() keeps memory.
class Batch {
 public:
  struct Operation {
    std::string key;
    std::optional<std::string> value;  // nullopt: erase
  };
  void put(std::string key, std::string value) { operations_.push_back({std::move(key), std::move(value)}); }
  void erase(std::string key) { operations_.push_back({std::move(key), std::nullopt}); }
  void clear() { operations_.clear(); }
  [[nodiscard]] const std::vector<Operation>& operations() const { return operations_; }
  [[nodiscard]] bool empty() const { return operations_.empty(); }

 private:
  std::vector<Operation> operations_;
};

// One thread writes; others may read at the same time.
class OrderedStore {
 public:
  virtual ~OrderedStore() = default;

  // nullopt: not there. Errors: corrupt, fatal.
  [[nodiscard]] virtual Result<std::optional<std::string>> get(std::string_view key) = 0;
  // All of it or nothing, in order; survives the death of the process, but a power failure only after sync().
  [[nodiscard]] virtual Status write(const Batch& batch) = 0;
  // Makes everything written before durable.
  [[nodiscard]] virtual Status sync() = 0;
  // Calls `visit` for each pair with begin <= key < end (empty end: to the last) over one consistent view, until it
  // returns false. The views are valid during the call.
  [[nodiscard]] virtual Status scan(std::string_view begin, std::string_view end,
                                    const std::function<bool(std::string_view, std::string_view)>& visit) = 0;
};

class MemoryStore final : public OrderedStore {
 public:
  [[nodiscard]] Result<std::optional<std::string>> get(std::string_view key) override;
  [[nodiscard]] Status write(const Batch& batch) override;
  [[nodiscard]] Status sync() override { return {}; }
  [[nodiscard]] Status scan(std::string_view begin, std::string_view end,
                            const std::function<bool(std::string_view, std::string_view)>& visit) override;
  [[nodiscard]] const std::map<std::string, std::string, std::less<>>& contents() const { return contents_; }

 private:
  std::map<std::string, std::string, std::less<>> contents_;
};

}  // namespace raftkv::kv
