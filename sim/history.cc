#include "sim/history.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "src/base/check.h"

namespace raftkv::sim {
namespace {

namespace lin = linearizability;

bool is_judged(const Operation& operation) {
  return is_write(operation.action->verb) || operation.action->level == Level::consistent;
}

lin::Call call_of(const Operation& operation, lin::ValueTable& values) {
  const Action& action = *operation.action;
  const auto text = [&](std::string_view bytes) { return values.text(bytes); };
  const lin::Value key = text(action.pairs.front().first);
  if (action.verb == Verb::get) return lin::read(key);
  if (action.verb == Verb::del) return lin::remove(key);
  if (action.pairs.size() == 1) return lin::write(key, text(action.pairs.front().second));
  std::vector<lin::Step> steps;
  for (const auto& [name, value] : action.pairs) {
    steps.push_back({lin::Function::write, text(name), text(value)});
  }
  return lin::transaction(std::move(steps));
}

lin::Answer answer_of(const Operation& operation, lin::ValueTable& values) {
  lin::Answer answer;
  answer.index = operation.index;
  if (operation.action->verb == Verb::get) {
    answer.result = operation.value ? values.text(*operation.value) : lin::kNil;
  } else if (operation.action->verb == Verb::del) {
    answer.result = lin::Value::boolean(operation.deleted);
  }
  return answer;
}

lin::End end_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::ok:
      return lin::End::ok;
    case Outcome::fail:
      return lin::End::fail;
    default:
      return lin::End::info;
  }
}

std::string_view text_of(Outcome outcome) {
  return lin::to_string(end_of(outcome));
}

}  // namespace

lin::History to_history(std::span<const Operation> operations) {
  return to_told_history(operations, [](const Operation&) { return std::nullopt; });
}

lin::History to_told_history(std::span<const Operation> operations,
                             const Whereabouts& whereabouts) {
  // One that is told to have happened is still under way when all else is over.
  struct Moment {
    std::uint32_t order;
    const Operation* operation;
    bool returns;
    std::optional<std::uint64_t> told;
    std::uint32_t process;
  };
  std::vector<Moment> moments;
  std::uint32_t order_last = 0;
  std::uint32_t process_last = 0;
  Instant end{};
  for (const Operation& operation : operations) {
    order_last = std::max({order_last, operation.invoked_order, operation.returned_order});
    process_last = std::max(process_last, operation.process);
    end = std::max({end, operation.invoked, operation.returned});
  }
  for (const Operation& operation : operations) {
    if (!is_judged(operation)) continue;
    const bool open = operation.outcome == Outcome::open;
    const bool unknown = open || operation.outcome == Outcome::info;
    const auto told = unknown ? whereabouts(operation) : std::nullopt;
    const std::uint32_t process = told ? ++process_last : operation.process;
    moments.push_back({operation.invoked_order, &operation, false, told, process});
    if (told) {
      moments.push_back({++order_last, &operation, true, told, process});
    } else if (!open) {
      moments.push_back({operation.returned_order, &operation, true, told, process});
    }
  }
  std::ranges::sort(moments, {}, &Moment::order);

  lin::HistoryBuilder builder;
  for (const Moment& moment : moments) {
    const Operation& operation = *moment.operation;
    if (!moment.returns) {
      const lin::Call call = call_of(operation, builder.values());
      CHECK(builder.invoke(moment.process, call, operation.invoked.count()).has_value());
      continue;
    }
    const auto id = builder.under_way(moment.process);
    CHECK(id.has_value());
    lin::Answer answer;
    if (operation.outcome == Outcome::ok) answer = answer_of(operation, builder.values());
    lin::End ended = end_of(operation.outcome);
    if (moment.told) {
      ended = *moment.told > 0 ? lin::End::ok : lin::End::fail;
      answer.index = *moment.told;
    }
    const Instant at = moment.told ? end : operation.returned;
    CHECK(builder.complete(*id, ended, answer, at.count()).has_value());
  }
  return builder.finish();
}

std::string to_json_lines(std::span<const Operation> operations) {
  std::string text = "{\"history\":1,\"model\":\"kv\",\"initial\":null,\"time\":\"ns\"}\n";
  for (const Operation& operation : operations) {
    if (!is_judged(operation)) continue;
    const Action& action = *operation.action;
    const auto& [key, value] = action.pairs.front();
    text +=
        fmt::format("{{\"process\":{},\"invoke\":{}", operation.process, operation.invoked.count());
    if (operation.outcome == Outcome::ok || operation.outcome == Outcome::fail) {
      text += fmt::format(",\"return\":{}", operation.returned.count());
    }
    text += fmt::format(",\"end\":\"{}\"", text_of(operation.outcome));
    if (action.verb == Verb::put && action.pairs.size() > 1) {
      text += ",\"f\":\"set\",\"value\":{";
      for (std::size_t i = 0; i < action.pairs.size(); ++i) {
        text += fmt::format("{}\"{}\":\"{}\"", i == 0 ? "" : ",", action.pairs[i].first,
                            action.pairs[i].second);
      }
      text += "}";
    } else if (action.verb == Verb::put) {
      text += fmt::format(",\"f\":\"put\",\"key\":\"{}\",\"value\":\"{}\"", key, value);
    } else {
      text += fmt::format(",\"f\":\"{}\",\"key\":\"{}\"",
                          action.verb == Verb::get ? "get" : "delete", key);
    }
    if (operation.outcome == Outcome::ok) {
      if (action.verb == Verb::get) {
        text += operation.value ? fmt::format(",\"result\":\"{}\"", *operation.value)
                                : ",\"result\":null";
      } else if (action.verb == Verb::del) {
        text += fmt::format(",\"result\":{}", operation.deleted);
      }
      if (operation.index > 0) text += fmt::format(",\"index\":{}", operation.index);
    }
    text += "}\n";
  }
  return text;
}

}  // namespace raftkv::sim
