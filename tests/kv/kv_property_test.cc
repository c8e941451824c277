// Laws of commands and of the state machine.

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "src/kv/state_machine.h"

namespace raftkv::kv {
namespace {

// Few keys, so that commands meet; now and then bytes of any kind.
rc::Gen<std::string> keys() {
  return rc::gen::oneOf(
      rc::gen::map(rc::gen::inRange('a', 'f'), [](char c) { return std::string(1, c); }),
      rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::arbitrary<char>())));
}

rc::Gen<Command> commands() {
  const auto values = rc::gen::container<std::string>(rc::gen::arbitrary<char>());
  return rc::gen::oneOf(
      rc::gen::map(
          rc::gen::nonEmpty(rc::gen::container<std::vector<std::pair<std::string, std::string>>>(
              rc::gen::pair(keys(), values))),
          [](auto pairs) { return Command(Set{std::move(pairs)}); }),
      rc::gen::map(keys(), [](std::string key) { return Command(Delete{std::move(key)}); }));
}

std::string payload_of(const Command& command) {
  return encode(command).substr(kCommandHeadroom);
}

Command owned(const CommandView& view) {
  if (const auto* erase = std::get_if<DeleteView>(&view)) return Delete{std::string(erase->key)};
  Set set;
  for (const auto& [key, value] : std::get<SetView>(view)) set.pairs.emplace_back(key, value);
  return set;
}

// What the state machine means, without batches, stores or bytes.
class Model {
 public:
  Outcome execute(std::uint64_t index, const Command& command) {
    if (const auto* erase = std::get_if<Delete>(&command))
      return {.deleted = contents_.erase(erase->key) > 0};
    for (const auto& [key, value] : std::get<Set>(command).pairs) contents_[key] = {value, index};
    return {};
  }
  [[nodiscard]] const std::map<std::string, Value>& contents() const { return contents_; }

 private:
  std::map<std::string, Value> contents_;
};

// Executes the commands in batches that end where `ends` says.
std::vector<Outcome> run(MemoryStore& store, const std::vector<std::string>& payloads,
                         const std::vector<bool>& ends) {
  StateMachine machine(store);
  std::vector<Outcome> outcomes;
  Batch batch;
  machine.begin(batch);
  for (std::size_t i = 0; i < payloads.size(); ++i) {
    const auto outcome = machine.execute(i + 1, payloads[i]);
    RC_ASSERT(outcome.has_value());
    outcomes.push_back(*outcome);
    if (i + 1 < payloads.size() && !(i < ends.size() && ends[i])) continue;
    RC_ASSERT(store.write(batch).has_value());
    batch.clear();
    machine.begin(batch);
  }
  return outcomes;
}

std::map<std::string, Value> contents_of(MemoryStore& store) {
  std::map<std::string, Value> contents;
  for (const auto& [key, stored] : store.contents()) {
    const auto value = StateMachine::get(store, std::string_view(key).substr(1));
    RC_ASSERT(value.has_value());
    RC_ASSERT(value->has_value());
    contents[key.substr(1)] = **value;
  }
  return contents;
}

RC_GTEST_PROP(StateMachineLaw, DoesWhatAMapDoesHoweverTheBatchesAreCut, ()) {
  const auto log = *rc::gen::container<std::vector<Command>>(commands());
  const auto ends = *rc::gen::container<std::vector<bool>>(rc::gen::arbitrary<bool>());
  std::vector<std::string> payloads;
  std::vector<Outcome> expected;
  Model model;
  for (const Command& command : log) {
    payloads.push_back(payload_of(command));
    expected.push_back(model.execute(payloads.size(), command));
  }

  MemoryStore cut;
  MemoryStore whole;
  RC_ASSERT(run(cut, payloads, ends) == expected);
  RC_ASSERT(run(whole, payloads, {}) == expected);
  RC_ASSERT(contents_of(cut) == model.contents());
  RC_ASSERT(contents_of(whole) == model.contents());
  RC_ASSERT(contents_digest(cut).value() == contents_digest(whole).value());
}

RC_GTEST_PROP(CommandLaw, ReadsBackWhatWasWritten, ()) {
  const Command command = *commands();
  const std::string payload = payload_of(command);
  const auto decoded = decode(payload);
  RC_ASSERT(decoded.has_value());
  RC_ASSERT(owned(*decoded) == command);
}

RC_GTEST_PROP(CommandLaw, AChangedByteIsRefusedOrAnotherCommand, ()) {
  const Command command = *commands();
  const std::string payload = payload_of(command);
  for (std::size_t at = 0; at < payload.size(); ++at) {
    std::string changed = payload;
    changed[at] = static_cast<char>(changed[at] ^ *rc::gen::inRange(1, 256));
    const auto decoded = decode(changed);
    const bool same = decoded.has_value() && owned(*decoded) == command;
    RC_ASSERT_FALSE(same);
  }
}

RC_GTEST_PROP(CommandLaw, EveryPrefixAndEveryExtensionIsRefused, ()) {
  const std::string payload = payload_of(*commands());
  for (std::size_t size = 0; size < payload.size(); ++size) {
    RC_ASSERT(!decode(std::string_view(payload).substr(0, size)).has_value());
  }
  RC_ASSERT(!decode(payload + *rc::gen::arbitrary<char>()).has_value());
}

RC_GTEST_PROP(CommandLaw, ArbitraryBytesAreReadOrRefused, (const std::string& bytes)) {
  if (const auto decoded = decode(bytes)) RC_ASSERT(payload_of(owned(*decoded)) == bytes);
}

}  // namespace
}  // namespace raftkv::kv
