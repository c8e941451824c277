#include "tests/linearizability/large_history.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "src/base/check.h"
#include "src/base/prng.h"

namespace raftkv::linearizability {

namespace {

constexpr std::uint32_t kValues = 5;
constexpr std::int64_t kFirstUnique = 1000;
constexpr std::size_t kTextMax = 400;  // then a text's key is not used any more

class Maker {
 public:
  explicit Maker(const LargeHistory& what) : what_(what), random_(what.seed) {
    builder_.reserve(what.operations);
    clients_.resize(what.clients);
    for (std::uint32_t c = 0; c < what.clients; ++c) clients_[c].process = c;
    next_process_ = what.clients + 1;  // one is the planter
    values_.assign(what.keys, kNil);
    texts_.resize(what.keys);
    changed_.assign(what.keys, 0);
    for (std::uint32_t k = 0; k < what.keys; ++k) key_.push_back(k);
    next_key_ = what.keys;
  }

  History make() {
    while (invoked_ < what_.operations) {
      if (what_.plant != Plant::nothing && invoked_ >= what_.planted_at && !planted_) plant();
      turn(clients_[random_.below(clients_.size())]);
    }
    for (Client& client : clients_) {
      while (client.under_way) turn(client);
    }
    return builder_.finish();
  }

 private:
  struct Client {
    std::uint32_t process = 0;
    bool under_way = false, executed = false;
    OperationId id = 0;
    std::uint32_t key = 0;
    Call call;
    Answer answer;
  };

  void turn(Client& client) {
    if (!client.under_way) {
      client.key = static_cast<std::uint32_t>(random_.below(what_.keys));
      client.call = random_call(client.key);
      client.id = invoke(client.process, client.call);
      client.under_way = true;
      client.executed = false;
      return;
    }
    if (!client.executed) {
      if (random_.chance(what_.unknown_per_mille, 1000)) {
        if (random_.chance(1, 2)) execute(client.key, client.call);
        complete(client.id, End::info, {});
        client.process = next_process_++;
        client.under_way = false;
        return;
      }
      client.answer = execute(client.key, client.call);
      client.executed = true;
      return;
    }
    complete(client.id, End::ok, client.answer);
    client.under_way = false;
  }

  OperationId invoke(std::uint32_t process, const Call& call) {
    ++invoked_;
    const Result<OperationId> id = builder_.invoke(process, call);
    CHECK(id.has_value());
    return *id;
  }
  void complete(OperationId id, End end, const Answer& answer) {
    CHECK(builder_.complete(id, end, answer).has_value());
  }

  Value unique() {
    if (what_.workload == Workload::appends) {
      return builder_.values().text(fmt::format("{}.", kFirstUnique + next_value_++));
    }
    return builder_.values().integer(kFirstUnique + next_value_++);
  }
  Value some_value() {
    const bool few = what_.workload == Workload::cas;
    return few ? builder_.values().integer(static_cast<std::int64_t>(random_.below(kValues)))
               : unique();
  }
  std::string& text_of(Value key) {
    return texts_[static_cast<std::size_t>(builder_.values().number(key))];
  }
  Value key(std::uint32_t k) { return builder_.values().integer(key_[k]); }

  Call random_call(std::uint32_t k) {
    switch (what_.workload) {
      case Workload::unique_writes:
        return random_.chance(1, 2) ? read(key(k)) : write(key(k), unique());
      case Workload::appends:
        if (text_of(key(k)).size() > kTextMax) {
          key_[k] = next_key_++;
          texts_.emplace_back();
        }
        return random_.chance(1, 2) ? read(key(k)) : append(key(k), unique());
      case Workload::store:
      case Workload::indexed_store:
        return random_store_call(k);
      default: {
        const std::uint64_t choice = random_.below(3);
        if (choice == 0) return read(key(k));
        if (choice == 1) return write(key(k), some_value());
        const Value expected = what_.workload == Workload::cas ? some_value() : values_[k];
        return cas(key(k), expected, some_value());
      }
    }
  }

  Call random_store_call(std::uint32_t k) {
    const std::uint64_t choice = random_.below(10);
    if (choice < 5) return read(key(k));
    if (choice < 7) return write(key(k), unique());
    if (choice < 8) return remove(key(k));
    std::vector<Step> steps;
    for (std::uint64_t left = 1 + random_.below(3); left > 0; --left) {
      const auto other = static_cast<std::uint32_t>(random_.below(what_.keys));
      steps.push_back({Function::write, key(other), unique()});
    }
    return transaction(std::move(steps));
  }

  Answer execute_in_store(std::uint32_t k, const Call& call) {
    Answer answer;
    if (call.function == Function::read) {
      answer = {values_[k], values_[k] == kNil ? 0 : changed_[k], {}};
    } else {
      answer.index = ++index_;
      if (call.function == Function::remove) answer.result = Value::boolean(values_[k] != kNil);
      if (call.function == Function::transaction) {
        for (const Step& step : call.steps)
          change(static_cast<std::uint32_t>(builder_.values().number(step.key)), step.value);
      } else {
        change(k, call.function == Function::write ? call.argument : kNil);
      }
    }
    if (what_.workload == Workload::store) answer.index = 0;
    return answer;
  }
  void change(std::uint32_t k, Value value) {
    if (value != kNil || values_[k] != kNil) changed_[k] = index_;
    values_[k] = value;
  }

  Answer execute(std::uint32_t k, const Call& call) {
    if (what_.workload >= Workload::store) return execute_in_store(k, call);
    Answer answer;
    if (what_.workload == Workload::appends) {
      if (call.function == Function::append)
        text_of(call.key) += builder_.values().bytes(call.argument);
      if (call.function == Function::read)
        answer.result = builder_.values().text(text_of(call.key));
      return answer;
    }
    if (call.function == Function::read) answer.result = values_[k];
    if (call.function == Function::write) values_[k] = call.argument;
    if (call.function == Function::cas) {
      answer.result = Value::boolean(values_[k] == call.expected);
      if (values_[k] == call.expected) values_[k] = call.argument;
    }
    return answer;
  }

  // The planter does one operation after the other, and what it says is wrong. Its values are
  // nobody else's.
  void say(const Call& call, const Answer& answer) {
    complete(invoke(what_.clients, call), End::ok, answer);
  }
  void plant() {
    planted_ = true;
    const auto k = static_cast<std::uint32_t>(random_.below(what_.keys));
    if (what_.workload == Workload::appends) {
      plant_text(k);
      return;
    }
    const Value first = unique();
    const Value second = unique();
    say(write(key(k), first), {});
    say(read(key(k)), {first, 0, {}});
    values_[k] = second;
    switch (what_.plant) {
      case Plant::stale_read:
        say(write(key(k), second), {});
        say(read(key(k)), {first, 0, {}});
        break;
      case Plant::lost_write:
        values_[k] = first;
        say(write(key(k), second), {});
        say(read(key(k)), {first, 0, {}});
        break;
      case Plant::duplicated_effect:
        if (what_.workload == Workload::unique_writes) {
          say(write(key(k), second), {});
          say(read(key(k)), {second, 0, {}});
          values_[k] = first;
          say(read(key(k)), {first, 0, {}});
        } else {
          say(cas(key(k), first, second), {Value::boolean(true), 0, {}});
          values_[k] = unique();
          say(cas(key(k), first, values_[k]), {Value::boolean(true), 0, {}});
        }
        break;
      default:
        say(write(key(k), second), {});
        say(read(key(k)), {second, 0, {}});
        say(read(key(k)), {first, 0, {}});
    }
  }
  void plant_text(std::uint32_t k) {
    const Value first = unique();
    const Value second = unique();
    const std::string before = text_of(key(k));
    const auto text = [&](std::initializer_list<Value> pieces) {
      std::string& now = text_of(key(k));
      now = before;
      for (const Value piece : pieces) now += builder_.values().bytes(piece);
      return builder_.values().text(now);
    };
    say(append(key(k), first), {});
    say(append(key(k), second), {});
    switch (what_.plant) {
      case Plant::stale_read: {
        const Value stale = text({first});
        (void)text({first, second});
        say(read(key(k)), {stale, 0, {}});
        break;
      }
      case Plant::lost_write:
        say(read(key(k)), {text({first}), 0, {}});
        break;
      case Plant::duplicated_effect:
        say(read(key(k)), {text({first, second, first}), 0, {}});
        break;
      default:
        say(read(key(k)), {text({second, first}), 0, {}});
    }
  }

  const LargeHistory what_;
  Prng random_;
  HistoryBuilder builder_;
  std::vector<Client> clients_;
  std::vector<Value> values_;
  std::vector<std::uint64_t> changed_;  // index of each key's last change
  std::uint64_t index_ = 0;
  std::vector<std::string> texts_;
  std::vector<std::int64_t> key_;
  std::int64_t next_key_ = 0;
  std::int64_t next_value_ = 0;
  std::uint32_t next_process_ = 0;
  std::size_t invoked_ = 0;
  bool planted_ = false;
};

}  // namespace

History make_history(const LargeHistory& what) {
  return Maker(what).make();
}

}  // namespace raftkv::linearizability
